/**
 * Removes old snapshots and logs of a data directory, of a running server or not: Apache's PurgeTxnLog, its words and
 * its output. Which files go is decided by txnlog/purge.ts: only snapshots that really verify are counted.
 */

import { existsSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { type Disk, later } from '../txnlog/disk.ts'
import { VERSION_DIR } from '../txnlog/names.ts'
import { purge, RETAIN_COUNT_MIN } from '../txnlog/purge.ts'
import { JavaDates } from './javadate.ts'
import { type Terminal, ToolExit, UsageError } from './terminal.ts'

/** `dataLogDir` and `dataDir` are the configured folders; `count` snapshots stay, with the logs that lead on from them. */
export async function cleanup(
  disk: Disk,
  dataLogDir: string,
  dataDir: string,
  count: number,
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  if (!Number.isInteger(count)) throw new UsageError(`'${count}' can not be parsed to integer.`)
  if (count < RETAIN_COUNT_MIN) throw new UsageError(`count should be greater than or equal to ${RETAIN_COUNT_MIN}`)
  for (const dir of [dataLogDir, dataDir]) {
    if (!existsSync(dir)) throw new UsageError(`Path '${resolve(dir)}' does not exist. `)
    if (!existsSync(join(dir, VERSION_DIR))) throw new UsageError(`no ${VERSION_DIR} folder in ${resolve(dir)}`)
  }
  const modifiedMs = await modificationTimes(disk, dataLogDir, dataDir)
  terminal.progress('verifying snapshots')
  const { removed, rejected, zxidOldest } = await purge(disk, { dataDir, dataLogDir }, count, new Set(), lengthMax)
  terminal.progress(null)
  const dates = new JavaDates()
  const isLog = (path: string): boolean => basename(path).startsWith('log.')
  for (const path of [...removed.filter(isLog), ...removed.filter((each) => !isLog(each))]) {
    terminal.out(`Removing file: ${dates.medium(modifiedMs.get(path) ?? 0)}\t${path}\n`)
  }
  for (const path of rejected) terminal.err(`not counted, since it does not verify: ${path}`)
  if (zxidOldest < 0) terminal.err(`no snapshot verifies in ${join(dataDir, VERSION_DIR)}: nothing was removed`)
  return ToolExit.ok
}

async function modificationTimes(disk: Disk, dataLogDir: string, dataDir: string): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  for (const dir of new Set([join(dataLogDir, VERSION_DIR), join(dataDir, VERSION_DIR)])) {
    for (const name of await later<string[]>((got) => disk.list(dir, got))) {
      const stats = statSync(join(dir, name), { throwIfNoEntry: false })
      if (stats !== undefined) times.set(join(dir, name), stats.mtimeMs)
    }
  }
  return times
}
