/** Servers in this process with their HTTP ports, on folders that go with the test. */

import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { request as requestTls } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type HttpPorts, openHttpPorts } from '../../../../src/server/admin/beside.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import type { RunningServer } from '../../../../src/server/life/running.ts'
import { StandaloneServer } from '../../../../src/server/life/standalone.ts'
import { QuorumServer } from '../../../../src/server/member/quorumserver.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Of a JSON answer. */
  readonly json: Record<string, unknown>
}

export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | string
  /** Options of TLS; without them it is plain. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
}

export class Running {
  readonly server: StandaloneServer | QuorumServer
  readonly port: number
  readonly adminPort: number
  readonly metricsPort: number
  /** Lines of the log, as JSON. */
  readonly log: string[]
  private readonly running: RunningServer
  private readonly http: HttpPorts
  private readonly folder: string

  private constructor(
    server: StandaloneServer | QuorumServer,
    running: RunningServer,
    http: HttpPorts,
    ports: { admin: number; metrics: number },
    folder: string,
    log: string[],
  ) {
    this.server = server
    this.running = running
    this.port = running.port
    this.http = http
    this.adminPort = ports.admin
    this.metricsPort = ports.metrics
    this.folder = folder
    this.log = log
  }

  /** `text`: more lines of zoo.cfg; `member`: an ensemble of one, which leads; `lonely`: the others are not there. */
  static async start(text = '', { member = false, lonely = false } = {}): Promise<Running> {
    const folder = mkdtempSync(join(tmpdir(), 'zw-admin-'))
    const ports = { admin: await freePort(), metrics: await freePort() }
    const election = member ? [await freePort(), await freePort()] : []
    const lines = [
      `dataDir=${folder}`,
      'clientPort=0',
      'clientPortAddress=127.0.0.1',
      'preAllocSize=64',
      'forceSync=no',
      'admin.serverAddress=127.0.0.1',
      `admin.serverPort=${ports.admin}`,
      'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider',
      'metricsProvider.httpHost=127.0.0.1',
      `metricsProvider.httpPort=${ports.metrics}`,
      ...(member
        ? ['standaloneEnabled=false', 'initLimit=10', 'syncLimit=5', `server.1=127.0.0.1:${election.join(':')}`]
        : []),
      ...(lonely ? ['server.2=127.0.0.1:1:2', 'server.3=127.0.0.1:3:4'] : []),
      text,
    ]
    const readFile = (path: string): string | null => (path === `${folder}/myid` && member ? '1' : null)
    const { config } = parseConfig(lines.join('\n'), 'zoo.cfg', new Map(), readFile)
    const log: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line: string) => void log.push(line) })
    const server = member ? new QuorumServer(config, logger) : new StandaloneServer(config, logger)
    const running = await server.start()
    const http = await openHttpPorts(server.source)
    const all = new Running(server, running, http, ports, folder, log)
    while (!lonely && (await all.ready()).status !== 200);
    return all
  }

  /** Plain, whatever the rest of the port asks for; once it serves. */
  private ready(): Promise<Answer> {
    return this.server.source.config.admin.tls === null ? this.ask('/ready') : askPort(this.metricsPort, '/metrics', {})
  }

  ask(path: string, ask: Ask = {}): Promise<Answer> {
    return askPort(this.adminPort, path, ask)
  }

  command(name: string, ask: Ask = {}): Promise<Answer> {
    return this.ask(`/commands/${name}`, ask)
  }

  async scrape(): Promise<string> {
    return (await askPort(this.metricsPort, '/metrics', {})).text
  }

  async stop(): Promise<void> {
    await this.http.close()
    await this.running.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export function askPort(port: number, path: string, { method = 'GET', headers = {}, body, tls }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers, agent: false }
    const send =
      tls === undefined ? request(options) : requestTls({ ...options, ...tls, checkServerIdentity: () => undefined })
    send.on('response', (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        text += chunk
      })
      res.on('error', reject)
      res.on('end', () => {
        const isJson = res.headers['content-type'] === 'application/json' && text !== ''
        resolve({ status: res.statusCode!, headers: res.headers, text, json: isJson ? JSON.parse(text) : {} })
      })
    })
    send.on('error', reject)
    send.end(body)
  })
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
