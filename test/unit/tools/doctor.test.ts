import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Diagnosis, diagnose, exitCodeOf, type Finding } from '../../../src/tools/doctor.ts'
import { diagnosisJson, diagnosisText } from '../../../src/tools/doctortext.ts'
import type { ToolTarget } from '../../../src/tools/target.ts'
import { writeEpoch } from '../../../src/txnlog/epochs.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { writeIdentity } from '../../../src/txnlog/identity.ts'
import { lockFolders } from '../../../src/txnlog/lock.ts'
import { writeMark } from '../../../src/txnlog/repair.ts'
import { logFileOf } from '../txnlog/entries.ts'
import { createTxn, makeState } from '../txnlog/states.ts'
import { disk, filesOf, fixtureData, RecordingTerminal, startedFrom, targetOf, tempDir } from './helpers.ts'

/** The diagnosis, and proof that nothing was changed for it. */
async function examined(dir: string, change: Partial<ToolTarget> = {}): Promise<Diagnosis> {
  const before = filesOf(dir)
  const diagnosis = await diagnose(disk, { ...targetOf(dir), ...change }, new RecordingTerminal())
  expect(filesOf(dir)).toEqual(before)
  // Both forms can be made of any diagnosis.
  expect(diagnosisText(diagnosis)).not.toMatch(/undefined|NaN|\[object/)
  expect(JSON.parse(diagnosisJson(diagnosis)).dataDir).toBe(diagnosis.target.dataDir)
  return diagnosis
}

function graded({ findings }: Diagnosis, grade: Finding['grade']): Finding[] {
  return findings.filter((finding) => finding.grade === grade)
}

function at(dir: string, name: string): string {
  return join(dir, 'version-2', name)
}

function damage(path: string, fromEnd: number): number {
  const bytes = readFileSync(path)
  const offset = bytes.length - fromEnd
  bytes[offset]! ^= 0xff
  writeFileSync(path, bytes)
  return offset
}

/** snapshot.0, and a log of creates with these zxids. */
async function madeData(...zxids: number[]): Promise<string> {
  const dir = tempDir()
  mkdirSync(join(dir, 'version-2'))
  await new FileSnapshotStore(disk, join(dir, 'version-2'), SNAPSHOT_DEFAULTS).takeSnapshot(makeState())
  writeFileSync(
    at(dir, `log.${zxids[0]!.toString(16)}`),
    logFileOf(
      zxids.map((zxid) => createTxn(zxid, `/n${zxid}`)),
      64,
    ),
  )
  return dir
}

describe('the doctor', () => {
  for (const life of ['plain', 'gz', 'snappy'] as const) {
    it(`finds a real server's ${life} files fine, and says what a start would have`, async () => {
      const dir = fixtureData(life)
      const diagnosis = await examined(dir)
      const { state, zxidLast, snapshotZxid, txnsReplayed } = await startedFrom(dir)
      expect(graded(diagnosis, 'refusal').concat(graded(diagnosis, 'remark'))).toEqual([])
      expect(exitCodeOf(diagnosis)).toBe(0)
      expect(diagnosis.start).toMatchObject({ zxidLast, snapshotZxid, txnsReplayed, znodeCount: state.tree.nodeCount })
      expect(diagnosis.vote).toBeNull()
      const verdicts = diagnosis.snapshots.map(({ zxid, digest }) => [zxid === 0, digest.verdict])
      expect(verdicts.filter(([first, verdict]) => verdict !== (first ? 'none' : 'equal'))).toEqual([])
      expect(diagnosis.freeBytes[0]!.bytes).toBeGreaterThan(0)
    })
  }

  it('flags root and /zookeeper that everybody may change, as advice (X16)', async () => {
    const diagnosis = await examined(fixtureData('plain'))
    expect(graded(diagnosis, 'advice').map(({ what }) => what)).toEqual([
      'everybody may create, delete, write, change the ACL at /',
      'everybody may create, delete, write, change the ACL at /zookeeper',
      'everybody may create, delete, write, change the ACL at /zookeeper/quota',
    ])
  })

  it('remarks a torn tail, and says that a start cuts it', async () => {
    const dir = await madeData(1, 2, 3)
    truncateSync(at(dir, 'log.1'), readFileSync(at(dir, 'log.1')).length - 64 - 5)
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(1)
    expect(graded(diagnosis, 'remark')[0]!.what).toContain('cut short')
    expect(diagnosis.logs[0]!.tail).toMatchObject({ kind: 'torn', zxidLast: 2 })
    expect(diagnosis.start!.zxidLast).toBe(2)
    expect(diagnosis.start!.changes.join('\n')).toMatch(/write .*torn-log\.1\.\d+\ncut .*log\.1 at byte \d+/)
  })

  it('refuses damage in the log, with file, offset and the commands that mend it', async () => {
    const dir = fixtureData('plain')
    const path = at(dir, 'log.38')
    damage(path, 200)
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(2)
    expect(diagnosis.start).toBeNull()
    const [refusal] = graded(diagnosis, 'refusal')
    expect(refusal).toMatchObject({ file: path, offset: diagnosis.logs.at(-1)!.tail.offset })
    expect(refusal!.mend).toContain(`zoowarden log recover '${path}'`)
    expect(refusal!.mend).toContain(`zoowarden repair --keep longest ${dir}`)
    expect(refusal!.mend).toContain('zoowarden restore')
    const member = await examined(dir, { member: true })
    expect(graded(member, 'refusal')[0]!.mend).toMatch(/^zoowarden repair \S+, and start it .*leader/)
  })

  it('remarks damage that no start reads', async () => {
    const dir = fixtureData('plain')
    damage(at(dir, 'log.1'), 200)
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(1)
    expect(graded(diagnosis, 'remark')[0]).toMatchObject({ file: at(dir, 'log.1') })
    expect(diagnosis.start).not.toBeNull()
  })

  it('refuses a gap in the transactions', async () => {
    const diagnosis = await examined(await madeData(1, 2, 4))
    expect(exitCodeOf(diagnosis)).toBe(2)
    expect(diagnosis.logs[0]!.gaps).toMatchObject([{ before: 2, zxid: 4 }])
    expect(graded(diagnosis, 'refusal')[0]!.what).toContain('missing between zxid 0x2 and 0x4')
  })

  it('passes over a snapshot that is damaged, where older ones and the log reach as far', async () => {
    const dir = fixtureData('plain')
    damage(at(dir, 'snapshot.36'), 500)
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(1)
    expect(graded(diagnosis, 'remark')).toHaveLength(1)
    expect(graded(diagnosis, 'remark')[0]!.file).toBe(at(dir, 'snapshot.36'))
    expect(diagnosis.start).toMatchObject({ snapshotZxid: 0x15, zxidLast: 0x41 })
  })

  it('refuses logs without a snapshot, and names the switch', async () => {
    const dir = await madeData(1, 2)
    rmSync(at(dir, 'snapshot.0'))
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(2)
    expect(graded(diagnosis, 'refusal')[0]!.mend).toContain('-Dzookeeper.snapshot.trust.empty=true')
  })

  it('sees a digest that is not the sealed one', async () => {
    const dir = await madeData(1, 2)
    const state = makeState()
    for (const zxid of [1, 2]) {
      const txn = createTxn(zxid, `/n${zxid}`)
      state.apply(txn, 0, txn.length)
    }
    // Sealed by a server whose tree was another one.
    state.tree.digestLo ^= 1
    await new FileSnapshotStore(disk, join(dir, 'version-2'), SNAPSHOT_DEFAULTS).takeSnapshot(state)
    const diagnosis = await examined(dir)
    expect(diagnosis.snapshots[0]!.digest.verdict).toBe('differs')
    expect(exitCodeOf(diagnosis)).toBe(1)
  })

  it('tells what a member would vote, and of epochs that lag behind', async () => {
    const dir = await madeData(0x2_0000_0001, 0x2_0000_0002)
    writeFileSync(join(dir, 'myid'), '3\n')
    await writeEpoch(disk, join(dir, 'version-2'), 'acceptedEpoch', 4)
    await writeEpoch(disk, join(dir, 'version-2'), 'currentEpoch', 2)
    const fine = await examined(dir)
    expect(exitCodeOf(fine)).toBe(0)
    expect(fine.vote).toEqual({ zxid: 0x2_0000_0002, epoch: 2, serverId: 3 })
    await writeEpoch(disk, join(dir, 'version-2'), 'currentEpoch', 1)
    const late = await examined(dir)
    expect(exitCodeOf(late)).toBe(1)
    expect(graded(late, 'remark')[0]!.what).toContain('currentEpoch is 1')
    writeFileSync(at(dir, 'currentEpoch'), 'two')
    const unreadable = await examined(dir)
    expect(exitCodeOf(unreadable)).toBe(2)
    expect(graded(unreadable, 'refusal')[0]!.mend).toContain(`printf 2 > '${at(dir, 'currentEpoch')}'`)
  })

  it('E12: says whose data it is, and refuses what is not that of this server', async () => {
    const dir = await madeData(1)
    const servers = new Map([[2, ['zk2:2888', 'zk2:3888']]])
    await writeIdentity(disk, join(dir, 'version-2'), { serverId: 2, servers, refused: null })
    const fine = await examined(dir, { serverId: 2, servers })
    expect(exitCodeOf(fine)).toBe(0)
    expect(diagnosisText(fine)).toContain('whose    server 2 among zk2:2888\n')
    const moved = await examined(dir, { serverId: 2, servers: new Map([[2, ['zk9:2888', 'zk9:3888']]]) })
    expect(graded(moved, 'refusal')[0]!.mend).toContain(`zoowarden repair --adopt ${dir}`)
    const alone = await examined(dir, { serverId: 7, member: false })
    expect(exitCodeOf(alone)).toBe(1)
  })

  it('E13: knows a history that was set aside, and that it leaves a member without a vote', async () => {
    const dir = await madeData(1)
    await writeEpoch(disk, join(dir, 'version-2'), 'acceptedEpoch', 4)
    await writeMark(disk, join(dir, 'version-2'), { aside: 'damaged.1', keep: null })
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(1)
    expect(diagnosis.vote).toBeNull()
    expect(diagnosis.start!.zxidLast).toBe(-1)
    expect(diagnosis.start!.changes).toContain(`move ${at(dir, 'log.1')} to ${at(dir, 'damaged.1/log.1')}`)
    const alone = await examined(dir, { member: false })
    expect(graded(alone, 'refusal')[0]!.what).toContain('start it as a member')
  })

  it('knows a directory that a living server holds, and takes its last write for what it is', async () => {
    const dir = await madeData(1, 2, 3)
    truncateSync(at(dir, 'log.1'), readFileSync(at(dir, 'log.1')).length - 64 - 5)
    const lock = await lockFolders([join(dir, 'version-2')], () => {})
    try {
      const diagnosis = await diagnose(disk, targetOf(dir), new RecordingTerminal())
      expect(diagnosis.holders).toEqual([String(process.pid)])
      expect(exitCodeOf(diagnosis)).toBe(0)
      expect(diagnosisText(diagnosis)).toContain(`by process ${process.pid}`)
    } finally {
      lock.release()
    }
    expect((await examined(dir)).holders).toEqual([])
  })

  it("remarks files that Apache's server would take for its own", async () => {
    const dir = await madeData(1)
    writeFileSync(at(dir, 'snapshot.30.tmp'), 'half')
    writeFileSync(at(dir, 'log.1.fixed'), '')
    const diagnosis = await examined(dir)
    expect(exitCodeOf(diagnosis)).toBe(1)
    expect(graded(diagnosis, 'remark').map(({ file }) => file)).toEqual(
      expect.arrayContaining([at(dir, 'snapshot.30.tmp'), at(dir, 'log.1.fixed')]),
    )
  })

  it('explains an empty folder, a missing one, and folders that were mixed up', async () => {
    const empty = await examined(tempDir())
    expect(exitCodeOf(empty)).toBe(0)
    expect(empty.start).toMatchObject({ zxidLast: 0, znodeCount: 4 })
    const mixed = await examined(fixtureData('plain'), { dataLogDir: fixtureData('gz') })
    expect(exitCodeOf(mixed)).toBe(2)
    expect(graded(mixed, 'refusal')[0]!.mend).toBe('set dataDir and dataLogDir as they were before')
  })
})
