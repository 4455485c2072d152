/** The switches that bring ZooKeeper's way back; those that the oracle can reach are proved against the reference there. */

import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { DataTree } from '../../../src/datatree/tree.ts'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Output } from '../../../src/jute/output.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { NO_COMPAT } from '../../../src/server/config/compat.ts'
import { type Config, parseConfig } from '../../../src/server/config/config.ts'
import { ConfigError } from '../../../src/server/config/settings.ts'
import { makeAuth, makeState, Relay } from '../../../src/server/life/parts.ts'
import { StandaloneServer } from '../../../src/server/life/standalone.ts'
import { bool, create, Ensemble, int, path } from './harness.ts'

function parse(lines: string, system: Record<string, string> = {}) {
  return parseConfig(`dataDir=/d\nclientPort=0\n${lines}`, 'zoo.cfg', new Map(Object.entries(system)))
}

const compatOf = (lines: string, system: Record<string, string> = {}) => parse(lines, system).config.compat
const on = (names: Config['compat']) => Object.entries(names).flatMap(([name, value]) => (value ? [name] : []))

describe('compat keys', () => {
  it('are off unless they are set, each by itself, in the file or with -D', () => {
    expect(on(compatOf(''))).toEqual([])
    expect(on(compatOf('compat.takeover=true'))).toEqual(['takeover'])
    expect(on(compatOf('', { 'zookeeper.compat.multiRead': 'true' }))).toEqual(['multiRead'])
    expect(on(compatOf('compat.pauses=false', { 'zookeeper.compat.pauses': 'true' }))).toEqual([])
    expect(parse('compat.multiRead=true').warnings).toEqual([])
  })

  it('are all on with compat.all, but for those that are set by themselves', () => {
    const names = Object.keys(NO_COMPAT)
    expect(on(compatOf('compat.all=true'))).toEqual(names)
    expect(on(compatOf('compat.syncs=false\ncompat.all=true'))).toEqual(names.filter((name) => name !== 'syncs'))
  })

  it('are refused with a list of what there is when they are none', () => {
    const refused = () => compatOf('compat.takover=true')
    expect(refused).toThrow(ConfigError)
    expect(refused).toThrow(
      /^zoo\.cfg:3: there is no compat\.takover; there are compat\.all and\n {2}compat\.serverOps: /,
    )
    for (const name of Object.keys(NO_COMPAT)) expect(refused).toThrow(`\n  compat.${name}: `)
    expect(() => compatOf('', { 'zookeeper.compat.toString': 'true' })).toThrow(
      '-Dzookeeper.compat.toString: there is no',
    )
    expect(() => compatOf('compat.=true')).toThrow(ConfigError)
  })
})

describe('the size of the data', () => {
  /** Three letters: of one, two and three bytes, each one UTF-16 unit. */
  const PATH = '/a\u00e4\u20ac'

  it('counts bytes of paths, or UTF-16 units with compat.dataSize, whatever comes and goes', () => {
    const bytes = makeState(parse('').config, new Relay(() => {}), 1)
    const units = makeState(parse('compat.dataSize=true').config, new Relay(() => {}), 1)
    const grown = [bytes, units].map(({ tree }) => {
      const before = tree.dataBytes
      const at = textToBytes(PATH)
      const node = tree.create(at, 0, at.length, 0, -1, tree.find(textToBytes('/'), 0, 1), -1, 0, 0, 0, 0)
      const after = tree.dataBytes
      tree.check()
      tree.remove(node)
      return [after - before, tree.dataBytes - before]
    })
    expect(grown).toEqual([
      [7, 0],
      [4, 0],
    ])
    expect(new DataTree().dataBytes).toBe(new DataTree({ utf16Sizes: true }).dataBytes)
  })
})

describe('an ACL that expands', () => {
  const ids = Array.from({ length: 1000 }, (_, i) => ({ scheme: 'digest', id: `u${i}:${'h'.repeat(100)}` }))
  /** So many entries `auth`, which stand for all of the ids each. */
  const aclOf = (entries: number): Uint8Array => {
    const out = new Output()
    out.int(entries)
    for (let i = 0; i < entries; i++) {
      out.int(i + 1)
      out.string('auth')
      out.string('')
    }
    return out.copy()
  }
  const fixup = (lines: string, entries: number): number => {
    const { config } = parse(lines)
    const acl = aclOf(entries)
    const state = makeState(config, new Relay(() => {}), 1)
    return makeAuth(config, state).fixup(acl, 0, acl.length, ids)
  }

  it('is refused beyond jute.maxbuffer, or with compat.identities beyond what a transaction may have', () => {
    expect(fixup('', 8)).toBeGreaterThan(0) // 8000 entries of some 124 bytes
    expect(fixup('', 9)).toBe(Err.invalidACL)
    expect(fixup('compat.identities=true', 9)).toBeGreaterThan(0)
    expect(fixup('compat.identities=true', 18)).toBe(Err.invalidACL)
  })
})

