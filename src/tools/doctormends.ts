/** What the doctor prescribes: the command that mends a trouble, and what it costs. */

import { basename, dirname, join } from 'node:path'
import type { StorageError } from '../jute/errors.ts'
import { epochOf } from '../jute/zxid.ts'
import { VERSION_DIR } from '../txnlog/names.ts'
import type { Recovered } from '../txnlog/recover.ts'
import type { ToolTarget } from './target.ts'

/** For what keeps a server from starting. */
export function mendRefusal(err: StorageError, target: ToolTarget): string {
  const { file, message } = err
  const instead = lossless(target)
  if (file !== null && basename(file).startsWith('log.')) {
    const zxid = /behind zxid 0x([0-9a-f]+)/.exec(message)?.[1]
    if (message.includes('transactions are missing')) return instead
    const loss = 'what is behind is lost'
    const chop =
      zxid === undefined
        ? `mv '${file}' away (${loss})`
        : `zoowarden log chop -z 0x${zxid} '${file}' and mv the copy over it (${loss})`
    if (!message.includes('checksum mismatch')) return `${instead}; or ${chop}`
    return `${instead}; or, if its bytes look right (zoowarden log dump): zoowarden log recover '${file}' and mv the copy over it; or ${chop}`
  }
  if (message.includes('there are log entries')) {
    return `${instead}; or, if these logs begin with the first transaction ever: start once with -Dzookeeper.snapshot.trust.empty=true`
  }
  if (message.includes('check dataDir and dataLogDir')) return 'set dataDir and dataLogDir as they were before'
  if (message.includes('datadir.autocreate')) return `mkdir -p '${file}'`
  return instead
}

/** A snapshot that a start passes over. */
export function mendSnapshot(file: string): string {
  return `nothing at once; rm '${file}' when a newer snapshot is there`
}

/** A tree that is not what others have. */
export function mendDigest(): string {
  return 'zoowarden snapshot compare with other members; a member that is alone with it is to be resynced'
}

/** An epoch file that holds no number. */
export function mendEpoch(err: StorageError, recovered: Recovered | null): string {
  const epoch = recovered === null ? null : epochOf(Math.max(0, recovered.zxidLast))
  if (epoch === null) return 'mend the other troubles first, then ask again'
  return `printf ${epoch} > '${err.file}', if no other member has a higher one (take the highest)`
}

/** The ways that lose nothing, as far as others have the data. */
function lossless(target: ToolTarget): string {
  const dirs = [...new Set([target.dataDir, target.dataLogDir])].map((dir) => join(dir, VERSION_DIR))
  const away = dirs.map((dir) => `mv '${dir}' '${join(dirname(dir), `${basename(dir)}.damaged`)}'`).join(' && ')
  const backup = `${away} && zoowarden restore <backup> '${target.dataDir}'`
  const resync = `${away}, and start while the others have a leader, who sends everything`
  if (target.member === true) return resync
  if (target.member === false) return backup
  return `a member of an ensemble: ${resync}; a server that runs alone: ${backup}`
}
