/** Sessions of commands against our own server: what --json says, cancelling, and how a session ends. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CliSession } from '../../../../src/cli/zkcli/clisession.ts'
import { ZooKeeper } from '../../../../src/client/zookeeper.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import type { RunningServer } from '../../../../src/server/life/running.ts'
import { startServer } from '../../../../src/server/main.ts'

let dir: string
let server: RunningServer
let out: string
let err: string
let progress: string[]
let onProgress: () => void

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'zkcli-session-'))
  const lines = [`dataDir=${dir}`, 'clientPort=0', 'clientPortAddress=127.0.0.1', 'tickTime=500', 'forceSync=no']
  const text = [...lines, 'extendedTypesEnabled=true'].join('\n')
  server = await startServer(parseConfig(text, 'zoo.cfg', new Map()).config, pino({ level: 'silent' }))
  out = ''
  err = ''
  progress = []
  onProgress = () => {}
})

afterEach(async () => {
  await server.close()
  rmSync(dir, { recursive: true })
})

async function open(json: boolean): Promise<CliSession> {
  const session = new CliSession({
    streams: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      progress: (what, count, total) => {
        progress.push(`${what} ${count} ${total}`)
        onProgress()
      },
      flush: () => {},
    },
    open: (connect, watcher, note) => new ZooKeeper({ connect, sessionTimeoutMs: 10_000, shell: { note } }, watcher),
    waitForConnectionMs: 10_000,
    json,
    date: () => 'a date',
    readFile: () => '',
  })
  await session.connect(`127.0.0.1:${server.port}`)
  return session
}

/** What `lines` print, one JSON value each. */
async function jsonOf(session: CliSession, ...lines: string[]): Promise<Record<string, unknown>[]> {
  out = ''
  for (const line of lines) await session.executeLine(line)
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

describe('with --json', () => {
  test('each command is one value, with its name and what it found', async () => {
    const session = await open(true)
    const values = await jsonOf(
      session,
      'create /a "some text"',
      'create -s /a/s- x',
      'get /a',
      'get -b /a',
      'ls /a',
      'ls -R /a',
      'stat /a',
      'getAcl /a',
      'whoami',
      'setquota -n 5 /a',
      'listquota /a',
      'getAllChildrenNumber /a',
      'sync /a',
      'history',
      'deleteall /a',
    )
    expect(values.map(({ command }) => command)).toEqual(
      'create create get get ls ls stat getAcl whoami setquota listquota getAllChildrenNumber sync history deleteall'.split(
        ' ',
      ),
    )
    expect(values[1]).toEqual({ command: 'create', created: '/a/s-0000000000' })
    expect(values[2]).toMatchObject({ path: '/a', data: 'some text', stat: { version: 0, numChildren: 1 } })
    expect(values[3]).toMatchObject({ dataBase64: 'c29tZSB0ZXh0' })
    expect(values[4]).toMatchObject({ children: ['s-0000000000'] })
    expect(values[5]).toEqual({ command: 'ls', path: '/a', paths: ['/a', '/a/s-0000000000'] })
    expect(values[7]).toMatchObject({ acl: [{ scheme: 'world', id: 'anyone', perms: 'cdrwa' }] })
    expect(values[8]).toEqual({ command: 'whoami', identities: [{ scheme: 'ip', user: '127.0.0.1' }] })
    expect(values[10]).toMatchObject({ limits: { count: 5 }, stats: { count: 2 } })
    expect(values[14]).toEqual({ command: 'deleteall', path: undefined, deleted: '/a', complete: true })
    await session.leave()
  })

  test('a failure is a value too, and so is an event; the connection is nobody’s business', async () => {
    const session = await open(true)
    const values = await jsonOf(session, 'get /none', 'get', 'bogus', 'get -w /', 'create /x', 'ls -w /', 'delete /x')
    expect(values[0]).toEqual({
      command: 'get',
      error: 'NONODE',
      reason: 'NoNode',
      path: '/none',
      message: 'Node does not exist: /none',
      exitCode: 1,
    })
    expect(values[1]).toMatchObject({ command: 'get', error: 'COMMAND', exitCode: 1 })
    expect(values[2]).toMatchObject({ command: 'bogus', exitCode: 127 })
    const event = values.find((value) => 'event' in value)
    expect(event).toMatchObject({ event: 'NodeChildrenChanged', path: '/', zxid: expect.stringMatching(/^0x/) })
    expect(values).toHaveLength(8)
    await session.leave()
  })
})

describe('a command', () => {
  test('can be cancelled, and the session goes on', async () => {
    const session = await open(false)
    await session.executeLine('create /t')
    await Promise.all(Array.from({ length: 300 }, (_, i) => session.client!.create(`/t/${i}`, null)))
    onProgress = () => void session.cancel()
    await session.executeLine('deleteall /t -b 5')
    expect([err.split('\n').at(-2), session.exitCode]).toEqual(['Cancelled', 1])
    onProgress = () => {}
    expect(session.cancel()).toBe(false)
    out = ''
    await session.executeLine('getAllChildrenNumber /t')
    expect(out).toBe('300\n')
    await session.leave()
  })

  test('that is long says how far it is', async () => {
    const session = await open(false)
    await session.executeLine('create /t')
    await session.executeLine('create /t/x')
    progress = []
    await session.executeLine('deleteall /t -b 1')
    expect(progress).toContain('deleteall /t 2 2')
    expect(progress.at(-1)).toBe('null 0 null')
    await session.leave()
  })
})

describe('the exit code', () => {
  test('is that of the last command', async () => {
    const session = await open(false)
    const codes: number[] = []
    for (const line of ['ls /', 'get /none', 'bogus', 'ls -z /', 'history', 'set / x -v 9', 'addWatch nowhere']) {
      await session.executeLine(line)
      codes.push(session.exitCode)
    }
    expect(codes).toEqual([0, 1, 127, 1, 0, 1, 1])
    // Apache's client ends with a stack trace here.
    for (const line of ['delete -v x /a', 'set -b / !!!', 'redo x', '"']) {
      await session.executeLine(line)
      expect(session.exitCode, line).toBe(1)
    }
    expect(err).toContain('For input string: "x"\n')
    await session.leave()
  })
})

describe('the end', () => {
  test('of a session that made an ephemeral node leaves the node to the timeout; any other is closed', async () => {
    for (const [line, stays] of [
      ['create -e /short', true],
      ['create /long', false],
    ] as const) {
      const session = await open(false)
      await session.executeLine(line)
      out = ''
      await session.leave()
      expect([out, session.client!.alive]).toEqual(['', false])
      const other = await open(false)
      out = ''
      await other.executeLine('ls /')
      expect(out.includes('short')).toBe(stays)
      await other.executeLine('deleteall /short')
      await other.leave()
    }
  })

  test('comes with quit, which tells of it', async () => {
    const session = await open(false)
    out = ''
    expect(await session.executeLine('quit')).toBe(false)
    expect(out).toBe('\nWATCHER::\n\nWatchedEvent state:Closed type:None path:null zxid: -1\n')
  })

  test('of the connection: commands say so, until another is made', async () => {
    const session = await open(false)
    await session.executeLine('close')
    expect(session.prompt).toBe(`[zk: 127.0.0.1:${server.port}(CLOSED) 1] `)
    out = ''
    await session.executeLine('ls /')
    expect(out).toBe('Not connected\n')
    await session.executeLine('connect')
    out = ''
    await session.executeLine('ls /')
    expect(out).toBe('[zookeeper]\n')
    await session.leave()
  })
})
