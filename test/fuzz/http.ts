/**
 * Damaged requests to the admin server of a real server, one connection each. Right is an answer of HTTP's, or none, and
 * the connection's end soon; that nothing went wrong inside; and that the next one who asks is answered.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { parseConfig } from '../../src/server/config/config.ts'
import { startServer } from '../../src/server/main.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'
import type { Sample } from './samples.ts'

const END_MS = 10_000
const QUIET_MS = 100
/** What `super:fuzz` is in an ACL. */
const SUPER = 'super:PpJYQIh8CZiU7MLBLuTllgjebgA='
const TOKEN = '0123456789abcdef'
const LIVE = Buffer.from('GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')

interface Served {
  port: number
  /** Of level warn and above, and what nobody caught. */
  complaints: string[]
}

/** One server for all cases of a process. */
let served: Promise<Served> | null = null

export function httpSamples(): Sample[] {
  const request = (line: string, ...headers: string[]): Sample => {
    const [before, body = ''] = headers.join('\r\n').split('\r\n\r\n') as [string, string?]
    const bytes = new TextEncoder().encode(
      `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${before}\r\n\r\n${body}`,
    )
    // Ends of lines, and what parts names from values.
    const marks = [...bytes.keys()].filter((i) => [0x0d, 0x3a, 0x20, 0x2f, 0x3f, 0x25].includes(bytes[i]!))
    return { name: line, bytes, marks }
  }
  const token = `Authorization: Bearer ${TOKEN}`
  const rights = `Authorization: digest super:fuzz`
  return [
    request('GET /live', 'Accept: */*'),
    request('HEAD /ready', 'X-Empty:'),
    request('GET /commands', token),
    request('GET /commands/stats?unused=%20%41&x=1', token),
    request('GET /commands/monitor', `X-Admin-Token: ${TOKEN}`),
    request('GET /commands/connections', token, 'Cookie: a=b; c="d"'),
    request('GET /commands/watches_by_path', token, 'Sec-Fetch-Site: same-origin'),
    request('GET /commands/set_trace_mask?traceMask=306', token),
    request('GET /commands/snapshot?streaming=true', rights, `X-Admin-Token: ${TOKEN}`),
    request('GET /commands/dump', token, 'Transfer-Encoding: chunked', '', '5', 'hello', '0', '', ''),
    request(
      'POST /commands/restore',
      rights,
      `X-Admin-Token: ${TOKEN}`,
      'Content-Length: 20',
      '',
      'ZKSN0000000000000000',
    ),
    request(
      'POST /commands/restore',
      rights,
      `X-Admin-Token: ${TOKEN}`,
      'Expect: 100-continue',
      'Content-Length: 5',
      '',
      'ZKSN0',
    ),
    request('OPTIONS /commands/ruok', 'Upgrade: h2c'),
  ]
}

export async function judgeHttp(each: Case): Promise<Verdict> {
  served ??= begin()
  const { port, complaints } = await served
  complaints.length = 0
  const reply = await exchange(port, each.bytes)
  if (reply === null) return wrong(`the connection was left open for ${END_MS} ms`)
  if (reply !== '' && !/^HTTP\/1\.1 [1-5]\d\d /.test(reply))
    return wrong(`answered ${JSON.stringify(reply.slice(0, 100))}`)
  const live = await exchange(port, LIVE)
  if (live === null || !/^HTTP\/1\.1 200 /.test(live)) return wrong(`afterwards /live says ${JSON.stringify(live)}`)
  const failed = complaints.find((line) => /request failed|unexpected|TypeError|AssertionError/.test(line))
  if (failed !== undefined) return wrong(failed)
  return { outcome: /^HTTP\/1\.1 2/.test(reply) ? 'started' : 'refused', problem: null }
}

/** What is answered to these bytes and the end behind them; null where there is no end of it. */
function exchange(port: number, bytes: Uint8Array): Promise<string | null> {
  return new Promise((resolve) => {
    let reply = ''
    const cut = bytes.length % 5 === 0 ? bytes.length >> 1 : bytes.length
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      socket.write(bytes.subarray(0, cut))
      setImmediate(() => socket.write(bytes.subarray(cut)))
    })
    // Whoever waits for more is told that there is none; before an answer it would be taken for somebody who has left.
    const quiet = setTimeout(() => socket.end(), QUIET_MS)
    const timer = setTimeout(() => {
      resolve(null)
      socket.destroy()
    }, END_MS)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      if (reply.length < 1 << 20) reply += text
    })
    socket.on('error', () => {}) // a reset; 'close' follows
    socket.on('close', () => {
      clearTimeout(timer)
      clearTimeout(quiet)
      resolve(reply)
    })
  })
}

async function begin(): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'zoowarden-fuzz-http-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const settings = [
    `dataDir=${folder}`,
    'clientPort=0',
    'clientPortAddress=127.0.0.1',
    'forceSync=no',
    'preAllocSize=64',
    `DigestAuthenticationProvider.superDigest=${SUPER}`,
    'admin.serverAddress=127.0.0.1',
    'admin.serverPort=0',
    `admin.token=${TOKEN}`,
    'admin.snapshot.enabled=true',
    'admin.restore.enabled=true',
    'admin.rateLimiterIntervalInMS=0',
    'admin.idleTimeout=2000',
  ]
  const { config } = parseConfig(settings.join('\n'), 'fuzz', new Map())
  const complaints: string[] = []
  let port = 0
  const logger = pino(
    { level: 'info', base: null },
    {
      write(line: string): void {
        const entry = JSON.parse(line) as { level: number; msg: string; port?: number }
        if (entry.msg === 'admin server') port = entry.port ?? 0
        if (entry.level >= 40) complaints.push(line)
      },
    },
  )
  await startServer(config, logger)
  return { port, complaints }
}

function wrong(problem: string): Verdict {
  return { outcome: 'not judged', problem }
}
