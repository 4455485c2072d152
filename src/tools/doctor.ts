/**
 * Explains a data directory: what is in it, whether a server would start from it and as what, and what is wrong, each
 * trouble with the command that mends it. Changes nothing, also beside a running server.
 *
 * The verdict is not an imitation of recovery: recovery itself runs, on a disk that only pretends to change
 * (drydisk.ts). The files are then also looked at one by one, since recovery reads no more of them than it needs.
 *
 * Three grades of findings: a `refusal` keeps a server from starting; with a `remark` it starts, but somebody should
 * know; `advice` is about what works and could be better.
 */

import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { openPaths } from '../datatree/openacls.ts'
import type { DataTree } from '../datatree/tree.ts'
import { StorageError } from '../jute/errors.ts'
import { epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, errorCode, later } from '../txnlog/disk.ts'
import { loadEpochs, readEpoch } from '../txnlog/epochs.ts'
import { IDENTITY_NAME, type Identity, identityConflict, readIdentity } from '../txnlog/identity.ts'
import { folderHolders } from '../txnlog/lock.ts'
import { logNames, PARTIAL_PREFIX, snapshotNames, TORN_PREFIX, zxidOfName } from '../txnlog/names.ts'
import { type RecoverEvent, type Recovered, recover } from '../txnlog/recover.ts'
import { ASIDE_PREFIX } from '../txnlog/repair.ts'
import { withCheckpoint } from './checkpointcopy.ts'
import { examineLogs, examineSnapshots, type LogReport, type SnapshotReport } from './doctorfiles.ts'
import { mendDigest, mendEpoch, mendIdentity, mendRefusal, mendSnapshot } from './doctormends.ts'
import { DryDisk } from './drydisk.ts'
import { logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import type { Terminal } from './terminal.ts'

export interface Finding {
  readonly grade: 'refusal' | 'remark' | 'advice'
  readonly what: string
  readonly file: string | null
  readonly offset: number | null
  /** What to do, a command where there is one; '' where nothing needs to be done. */
  readonly mend: string
}

/** How a server would come up from here. */
export interface StartReport {
  readonly zxidLast: Zxid
  readonly snapshotZxid: Zxid
  readonly txnsReplayed: number
  readonly znodeCount: number
  readonly sessionCount: number
  readonly ephemeralCount: number
  readonly digest: { hi: number; lo: number }
  /** What it would do to the files before it serves. */
  readonly changes: readonly string[]
}

export interface EpochReport {
  /** As in the files; null where there is no file or it cannot be read. */
  readonly accepted: number | null
  readonly current: number | null
}

export interface Diagnosis {
  readonly target: ToolTarget
  /** Processes that hold the folders at this moment. */
  readonly holders: readonly string[]
  readonly snapshots: readonly SnapshotReport[]
  readonly logs: readonly LogReport[]
  readonly epochs: EpochReport
  /** Whose data it is; null where nothing says. */
  readonly identity: Identity | null
  /** Null where it would not start. */
  readonly start: StartReport | null
  /** What it would propose itself with; null where it would not, or is no member of an ensemble. */
  readonly vote: { zxid: Zxid; epoch: number; serverId: number | null } | null
  readonly freeBytes: readonly { path: string; bytes: number }[]
  readonly findings: readonly Finding[]
}

/** Room for a new log's preallocation and then some. */
const FREE_BYTES_MIN = 256 * 1024 * 1024

export async function diagnose(disk: Disk, target: ToolTarget, terminal: Terminal): Promise<Diagnosis> {
  const findings: Finding[] = []
  const snapDir = snapDirOf(target)
  const logDir = logDirOf(target)
  const folders = [...new Set([snapDir, logDir])]
  const present = folders.filter((folder) => existsSync(folder))
  const holders: string[] = []
  for (const folder of present) {
    for (const pid of await folderHolders(folder)) if (!holders.includes(pid)) holders.push(pid)
  }
  const live = holders.length > 0
  const logs = present.includes(logDir) ? await examineLogs(disk, target, terminal) : []
  const snapshots = present.includes(snapDir) ? await examineSnapshots(disk, target, terminal) : []
  const dry = new DryDisk(disk)
  const identity = await examineIdentity(disk, target, findings)
  const member = target.member ?? (await hasEpochs(disk, target))
  const recovered = await withCheckpoint(disk, target, (checkpoint) =>
    tryStart(dry, { ...target, member, recover: { ...target.recover, checkpoint } }, live, findings, terminal),
  )
  fileFindings(logs, snapshots, live, findings)
  const epochs = await examineEpochs(disk, dry, target, recovered, findings)
  for (const folder of present) strangers(await later<string[]>((got) => disk.list(folder, got)), folder, findings)
  const freeBytes = await examineSpace(present.length > 0 ? present : [target.dataDir], snapshots, findings)
  if (!live) pidFile(target, findings)
  if (recovered !== null) openAcls(recovered.state.tree, findings)
  const votes = recovered !== null && member && recovered.zxidLast >= 0
  const epoch = recovered === null ? 0 : Math.max(epochs.current ?? 0, epochOf(Math.max(0, recovered.zxidLast)))
  return {
    target,
    holders,
    snapshots,
    logs,
    epochs,
    identity,
    start: recovered === null ? null : startReport(recovered, dry),
    vote: votes ? { zxid: recovered.zxidLast, epoch, serverId: target.serverId } : null,
    freeBytes,
    findings,
  }
}

/** Runs recovery as a start would. Null, with a refusal, where that would not start. */
async function tryStart(
  dry: DryDisk,
  target: ToolTarget,
  live: boolean,
  findings: Finding[],
  terminal: Terminal,
): Promise<Recovered | null> {
  let mismatches: Zxid[] = []
  terminal.progress('trying a start')
  try {
    const recovered = await recover(
      dry,
      target,
      () => {
        const found: Zxid[] = []
        mismatches = found
        return targetState(target, (zxid) => found.push(zxid))
      },
      { ...target.recover, resync: target.member === true },
      (event) => eventFinding(event, live, findings),
    )
    if (mismatches.length > 0) {
      const zxid = `0x${zxidHex(mismatches[0]!)}`
      const what = `${mismatches.length} digests in the log are not the tree's; the first at zxid ${zxid}`
      findings.push({ grade: 'remark', what, file: null, offset: null, mend: mendDigest() })
    }
    return recovered
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    const { file, offset } = err
    findings.push({ grade: 'refusal', what: err.message, file, offset, mend: mendRefusal(err, target) })
    return null
  } finally {
    terminal.progress(null)
  }
}

/** What recovery says while it works, as far as somebody should know. */
function eventFinding({ kind, file, message }: RecoverEvent, live: boolean, findings: Finding[]): void {
  const add = (grade: Finding['grade'], mend: string): void => {
    findings.push({ grade, what: message, file, offset: null, mend })
  }
  if (kind === 'snapshotRejected' || kind === 'snapshotUncovered') add('remark', mendSnapshot(file))
  if (kind === 'logOverlap') add('remark', '')
  if (kind === 'emptyDatabase') add('advice', '')
  if (kind === 'historyAside') add('remark', 'nothing: start it while the others have a leader')
  // A running server is writing just there.
  if (kind === 'tornTail' && !live) {
    const what = `the log ends in a write that was cut short, which was never acknowledged: ${message}`
    findings.push({ grade: 'remark', what, file, offset: null, mend: 'nothing: a start cuts it and keeps a copy' })
  }
}

/** What the files show that a start would not notice. */
function fileFindings(
  logs: readonly LogReport[],
  snapshots: readonly SnapshotReport[],
  live: boolean,
  findings: Finding[],
): void {
  const known = (file: string, grade?: Finding['grade']): boolean =>
    findings.some((finding) => finding.file === file && (grade === undefined || finding.grade === grade))
  for (const { path, tail, gaps, isLast } of logs) {
    if (tail.kind === 'damage' && !known(path, 'refusal') && !(live && isLast)) {
      const what = `damaged, but older than anything a start reads: ${tail.reason}`
      const mend = 'zoowarden cleanup removes it in time'
      findings.push({ grade: 'remark', what, file: path, offset: tail.offset, mend })
    }
    for (const { before, zxid, offset } of gaps) {
      if (findings.some(({ grade, file }) => grade === 'refusal' && file === path)) continue
      const what = `transactions are missing between zxid 0x${zxidHex(before)} and 0x${zxidHex(zxid)}`
      findings.push({ grade: 'remark', what, file: path, offset, mend: 'nothing: no start reads across it' })
    }
  }
  for (const { path, error, digest } of snapshots) {
    if (error !== null && !known(path)) {
      findings.push({ grade: 'remark', what: error, file: path, offset: null, mend: mendSnapshot(path) })
    }
    if (digest.verdict === 'differs') {
      const what = `the tree's digest is ${digest.computed}, the sealed one ${digest.sealed}`
      findings.push({ grade: 'remark', what, file: path, offset: null, mend: mendDigest() })
    }
  }
}

async function hasEpochs(disk: Disk, target: ToolTarget): Promise<boolean> {
  const names = existsSync(snapDirOf(target)) ? await later<string[]>((got) => disk.list(snapDirOf(target), got)) : []
  return names.includes('acceptedEpoch') || names.includes('currentEpoch')
}

/** Only a member of an ensemble looks at it. */
async function examineIdentity(disk: Disk, target: ToolTarget, findings: Finding[]): Promise<Identity | null> {
  const snapDir = snapDirOf(target)
  const file = join(snapDir, IDENTITY_NAME)
  const add = (what: string, mend: string): void => {
    const grade = target.member === false ? 'remark' : 'refusal'
    findings.push({ grade, what, file, offset: null, mend })
  }
  try {
    const identity = existsSync(snapDir) ? await readIdentity(disk, snapDir) : null
    const conflict = identity === null ? null : identityConflict(identity, target.serverId, target.servers)
    if (conflict !== null) add(conflict, mendIdentity(target, identity?.refused === null))
    return identity
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    add(err.message, mendIdentity(target, true))
    return null
  }
}

async function examineEpochs(
  disk: Disk,
  dry: DryDisk,
  target: ToolTarget,
  recovered: Recovered | null,
  findings: Finding[],
): Promise<EpochReport> {
  const snapDir = snapDirOf(target)
  const found: (number | null)[] = []
  for (const name of ['acceptedEpoch', 'currentEpoch']) {
    try {
      found.push(await readEpoch(disk, snapDir, name))
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      found.push(null)
      // Only a member of an ensemble reads it.
      const grade = target.member === false ? 'remark' : 'refusal'
      findings.push({ grade, what: err.message, file: err.file, offset: err.offset, mend: mendEpoch(err, recovered) })
    }
  }
  const [accepted, current] = found as [number | null, number | null]
  const unreadable = findings.some(({ file }) => file !== null && /(accepted|current)Epoch$/.test(file))
  if (!unreadable && recovered !== null && (accepted !== null || current !== null)) {
    await loadEpochs(dry, snapDir, recovered.zxidLast, (message) => {
      const mend = "nothing for this server, which raises it at its start; Apache's refuses"
      findings.push({ grade: 'remark', what: message, file: snapDir, offset: null, mend })
    })
  }
  return { accepted, current }
}

/** Names that are nobody's, and those that Java would take for its own although they are none of ours. */
function strangers(names: readonly string[], folder: string, findings: Finding[]): void {
  const ours = new Set([...logNames(names), ...snapshotNames(names)].map(({ name }) => name))
  for (const name of names) {
    const file = join(folder, name)
    if (!ours.has(name) && (zxidOfName(name, 'log') >= 0 || zxidOfName(name, 'snapshot') >= 0)) {
      const what = "not read by this server, but Apache's would take it for one of its files"
      findings.push({ grade: 'remark', what, file, offset: null, mend: `mv '${file}' elsewhere` })
    } else if (name.startsWith(TORN_PREFIX)) {
      const what = 'the copy of a write that was cut short and cut off'
      findings.push({ grade: 'advice', what, file, offset: null, mend: `rm '${file}' when nobody wants to look at it` })
    } else if (name.startsWith(PARTIAL_PREFIX)) {
      const what = 'a snapshot that is being written, or that never ended'
      findings.push({ grade: 'advice', what, file, offset: null, mend: 'nothing: a start removes it' })
    } else if (name.startsWith(ASIDE_PREFIX)) {
      const what = 'a history that was set aside'
      findings.push({
        grade: 'advice',
        what,
        file,
        offset: null,
        mend: `rm -r '${file}' when nobody needs it any more`,
      })
    }
  }
}

async function examineSpace(
  folders: readonly string[],
  snapshots: readonly SnapshotReport[],
  findings: Finding[],
): Promise<{ path: string; bytes: number }[]> {
  const found: { path: string; bytes: number }[] = []
  const wanted = Math.max(FREE_BYTES_MIN, 2 * Math.max(0, ...snapshots.map(({ bytes }) => bytes)))
  for (const path of folders) {
    let bytes: number
    try {
      const stats = await statfs(path)
      bytes = stats.bavail * stats.bsize
    } catch (err) {
      if (errorCode(err) === 'ENOENT') continue
      throw err
    }
    found.push({ path, bytes })
    if (bytes >= wanted) continue
    const what = `${sizeText(bytes)} free; a new log and two snapshots may need ${sizeText(wanted)}`
    findings.push({ grade: 'remark', what, file: path, offset: null, mend: 'zoowarden cleanup, or a larger disk' })
  }
  return found
}

/** Apache's servers hold no lock; the start script's pid file is all that tells of one. */
function pidFile(target: ToolTarget, findings: Finding[]): void {
  const path = join(target.dataDir, 'zookeeper_server.pid')
  if (!existsSync(path)) return
  const pid = Number(readFileSync(path, 'latin1').trim())
  if (!Number.isInteger(pid) || pid <= 0) return
  try {
    process.kill(pid, 0)
  } catch (err) {
    if (errorCode(err) !== 'EPERM') return
  }
  const what = `process ${pid} is alive and may be a server of Apache's on this directory: what is read here may change`
  findings.push({ grade: 'advice', what, file: path, offset: null, mend: '' })
}

/** Whoever reaches the client port may do that. */
function openAcls(tree: DataTree, findings: Finding[]): void {
  for (const { path, may } of openPaths(tree)) {
    const mend = `zkCli.sh setAcl ${path} world:anyone:r,digest:<user>:<hash>:cdrwa`
    findings.push({ grade: 'advice', what: `everybody may ${may} at ${path}`, file: null, offset: null, mend })
  }
}

function startReport(recovered: Recovered, dry: DryDisk): StartReport {
  const { state } = recovered
  const verb = { make: 'write', cut: 'cut', move: 'move', remove: 'remove' } as const
  return {
    zxidLast: recovered.zxidLast,
    snapshotZxid: recovered.snapshotZxid,
    txnsReplayed: recovered.txnsReplayed,
    znodeCount: state.tree.nodeCount,
    sessionCount: state.sessions.size,
    ephemeralCount: state.tree.ephemeralsCount,
    digest: { hi: state.tree.digestHi, lo: state.tree.digestLo },
    changes: dry.changes.map(({ what, path, bytes }) =>
      what === 'cut' ? `cut ${path} at byte ${bytes}` : `${verb[what]} ${path}`,
    ),
  }
}

export function sizeText(bytes: number): string {
  if (bytes < 10 * 1024) return `${bytes} bytes`
  const kilobytes = bytes / 1024
  return kilobytes < 10 * 1024 ? `${kilobytes.toFixed(0)} KB` : `${(kilobytes / 1024).toFixed(0)} MB`
}

/** 0 fine, 1 would start with remarks, 2 would not start. */
export function exitCodeOf({ findings }: Diagnosis): number {
  if (findings.some(({ grade }) => grade === 'refusal')) return 2
  return findings.some(({ grade }) => grade === 'remark') ? 1 : 0
}
