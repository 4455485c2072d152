import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { adopt, type RepairOptions, repair } from '../../../src/tools/repair.ts'
import type { ToolTarget } from '../../../src/tools/target.ts'
import { writeEpoch } from '../../../src/txnlog/epochs.ts'
import { readIdentity, writeIdentity } from '../../../src/txnlog/identity.ts'
import { lockFolders } from '../../../src/txnlog/lock.ts'
import { readMark } from '../../../src/txnlog/repair.ts'
import { disk, failureOf, filesOf, fixtureData, RecordingTerminal, startedFrom, targetOf, tempDir } from './helpers.ts'

const NOW_MS = Date.UTC(2026, 10, 25, 14, 3, 9)
const ASIDE = 'damaged.20261125T140309Z'
const SERVERS = new Map([[2, ['zk2:2888', 'zk2:3888']]])

function at(dir: string, ...names: string[]): string {
  return join(dir, 'version-2', ...names)
}

function damage(path: string, fromEnd: number): void {
  const bytes = readFileSync(path)
  bytes[bytes.length - fromEnd]! ^= 0xff
  writeFileSync(path, bytes)
}

/** A real server's files, the newest log damaged in the middle; it ends at 0x41. */
function damagedData(): string {
  const dir = fixtureData('plain')
  damage(at(dir, 'log.38'), 200)
  return dir
}

async function memberData(dir = damagedData()): Promise<string> {
  await writeEpoch(disk, at(dir), 'acceptedEpoch', 4)
  await writeEpoch(disk, at(dir), 'currentEpoch', 3)
  await writeIdentity(disk, at(dir), { serverId: 2, servers: SERVERS, refused: null })
  return dir
}

async function run(dir: string, options: Partial<RepairOptions> = {}, change: Partial<ToolTarget> = {}) {
  const terminal = new RecordingTerminal()
  const all = { keep: null, force: false, dryRun: false, nowMs: NOW_MS, ...options }
  const code = await repair(disk, { ...targetOf(dir), ...change }, all, terminal)
  return { code, output: terminal.output }
}

