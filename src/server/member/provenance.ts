/**
 * Is what our disk led to the ensemble's history? (E12)
 *
 * Equal zxids do not say so: another ensemble has them too. But a transaction carries the digest of its author's tree,
 * and the first one that is applied behind what was read from disk tells. If its digest is not ours, this server must
 * not become a member. Only that one counts, and only until the role is established: whoever agreed once has the same
 * history, and what differs later differs for another reason, which all members may share. Of a tree that did not even
 * fit its own log nothing can be said, nor of one that came from the leader.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { StorageError } from '../../jute/errors.ts'
import type { Zxid } from '../../jute/zxid.ts'
import { zxidText } from '../life/parts.ts'

export class Provenance {
  /** Mismatches of whatever tree so far. */
  private countUnfit: number
  private countUnfitBefore: number
  /** The tree in question, and how often it had agreed when it was read; null: nothing to prove. */
  private unproven: { readonly state: StateMachine; readonly countAgreed: number } | null
  /** A tree is being read. */
  private reading: boolean
  /** The verdict, once it is that the data belongs elsewhere. */
  foreign: StorageError | null

  constructor() {
    this.countUnfit = 0
    this.countUnfitBefore = 0
    this.unproven = null
    this.reading = true
    this.foreign = null
  }

  /** The tree is read anew; the answer is whether there is something to prove when it is. */
  beginReading(): boolean {
    const open = this.unproven !== null
    this.countUnfitBefore = this.countUnfit
    this.unproven = null
    this.reading = true
    return open
  }

  /** `state` is what the disk leads to. */
  endReading(state: StateMachine): void {
    this.reading = false
    if (this.countUnfit === this.countUnfitBefore) this.unproven = { state, countAgreed: state.countAgreed }
  }

  /** The role is established: whatever comes is another matter. */
  settle(): void {
    this.unproven = null
  }

  /** A transaction's digest is not that of the tree in use, `state`. Throws where that decides it. */
  onMismatch(zxid: Zxid, state: StateMachine, folder: string): void {
    this.countUnfit++
    const { unproven, reading } = this
    if (reading || unproven === null || unproven.state !== state || unproven.countAgreed !== state.countAgreed) return
    const text = `the data is not this ensemble's: the transaction of zxid ${zxidText(zxid)} does not fit its tree`
    this.foreign = new StorageError(text, folder)
    throw this.foreign
  }
}
