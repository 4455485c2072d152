/**
 * A snapshot that somebody brings, read and judged before anything of ours is given up for it.
 *
 * A snapshot is whole if its seals are; it is also what some server's tree once was if its digest says so. One that was
 * taken while writes went on is neither old nor new in places, and only right with the log that followed.
 */

import { open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { StateMachine } from '../../datatree/apply.ts'
import { StorageError } from '../../jute/errors.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { Disk } from '../../txnlog/disk.ts'
import type { Compression } from '../../txnlog/names.ts'
import { readSnapshot } from '../../txnlog/snapfile.ts'
import { loadInto } from '../../txnlog/snapshot.ts'
import { RestoreError, type RestoreOptions } from '../admin/source.ts'

export interface Brought {
  readonly state: StateMachine
  /** The last zxid that may be in it; 0 where it does not say. */
  readonly zxidEnd: Zxid
}

/** `state` is fresh, with its digest on. Rejects with RestoreError for what cannot be used. */
export async function readBrought(
  disk: Disk,
  path: string,
  state: StateMachine,
  lengthMax: number,
  { fuzzy }: RestoreOptions,
): Promise<Brought> {
  const compression = await compressionOf(path)
  const file = { name: basename(path), zxid: 0, compression }
  try {
    const { digest, zxidEnd } = await readSnapshot(disk, dirname(path), file, loadInto(state), lengthMax)
    const { tree } = state
    tree.finishLoad()
    state.quotas.rebuild()
    const differs = digest !== null && ((digest.hi ^ tree.digestHi) !== 0 || (digest.lo ^ tree.digestLo) !== 0)
    if (differs && !fuzzy) {
      throw new RestoreError(
        'this snapshot was taken while writes went on, and the log that it needs is not in it: take another one, ' +
          'use zoowarden backup and restore, or add ?fuzzy=true to have it as it is',
      )
    }
    return { state, zxidEnd: zxidEnd ?? 0 }
  } catch (err) {
    if (err instanceof StorageError) throw new RestoreError(`not a whole snapshot: ${err.message}`, { cause: err })
    throw err
  }
}

async function compressionOf(path: string): Promise<Compression> {
  const file = await open(path, 'r')
  try {
    const head = Buffer.alloc(8)
    await file.read(head, 0, head.length, 0)
    if (head.readUInt16BE(0) === 0x1f8b) return 'gz'
    return head.toString('latin1', 1, 7) === 'SNAPPY' ? 'snappy' : ''
  } finally {
    await file.close()
  }
}
