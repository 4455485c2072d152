import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { readIdentity } from '../../../src/txnlog/identity.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { logFileOf } from '../txnlog/entries.ts'
import { createTxn, makeState } from '../txnlog/states.ts'
import { packet } from '../zab/lone.ts'
import { Alone, TREE_LINK } from './alone.ts'

const FOLDER = '/data/version-2'
const EPOCH_1 = 2 ** 32
const EPOCH_2 = 2 ** 33

/** What a member has that was up to /n3 in epoch 1. */
async function memberDisk(spoil: (log: Uint8Array) => void = () => {}): Promise<MemDisk> {
  const disk = new MemDisk()
  await new Promise((resolve) => disk.mkdir(FOLDER, resolve))
  await new FileSnapshotStore(disk, FOLDER, SNAPSHOT_DEFAULTS).takeSnapshot(makeState())
  const log = logFileOf([1, 2, 3].map((counter) => createTxn(EPOCH_1 + counter, `/n${counter}`)))
  spoil(log)
  disk.put(`${FOLDER}/log.100000001`, log)
  for (const name of ['acceptedEpoch', 'currentEpoch']) disk.put(`${FOLDER}/${name}`, new TextEncoder().encode('1'))
  return disk
}

function flipInTheMiddle(log: Uint8Array): void {
  log[200]! ^= 4
}

async function startError(alone: Alone, lastSeen: string | null = null): Promise<Error> {
  const err = await alone.member.start(lastSeen).then(
    () => null,
    (failure: unknown) => failure,
  )
  if (err instanceof Error) return err
  throw new Error('it has started')
}

/** The transactions that follow, each with the digest of a tree in which it is applied behind `before`. */
function withDigests(before: readonly Uint8Array[], txns: readonly Uint8Array[]): Uint8Array[] {
  const state = makeState()
  for (const txn of before) state.apply(txn, 0, txn.length)
  return txns.map((txn) => {
    state.apply(txn, 0, txn.length)
    const whole = new Uint8Array(txn.length + 12)
    const view = new DataView(whole.buffer)
    whole.set(txn)
    view.setInt32(txn.length, 2)
    view.setInt32(txn.length + 4, state.tree.digestHi)
    view.setInt32(txn.length + 8, state.tree.digestLo)
    return whole
  })
}

/** DIFF with these transactions, all committed, up to UPTODATE. */
async function sync(alone: Alone, txns: readonly Uint8Array[]): Promise<void> {
  await alone.follow(2)
  alone.receive(TREE_LINK, packet('DIFF', EPOCH_1 + 3 + txns.length))
  txns.forEach((txn, i) => {
    alone.receive(TREE_LINK, packet('PROPOSAL', EPOCH_1 + 4 + i, txn))
    alone.receive(TREE_LINK, packet('COMMIT', EPOCH_1 + 4 + i))
  })
  alone.receive(TREE_LINK, packet('NEWLEADER', EPOCH_2))
  await alone.until(() => alone.sent.some((text) => text.startsWith('ACK ')))
  alone.receive(TREE_LINK, packet('UPTODATE', -1))
}

describe('a member with damaged files', () => {
  it('D4: does not start, and says file, offset, zxid and the command that mends it', async () => {
    const alone = new Alone({ disk: await memberDisk(flipInTheMiddle) })
    const before = alone.disk.names(FOLDER)
    const err = await startError(alone)
    expect(err).toBeInstanceOf(StorageError)
    expect(err.message).toMatch(/damaged behind zxid 0x10000000[12]: checksum mismatch .*log\.100000001 at byte \d+/)
    const { fields, message } = alone.logged.at(-1)!
    expect(fields).toMatchObject({ file: `${FOLDER}/log.100000001`, mend: 'zoowarden repair /zoo.cfg' })
    expect(fields['offset']).toBeGreaterThan(16)
    expect(message).toContain('does not vote with less than it had')
    expect(alone.disk.names(FOLDER)).toEqual(before)
  })

  it('D4 E13: with autoRepair has nothing and no vote, and is brought up to date by a whole tree only', async () => {
    const alone = new Alone({ disk: await memberDisk(flipInTheMiddle), settings: 'autoRepair=true' })
    await alone.member.start(null)
    expect(alone.warnings.some((text) => text.startsWith('damaged history set aside (autoRepair)'))).toBe(true)
    expect(alone.metrics.damageRepairedCount).toBe(1)
    expect(alone.disk.get(`${FOLDER}/damaged.20261125T140309Z/log.100000001`)).not.toBeNull()
    expect(alone.member.zab.acceptedEpoch).toBe(1)
    await alone.follow(2)
    // Nothing (-1), and no promise for a comparison of histories (-1).
    expect(alone.sent.find((text) => text.startsWith('ACKEPOCH'))).toBe('ACKEPOCH -1 ffffffff')
    alone.receive(TREE_LINK, packet('DIFF', EPOCH_1 + 3))
    expect(alone.closed).toContain(TREE_LINK)
  })

  it('D4: with autoRepair does not start either where the others are no quorum without it', async () => {
    const servers = 'server.1=127.0.0.1:2001:3001\nserver.2=127.0.0.1:2002:3002'
    const alone = new Alone({ disk: await memberDisk(flipInTheMiddle), servers, settings: 'autoRepair=true' })
    await startError(alone)
    expect(alone.disk.names(FOLDER)).not.toContain('resync')
  })

  it('E13: has no vote where all its files are gone but the epoch it has accepted, unless it is told to begin anew', async () => {
    const disk = await memberDisk()
    for (const name of ['snapshot.0', 'log.100000001'])
      await new Promise((resolve) => disk.unlink(`${FOLDER}/${name}`, resolve))
    const zxidOf = async (alone: Alone): Promise<unknown> => {
      await alone.member.start(null)
      return alone.logged.find(({ message }) => message === 'data loaded')!.fields['zxid']
    }
    expect(await zxidOf(new Alone({ disk: disk.afterKill() }))).toBe('0xffffffffffffffff')
    disk.put('/data/initialize', new Uint8Array(0))
    expect(await zxidOf(new Alone({ disk: disk.afterKill() }))).toBe('0x0')
    expect(await zxidOf(new Alone())).toBe('0x0')
  })

  it('D2: what the system refuses to read is not damage: nothing is set aside', async () => {
    const alone = new Alone({ disk: await memberDisk(), settings: 'autoRepair=true' })
    alone.disk.fault = (step, path) =>
      step === 'read' && path.endsWith('log.100000001') ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null
    expect((await startError(alone)).message).toContain('EIO')
    expect(alone.disk.names(FOLDER)).not.toContain('resync')
  })
})

