/** What the doctor prescribes: the command that mends a trouble, and what it costs. */

import { basename } from 'node:path'
import type { StorageError } from '../jute/errors.ts'
import { epochOf } from '../jute/zxid.ts'
import type { Recovered } from '../txnlog/recover.ts'
import type { ToolTarget } from './target.ts'

/** For what keeps a server from starting. */
export function mendRefusal(err: StorageError, target: ToolTarget): string {
  const { message } = err
  if (message.includes('check dataDir and dataLogDir')) return 'set dataDir and dataLogDir as they were before'
  if (message.includes('datadir.autocreate')) return `mkdir -p '${err.file}'`
  if (message.includes('a repair has not ended')) return `zoowarden repair ${quoted(target)}`
  if (message.includes('was set aside into')) return 'start it as a member of its ensemble, or restore a backup'
  if (target.hasOthers ?? target.member === true) return mendMember(target)
  const alone = mendAlone(err, target)
  return target.member === null && target.hasOthers === null
    ? `a member of an ensemble: ${mendMember(target)}; a server that runs alone: ${alone}`
    : alone
}

/** A leader has what this one lacks. Anything shorter than what this server once had must not vote. */
function mendMember(target: ToolTarget): string {
  return `zoowarden repair ${quoted(target)}, and start it while the others have a leader, who sends everything`
}

function mendAlone({ file, message }: StorageError, target: ToolTarget): string {
  const keep = `zoowarden repair --keep longest ${quoted(target)} (what is behind the damage is lost)`
  const ways = [`zoowarden restore <backup> into an empty directory; or ${keep}`]
  if (file !== null && basename(file).startsWith('log.') && message.includes('checksum mismatch')) {
    ways.push(`if its bytes look right (zoowarden log dump): zoowarden log recover '${file}' and mv the copy over it`)
  }
  if (message.includes('there are log entries')) {
    ways.push(
      'if these logs begin with the first transaction ever: start once with -Dzookeeper.snapshot.trust.empty=true',
    )
  }
  return ways.join('; or, ')
}

/** Data that is not this server's, or no file that says whose it is. */
export function mendIdentity(target: ToolTarget, mayBeRight: boolean): string {
  const adopt = `if the data is right all the same: zoowarden repair --adopt ${quoted(target)}; else `
  return `${mayBeRight ? adopt : ''}zoowarden repair ${quoted(target)} sets it aside, and the leader sends its own`
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

function quoted({ name }: ToolTarget): string {
  return /^[\w./-]+$/.test(name) ? name : `'${name}'`
}
