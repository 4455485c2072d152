/**
 * What became of the request whose transaction is being applied: the error code and the body of its reply, gathered
 * while the state machine goes through it, right after each (sub-)operation took effect.
 *
 * Pure. Java: FinalRequestProcessor, DataTree.ProcessTxnResult.
 */

import type { DataTree, NodeId } from '../../datatree/tree.ts'
import { Err, OpCode } from '../../jute/codes.ts'
import { Output } from '../../jute/output.ts'
import { writeMultiEnd, writeMultiHeader } from './reads.ts'

export class Outcome {
  /** Err.sessionMoved is not to be told to a client. */
  err: number
  /** Body of the reply to a request that succeeded. */
  private readonly body: Output
  /** The request's type; 0 where nobody here has asked. */
  private type: number
  private whole: boolean

  constructor() {
    this.err = Err.ok
    this.body = new Output(4096)
    this.type = 0
    this.whole = false
  }

  /** A transaction comes. `whole`: it is an error by itself, which a multi's entries are not. */
  begin(type: number, whole: boolean): void {
    this.err = Err.ok
    this.type = type
    this.whole = whole
    this.body.clear()
  }

  onResult(tree: DataTree, type: number, err: number, node: NodeId): void {
    if (this.type === OpCode.multi && !this.whole) this.onSubResult(tree, type, err, node)
    else if (err !== Err.ok) this.err = err
    else if (this.type !== 0) this.writeBody(tree, this.type, node)
  }

  /** Each entry says what became of it; but a session that has moved is none to answer. */
  private onSubResult(tree: DataTree, type: number, err: number, node: NodeId): void {
    const { body } = this
    if (type === OpCode.error) {
      if (err === Err.sessionMoved) this.err = err
      writeMultiHeader(body, OpCode.error, err)
      body.int(err)
      return
    }
    const shown = type === OpCode.createContainer || type === OpCode.createTTL ? OpCode.create2 : type
    writeMultiHeader(body, shown === OpCode.deleteContainer ? OpCode.delete : shown, Err.ok)
    this.writeBody(tree, type, node)
  }

  /** By the request's type: what was created may have been asked for in two ways. */
  private writeBody(tree: DataTree, type: number, node: NodeId): void {
    const { body } = this
    switch (type) {
      case OpCode.create:
        tree.writePath(node, body)
        return
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        tree.writePath(node, body)
        tree.writeStat(node, body)
        return
      case OpCode.setData:
      case OpCode.setACL:
        tree.writeStat(node, body)
        return
      case OpCode.reconfig:
        tree.writeData(node, body)
        tree.writeStat(node, body)
        return
      default:
        return
    }
  }

  /** Appends the body of a reply that says Err.ok. */
  writeTo(out: Output): void {
    if (this.type === OpCode.multi) writeMultiEnd(this.body)
    out.raw(this.body.buf, 0, this.body.pos)
  }
}
