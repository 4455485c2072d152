/**
 * File names of logs and snapshots: `log.<zxid>`, `snapshot.<zxid>[.gz|.snappy]`, zxid in lower-case hex.
 *
 * Java takes any name whose first dot-part is `log` or `snapshot` and whose second is hex, whatever follows: its own
 * left-over `snapshot.30.tmp` is loaded as a snapshot (Util.getZxidFromName). Names that Java must never take for
 * its own (partial snapshots, tails that were cut) therefore begin with another word.
 */

import { type Zxid, zxidHex } from '../jute/zxid.ts'

export const COMPRESSIONS = ['', 'gz', 'snappy'] as const
export type Compression = (typeof COMPRESSIONS)[number]

/** The folder below dataDir and dataLogDir that holds everything. */
export const VERSION_DIR = 'version-2'

export const PARTIAL_PREFIX = 'partial-snapshot.'
export const TORN_PREFIX = 'torn-log.'

/** The folder of a checkpoint (levelstore.ts), below VERSION_DIR of the snapshots. */
export const CHECKPOINT_DIR = 'checkpoint.level'

export interface SnapshotName {
  name: string
  zxid: Zxid
  compression: Compression
}

export interface LogName {
  name: string
  zxid: Zxid
}

export function logName(zxid: Zxid): string {
  return `log.${zxidHex(zxid)}`
}

export function snapshotName(zxid: Zxid, compression: Compression): string {
  return `snapshot.${zxidHex(zxid)}${compression === '' ? '' : `.${compression}`}`
}

/** The zxid in a name as Java reads it; -1 where it is none or beyond what a Zxid holds. */
export function zxidOfName(name: string, word: 'log' | 'snapshot'): Zxid {
  const parts = name.split('.')
  if (parts[0] !== word || parts.length < 2 || !/^\+?[0-9a-fA-F]{1,16}$/.test(parts[1]!)) return -1
  const zxid = Number.parseInt(parts[1]!, 16)
  return zxid <= Number.MAX_SAFE_INTEGER ? zxid : -1
}

/** The zxid of the log that `torn-log.<zxid>.<offset>` was cut from; -1 where it is no such name. */
export function zxidOfTorn(name: string): Zxid {
  return name.startsWith(TORN_PREFIX) ? zxidOfName(`log.${name.slice(TORN_PREFIX.length)}`, 'log') : -1
}

/** Logs in a listing, oldest first. A name with more parts is none of ours and none that Java writes. */
export function logNames(names: readonly string[]): LogName[] {
  const found: LogName[] = []
  for (const name of names) {
    const zxid = zxidOfName(name, 'log')
    if (zxid >= 0 && name.split('.').length === 2) found.push({ name, zxid })
  }
  return found.sort((a, b) => a.zxid - b.zxid)
}

/** Snapshots in a listing, newest first; a left-over `.tmp` of Java is none. */
export function snapshotNames(names: readonly string[]): SnapshotName[] {
  const found: SnapshotName[] = []
  for (const name of names) {
    const zxid = zxidOfName(name, 'snapshot')
    if (zxid < 0) continue
    const parts = name.split('.')
    if (parts.length > 3) continue
    const compression = COMPRESSIONS.find((known) => known === (parts[2] ?? ''))
    if (compression !== undefined) found.push({ name, zxid, compression })
  }
  return found.sort((a, b) => b.zxid - a.zxid || (a.name < b.name ? -1 : 1))
}

/** Index of the log in which reading for `zxid` begins: the last one named at or below it, else the first. */
export function firstLogFor(logs: readonly LogName[], zxid: Zxid): number {
  let index = 0
  for (let i = 0; i < logs.length; i++) if (logs[i]!.zxid <= zxid) index = i
  return index
}