describe('zoowarden repair', () => {
  it("D4: sets a member's damaged history aside, says so file by file, and keeps its epochs", async () => {
    const dir = await memberData()
    const before = filesOf(dir).filter((line) => /\/(log|snapshot)\./.test(line))
    const { code, output } = await run(dir)
    expect(code).toBe(0)
    expect(output).toMatch(/transaction log damaged behind zxid 0x[0-9a-f]+: .*log\.38 at byte \d+/)
    expect(output).toContain(`${at(dir, 'log.38')} -> ${at(dir, ASIDE, 'log.38')}`)
    expect(output).toContain('does not vote until')
    expect(readdirSync(at(dir)).sort()).toEqual(['acceptedEpoch', 'currentEpoch', ASIDE, 'resync'])
    const after = filesOf(at(dir, ASIDE)).map((line) => `version-2/${line}`)
    expect(after.sort()).toEqual(before.sort())
    expect(readFileSync(at(dir, 'acceptedEpoch'), 'latin1')).toBe('4')
  })

  it('changes nothing with --dry-run, and nothing in use', async () => {
    const dir = await memberData()
    const before = filesOf(dir)
    const { output } = await run(dir, { dryRun: true })
    expect(output).toContain(`would set aside ${at(dir, 'log.38')}\n`)
    expect(filesOf(dir)).toEqual(before)
    const lock = await lockFolders([at(dir)], () => {})
    expect((await failureOf(run(dir))).message).toContain(`in use by process ${process.pid}`)
    lock.release()
    expect(filesOf(dir)).toEqual(before)
  })

  it('leaves a directory alone from which a server starts, unless it is told otherwise', async () => {
    const dir = await memberData(fixtureData('plain'))
    const before = filesOf(dir)
    expect((await run(dir)).output).toContain('nothing was changed')
    expect(filesOf(dir)).toEqual(before)
    await run(dir, { force: true })
    expect((await readMark(disk, at(dir)))?.aside).toBe(ASIDE)
  })

  it('goes on where it was interrupted', async () => {
    const dir = await memberData()
    await run(dir)
    writeFileSync(at(dir, 'log.2a'), 'left behind')
    const { output } = await run(dir, { nowMs: NOW_MS + 60_000 })
    expect(output).toContain(`${at(dir, 'log.2a')} -> ${at(dir, ASIDE, 'log.2a')}`)
    expect(readdirSync(at(dir)).filter((name) => name.startsWith('damaged'))).toEqual([ASIDE])
  })

  it('begins anew where the mark of an earlier repair cannot be read any more', async () => {
    const dir = await memberData(fixtureData('plain'))
    writeFileSync(at(dir, 'resync'), 'aside=?')
    expect((await run(dir)).output).toContain('does not say where the old history went')
    expect(await readMark(disk, at(dir))).toEqual({ aside: ASIDE, keep: null })
  })

  it('asks what to keep where nobody else has it: a server alone, and one of two voters', async () => {
    const alone = damagedData()
    const before = filesOf(alone)
    expect((await failureOf(run(alone))).message).toMatch(/runs alone .*--keep longest/)
    const pair = { member: true, hasOthers: false }
    expect((await failureOf(run(await memberData(), {}, pair))).message).toContain('no quorum can form without')
    expect(filesOf(alone)).toEqual(before)
  })

  it('D4: keeps what is ahead of the damage, for a server that runs alone', async () => {
    const dir = damagedData()
    const { output } = await run(dir, { keep: 'longest' })
    const kept = /znodes at zxid 0x([0-9a-f]+), from .*snapshot\.36 and (\d+) transactions/.exec(output)!
    expect(output).toMatch(/lost: what is behind, since transaction log damaged/)
    const zxid = Number.parseInt(kept[1]!, 16)
    expect(zxid).toBeGreaterThan(0x36)
    expect(zxid).toBeLessThan(0x41)
    // What the undamaged files lead to at that zxid.
    const sound = fixtureData('plain')
    await run(sound, { keep: zxid, force: true })
    const [left, right] = [await startedFrom(dir), await startedFrom(sound)]
    expect(left).toMatchObject({ zxidLast: zxid, mismatches: [] })
    expect([left.state.tree.digestHi, left.state.tree.digestLo]).toEqual([
      right.state.tree.digestHi,
      right.state.tree.digestLo,
    ])
    expect(readdirSync(at(dir)).sort()).toEqual(
      [ASIDE, kept[1]!].map((name) => (name === ASIDE ? name : `snapshot.${name}`)),
    )
    expect(readdirSync(at(dir, ASIDE))).toContain('log.38')
  })

  it('D6 D7: keeps the log behind an older snapshot, or a snapshot whose log is gone', async () => {
    const older = fixtureData('plain')
    damage(at(older, 'snapshot.36'), 500)
    for (const name of ['log.17', 'log.38']) rmSync(at(older, name))
    expect((await run(older, { keep: 'longest' })).output).toMatch(/zxid 0x16, from .*snapshot\.15/)
    const bare = fixtureData('plain', (name) => name.startsWith('snapshot.'))
    const { output } = await run(bare, { keep: 'longest', force: true })
    expect(output).toMatch(/from .*snapshot\.[0-9a-f]+ and 0 transactions/)
    const none = fixtureData('plain', (name) => name.startsWith('log.'))
    expect((await failureOf(run(none, { keep: 'longest' }))).message).toContain('restore a backup')
  })

  it('E12: sets aside what is not this server’s data; --adopt takes it for that', async () => {
    const dir = await memberData(fixtureData('plain'))
    const three = { serverId: 3, servers: SERVERS, hasOthers: true }
    const dry = await run(dir, { dryRun: true }, three)
    expect(dry.output).toContain('the data of server 2, but myid says 3')
    const terminal = new RecordingTerminal()
    expect(await adopt(disk, targetOf(dir), false, terminal)).toBe(0)
    expect(terminal.output).toContain('server 2 among zk2:2888')
    expect(await readIdentity(disk, at(dir))).toBeNull()
    expect((await run(dir, {}, three)).output).toContain('nothing was changed')
    await writeIdentity(disk, at(dir), { serverId: 3, servers: SERVERS, refused: 'found to be foreign' })
    expect((await failureOf(adopt(disk, targetOf(dir), false, terminal))).message).toContain('found to be foreign')
    expect((await run(dir, {}, three)).output).toContain('found to be foreign\n')
    expect(await readIdentity(disk, at(dir))).toBeNull()
  })

  it('refuses folders that are none, and --keep for a member', async () => {
    expect((await failureOf(run(tempDir()))).message).toContain('no such folder')
    const dir = await memberData()
    expect((await failureOf(run(dir, { keep: 'longest' }))).message).toContain('its leader sends everything')
  })
})