describe("a member's data", () => {
  it('E12: is noted at the first start, and refused by another server and in another ensemble', async () => {
    const disk = await memberDisk()
    await new Alone({ disk }).member.start(null)
    const identity = await readIdentity(disk, FOLDER)
    expect(identity).toMatchObject({ serverId: 1, refused: null })
    expect(identity!.servers.get(3)).toEqual(['127.0.0.1:2003', '127.0.0.1:3003'])
    const other = await startError(new Alone({ disk: disk.afterKill(), sid: 2 }))
    expect(other.message).toMatch(/data of server 1, but myid says 2.*zoowarden repair --adopt \/zoo\.cfg/)
    const servers = 'server.1=10.0.0.1:2001:3001\nserver.2=10.0.0.2:2002:3002'
    expect((await startError(new Alone({ disk: disk.afterKill(), servers }))).message).toContain('another ensemble')
    await new Alone({ disk: disk.afterKill() }).member.start(null)
  })

  it('E12: that the first transaction from the leader does not fit ends the start, and every one after it', async () => {
    const alone = new Alone({ disk: await memberDisk() })
    await alone.member.start(null)
    const elsewhere = [
      createTxn(EPOCH_1 + 1, '/of'),
      createTxn(EPOCH_1 + 2, '/another'),
      createTxn(EPOCH_1 + 3, '/world'),
    ]
    await sync(alone, withDigests(elsewhere, [createTxn(EPOCH_1 + 4, '/n4')]))
    await alone.until(() => alone.failures.length > 0)
    expect(alone.failures[0]!.message).toContain('the transaction of zxid 0x100000004 does not fit its tree')
    expect(alone.member.zab.established).toBe(false)
    expect((await startError(new Alone({ disk: alone.disk.afterKill() }))).message).toMatch(
      /does not fit its tree.*zoowarden repair \/zoo\.cfg sets the data aside/,
    )
  })

  it('E12: that has agreed once is the ensemble’s: what differs later is reported, and ends nothing', async () => {
    const alone = new Alone({ disk: await memberDisk() })
    await alone.member.start(null)
    const before = [1, 2, 3].map((counter) => createTxn(EPOCH_1 + counter, `/n${counter}`))
    const [fourth] = withDigests(before, [createTxn(EPOCH_1 + 4, '/n4')])
    const [fifth] = withDigests([], [createTxn(EPOCH_1 + 5, '/n5')])
    await sync(alone, [fourth!, fifth!])
    await alone.until(() => alone.member.zab.established)
    expect(alone.failures).toEqual([])
    expect(alone.metrics.counters.digest_mismatches_count).toBe(1)
    expect(alone.warnings).toContain('the tree is not what the author of this transaction had: digests differ')
  })
})

describe('the configuration at a start', () => {
  it('must list the server itself, as in Java; the error says how to join', async () => {
    const servers = 'server.2=127.0.0.1:2002:3002\nserver.3=127.0.0.1:2003:3003'
    const err = await startError(new Alone({ servers }))
    expect(err.name).toBe('ConfigError')
    expect(err.message).toMatch(/server 1 \(myid\) is not in the list of servers.*add its own line server\.1=/)
  })

  it('is the newest of the files, the one that was proposed, and the one in the log', async () => {
    const lines = (port: number) =>
      `server.1=127.0.0.1:${port}:3001:participant\nserver.2=127.0.0.1:2002:3002:participant`
    const disk = await memberDisk((log) => log.fill(0))
    const state = makeState()
    const path = new TextEncoder().encode('/zookeeper/config')
    const text = new TextEncoder().encode(`${lines(2011)}\nversion=100000007`)
    state.tree.setData(state.tree.find(path, 0, path.length), text, 0, text.length, -1, 0x1_0000_0007, 1)
    state.zxidLast = EPOCH_1
    disk.put(`${FOLDER}/log.100000001`, logFileOf([createTxn(EPOCH_1 + 1, '/n1')]))
    await new FileSnapshotStore(disk, FOLDER, SNAPSHOT_DEFAULTS).takeSnapshot(state)
    for (const [next, expected] of [
      [null, '100000007'],
      [`${lines(2012)}\nversion=100000005`, '100000007'],
      [`${lines(2012)}\nversion=100000009`, '100000009'],
    ] as const) {
      const alone = new Alone({ disk: disk.afterKill(), settings: 'reconfigEnabled=true' })
      await alone.member.start(next)
      expect(alone.member.zab.lastSeen.version.toString(16)).toBe(expected)
      expect(alone.member.zab.committed.version).toBe(0)
    }
  })
})
