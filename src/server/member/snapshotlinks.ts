/**
 * A tree on its way between members: the stream form of a snapshot, and the signature that ends it.
 *
 * Out, it is encoded from the live tree in slices, as fast as the link takes it; changes applied meanwhile may or may not
 * be in it, and follow as proposals. In, it is read into a tree of its own, which takes the place of the old one only
 * when it was read whole and is on disk: a leader that dies in the middle leaves nothing behind (ZOOKEEPER-3642).
 * Java: LearnerHandler.run (SNAP), Learner.syncWithLeader, ZKDatabase.serializeSnapshot.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { StorageError } from '../../jute/errors.ts'
import { ProtocolError } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import { textToBytes } from '../../jute/text.ts'
import type { Zxid } from '../../jute/zxid.ts'
import { loadInto, SnapshotReader, SnapshotWriter } from '../../txnlog/snapshot.ts'
import type { Network } from '../../zab/links.ts'
import type { LinkId } from '../../zab/types.ts'
import { Backlog } from '../backlog.ts'

/** What Java's leader writes behind a snapshot, as a ustring. */
const SIGNATURE = textToBytes('BenWasHere')
const SLICE_BYTES = 128 * 1024

export class SnapshotSender {
  private readonly link: LinkId
  private readonly network: Network
  private readonly writer: SnapshotWriter
  private readonly out: Output
  private readonly done: () => void
  private ended: boolean

  /** Begins at once, so that what is sent is the tree as it is now; `done` is called later, when all is handed over. */
  constructor(link: LinkId, network: Network, state: StateMachine, done: () => void) {
    this.link = link
    this.network = network
    this.writer = new SnapshotWriter(state, 'stream', { digest: false, lastZxid: false })
    this.out = new Output(2 * SLICE_BYTES)
    this.done = done
    this.ended = false
    this.step()
  }

  /** The link is gone. */
  abort(): void {
    if (!this.ended) this.writer.close()
    this.ended = true
  }

  private step(): void {
    const { out, network, link } = this
    out.clear()
    const whole = this.writer.step(out, SLICE_BYTES)
    if (whole) out.buffer(SIGNATURE)
    network.send(link, out.bytes())
    network.whenRoom(link, () => {
      if (this.ended) return
      if (!whole) return this.step()
      this.ended = true
      this.done()
    })
  }
}

type Phase = 'reading' | 'installing'

export class SnapshotReceiver {
  readonly zxid: Zxid
  readonly state: StateMachine
  phase: Phase
  /** The link ended while the snapshot was being installed. */
  closed: boolean
  /** When bytes came last. */
  heardMs: number
  /** What came behind the snapshot, once that is whole; the caller's from then on. */
  readonly rest: Backlog
  private readonly reader: SnapshotReader

  /** `state` is empty and nobody else's. */
  constructor(zxid: Zxid, state: StateMachine, lengthMax: number, nowMs: number) {
    this.heardMs = nowMs
    this.zxid = zxid
    this.state = state
    this.phase = 'reading'
    this.closed = false
    this.rest = new Backlog()
    this.reader = new SnapshotReader(loadInto(state), 'stream', lengthMax)
  }

  /**
   * Takes all of [off, end). True when the snapshot is whole (once); what comes behind it is kept in `rest`.
   * Throws StorageError or ProtocolError for what is none.
   */
  push(buf: Uint8Array, off: number, end: number): boolean {
    const { rest, reader } = this
    if (this.phase === 'installing') {
      rest.push(buf, off, end)
      return false
    }
    if (rest.length === 0) {
      rest.push(buf, reader.push(buf, off, end), end)
    } else {
      rest.push(buf, off, end)
      rest.offer((held, from, to) => reader.push(held, from, to) - from)
    }
    if (!reader.done || !this.takeSignature()) return false
    reader.finish(0)
    this.state.tree.finishLoad()
    this.state.quotas.rebuild()
    this.state.zxidLast = this.zxid
    this.phase = 'installing'
    return true
  }

  private takeSignature(): boolean {
    const bytes = 4 + SIGNATURE.length
    if (this.rest.length < bytes) return false
    const expected = new Output(bytes)
    expected.buffer(SIGNATURE)
    this.rest.offer((held, from) => {
      for (let i = 0; i < bytes; i++) {
        if (held[from + i] !== expected.buf[i]) {
          throw new ProtocolError('the snapshot does not end in its signature', i)
        }
      }
      return bytes
    })
    return true
  }
}

/** Whether an error of `push` is the sender's fault. */
export function isBadSnapshot(err: unknown): err is Error {
  return err instanceof StorageError || err instanceof ProtocolError
}