describe('a leader that hears of no quorum', () => {
  it('answers syncs of its own clients with compat.syncs, and stays', () => {
    const ensemble = new Ensemble(1, { compat: { syncs: true } })
    const client = ensemble.clientOfLeader()
    ensemble.leader.leads = false
    client.send(OpCode.sync, path('/'))
    ensemble.settle()
    expect([client.last.err, client.closed]).toEqual([Err.ok, null])
  })
})

describe('what is meant for servers', () => {
  it('a learner forwards for its client with compat.serverOps, and the leader takes it', () => {
    const ensemble = new Ensemble(1, { compat: { serverOps: true } })
    const client = ensemble.client(0)
    client.send(OpCode.createContainer, create('/k', 4))
    client.send(OpCode.deleteContainer, path('/k'))
    client.send(OpCode.createSession, int(9000))
    client.send(OpCode.exists, path('/k', bool(false)))
    ensemble.settle()
    expect(client.replies.map(({ err }) => err).at(-1)).toBe(Err.noNode)
    expect(client.closed).toBe(null)
  })
})

/** Runs a server in `dir` for as long as `use` takes. */
async function serve(dir: string, lines: string, use: (port: number) => Promise<void>): Promise<void> {
  const text = `dataDir=${dir}\nclientPort=0\nclientPortAddress=127.0.0.1\n${lines}`
  const server = new StandaloneServer(parseConfig(text, 'zoo.cfg', new Map()).config, pino({ level: 'silent' }))
  const { port, close } = await server.start()
  await use(port).finally(close)
}

async function inFolder<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'zoowarden-compat-'))
  try {
    return await use(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A connection with a session, which has been answered. */
async function newSession(port: number, timeoutMs: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  const hello = new Output()
  hello.int(44)
  hello.int(0)
  hello.long(0)
  hello.int(timeoutMs)
  hello.long(0)
  hello.buffer(new Uint8Array(16))
  socket.write(hello.copy())
  await once(socket, 'data')
  return socket
}

describe('a start', () => {
  const snapshots = (lines: string): Promise<string[]> =>
    inFolder(async (dir) => {
      await serve(dir, lines, async (port) => {
        const socket = await newSession(port, 10_000)
        socket.destroy()
      })
      await serve(dir, lines, async () => {})
      return readdirSync(join(dir, 'version-2')).filter((name) => name.startsWith('snapshot.'))
    })

  it('writes a snapshot with compat.snapshotAtStart; else only the very first does', async () => {
    expect(await snapshots('')).toEqual(['snapshot.0'])
    expect(await snapshots('compat.snapshotAtStart=true')).toEqual(['snapshot.0', 'snapshot.1'])
  })
})

describe('a stall of this process', () => {
  interface Behind {
    /** What comes first to a client whose session is half as long as the stall: the answer to its ping, or the end. */
    first: string
    /** Stalls that `mntr` has counted. */
    counted: string
  }

  const behindStall = (lines: string): Promise<Behind> =>
    inFolder(async (dir) => {
      let first = ''
      let words = ''
      await serve(dir, `tickTime=100\nminSessionTimeout=400\n4lw.commands.whitelist=mntr\n${lines}`, async (port) => {
        const socket = await newSession(port, 400)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 800)
        const ping = new Output()
        ping.int(8)
        ping.int(-2)
        ping.int(OpCode.ping)
        socket.write(ping.copy())
        first = await Promise.race([once(socket, 'data').then(() => 'answer'), once(socket, 'close').then(() => 'end')])
        socket.destroy()
        const asking = connect(port, '127.0.0.1', () => asking.write('mntr'))
        for await (const chunk of asking) words += chunk
      })
      return { first, counted: /zk_cnt_jvm_pause_time_ms\t(\d+)/.exec(words)?.[1] ?? 'not there' }
    })

  it('T4: ends no session, is counted, and what was sent meanwhile is answered', async () => {
    expect(await behindStall('')).toEqual({ first: 'answer', counted: '1' })
  })

  it('ends sessions with compat.pauses', async () => {
    expect((await behindStall('compat.pauses=true')).first).toBe('end')
  })
})
