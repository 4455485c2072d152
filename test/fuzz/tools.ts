/**
 * The tools on damaged files, in a real folder: whatever a file says, a tool prints, or ends with an error of its own.
 * A restored backup is what was backed up, or nothing.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StorageError } from '../../src/jute/errors.ts'
import { backup } from '../../src/tools/backup.ts'
import { diagnose } from '../../src/tools/doctor.ts'
import { diagnosisJson, diagnosisText } from '../../src/tools/doctortext.ts'
import { chopLog, dumpLog, recoverLog } from '../../src/tools/logtool.ts'
import { restore } from '../../src/tools/restore.ts'
import { compareSnapshots } from '../../src/tools/snapshotcompare.ts'
import { showSnapshot, snapshotJson, snapshotSummary } from '../../src/tools/snapshotshow.ts'
import { folderTarget } from '../../src/tools/target.ts'
import { type Terminal, UsageError } from '../../src/tools/terminal.ts'
import { errorCode, nodeDisk } from '../../src/txnlog/disk.ts'
import { RECOVER_DEFAULTS, recover } from '../../src/txnlog/recover.ts'
import { type Base, emptyState, fingerprint } from './bases.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'

const LENGTH_MAX = RECOVER_DEFAULTS.lengthMax
const SILENT: Terminal = { out() {}, err() {}, ask: async () => null, progress() {} }
const GOOD: Verdict = { outcome: 'not judged', problem: null }

/** Null: it ended with an error of its own. Anything else that is thrown is thrown on. */
async function outcome<T>(tool: Promise<T>): Promise<T | null> {
  try {
    return await tool
  } catch (err) {
    if (err instanceof StorageError || err instanceof UsageError || errorCode(err) !== '') return null
    throw err
  }
}

export async function judgeTools(each: Case, base: Base): Promise<Verdict> {
  return inFolder(async (folder) => {
    const version2 = join(folder, 'version-2')
    mkdirSync(version2)
    for (const [name, bytes] of base.files) writeFileSync(join(version2, name), bytes)
    const path = join(version2, each.file)
    writeFileSync(path, each.bytes)
    const disk = nodeDisk()
    const target = folderTarget(folder, null, LENGTH_MAX)
    const diagnosis = await diagnose(disk, target, SILENT)
    diagnosisText(diagnosis)
    diagnosisJson(diagnosis)
    if (Buffer.compare(readFileSync(path), each.bytes) !== 0) return wrong('the doctor changed a file')
    if (each.file.startsWith('log.')) {
      await outcome(dumpLog(disk, path, LENGTH_MAX, SILENT))
      await outcome(recoverLog(disk, path, LENGTH_MAX, { yes: true, verbose: true }, SILENT))
      await outcome(chopLog(disk, path, base.zxidLast - 1, LENGTH_MAX, SILENT))
      rmSync(`${path}.fixed`, { force: true })
    } else {
      const options = { byteThreshold: 0, nodeThreshold: 0, debug: true, interactive: false }
      const right = join(version2, base.snapshots.at(-1)!)
      await outcome(showSnapshot(disk, path, true, LENGTH_MAX, SILENT))
      await outcome(snapshotJson(disk, path, LENGTH_MAX, 0, SILENT))
      await outcome(snapshotSummary(disk, path, '/', 0, LENGTH_MAX, SILENT))
      await outcome(compareSnapshots(disk, { left: path, right, ...options }, LENGTH_MAX, SILENT))
    }
    const archive = join(folder, 'backup')
    const done = await outcome(backup(disk, target, archive, { createdBy: 'test', nowMs: 0 }, SILENT))
    if (done !== null && diagnosis.start === null) return wrong('a backup of a folder that does not start')
    return GOOD
  })
}

/** The archive of a whole folder. */
export async function makeArchive(base: Base): Promise<Uint8Array> {
  let archive = new Uint8Array(0)
  await inFolder(async (folder) => {
    mkdirSync(join(folder, 'version-2'))
    for (const [name, bytes] of base.files) writeFileSync(join(folder, 'version-2', name), bytes)
    const path = join(folder, 'backup.tar.gz')
    const target = folderTarget(folder, null, LENGTH_MAX)
    await backup(nodeDisk(), target, path, { createdBy: 'test', nowMs: 0 }, SILENT)
    archive = Uint8Array.from(readFileSync(path))
    return GOOD
  })
  return archive
}

/** `base`: what was backed up. */
export async function judgeArchive(each: Case, base: Base): Promise<Verdict> {
  return inFolder(async (folder) => {
    const path = join(folder, 'backup')
    writeFileSync(path, each.bytes)
    const disk = nodeDisk()
    const target = folderTarget(join(folder, 'data'), null, LENGTH_MAX)
    mkdirSync(target.dataDir)
    const done = await outcome(restore(disk, path, target, { zxid: null, sessions: true }, SILENT))
    if (done === null) return { outcome: 'refused', problem: null }
    const recovered = await recover(
      disk,
      target,
      () => emptyState(),
      RECOVER_DEFAULTS,
      () => {},
    )
    const expected = base.states.get(base.zxidLast)
    if (fingerprint(recovered.state) !== expected) return wrong('another state than the one that was backed up')
    return { outcome: 'started', problem: null }
  })
}

function wrong(problem: string): Verdict {
  return { outcome: 'not judged', problem }
}

async function inFolder(work: (folder: string) => Promise<Verdict>): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'zoowarden-fuzz-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
