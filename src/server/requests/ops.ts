/** What each op code is to this server: whether a client may send it, whether it is a write, what the texts call it. */

import { OpCode } from '../../jute/codes.ts'
import type { Compat } from '../config/compat.ts'

/** 0: not known; 1: read; 2: goes through the log; 3: so does this, the server's own. Negative op codes are apart. */
const KIND = new Uint8Array(108)

for (const read of [
  OpCode.exists,
  OpCode.getData,
  OpCode.getACL,
  OpCode.getChildren,
  OpCode.sync,
  OpCode.ping,
  OpCode.getChildren2,
  OpCode.checkWatches,
  OpCode.removeWatches,
  OpCode.multiRead,
  OpCode.setWatches,
  OpCode.getEphemerals,
  OpCode.getAllChildrenNumber,
  OpCode.setWatches2,
  OpCode.addWatch,
  OpCode.whoAmI,
]) {
  KIND[read] = 1
}

for (const write of [
  OpCode.create,
  OpCode.delete,
  OpCode.setData,
  OpCode.setACL,
  OpCode.multi,
  OpCode.create2,
  OpCode.reconfig,
  OpCode.createContainer,
  OpCode.createTTL,
]) {
  KIND[write] = 2
}

KIND[OpCode.deleteContainer] = 3

/** The server's own. Java takes these from anybody, which lets a client delete what it has no permission for. */
function isServerOp(type: number): boolean {
  return type === OpCode.createSession || type === OpCode.deleteContainer
}

/** May a client send this behind the handshake? */
export function isClientOp(type: number, compat: Compat): boolean {
  if (isServerOp(type)) return compat.serverOps
  return type === OpCode.closeSession || (type >= 0 && type < KIND.length && KIND[type] !== 0)
}

/** Goes through prep and the log, and takes a zxid even when it fails. */
export function hasWriteForm(type: number): boolean {
  return type === OpCode.closeSession || type === OpCode.createSession || (type >= 0 && KIND[type]! >= 2)
}

/** May a learner forward this to its leader? What no client may send, or is no transaction by itself, may not come so. */
export function isForwardable(type: number, compat: Compat): boolean {
  return type === OpCode.createSession || (hasWriteForm(type) && isClientOp(type, compat))
}

/** The last-operation names of `cons` (Java: FinalRequestProcessor's lastOp). */
const NAMES = new Map<number, string>([
  [OpCode.createSession, 'SESS'],
  [OpCode.ping, 'PING'],
  [OpCode.create, 'CREA'],
  [OpCode.create2, 'CREA'],
  [OpCode.createContainer, 'CREA'],
  [OpCode.createTTL, 'CREA'],
  [OpCode.delete, 'DELE'],
  [OpCode.deleteContainer, 'DELE'],
  [OpCode.setData, 'SETD'],
  [OpCode.getData, 'GETD'],
  [OpCode.exists, 'EXIS'],
  [OpCode.getACL, 'GETA'],
  [OpCode.setACL, 'SETA'],
  [OpCode.getChildren, 'GETC'],
  [OpCode.getChildren2, 'GETC'],
  [OpCode.getAllChildrenNumber, 'GETACN'],
  [OpCode.sync, 'SYNC'],
  [OpCode.multi, 'MULT'],
  [OpCode.multiRead, 'MLTR'],
  [OpCode.setWatches, 'SETW'],
  [OpCode.setWatches2, 'STW2'],
  [OpCode.addWatch, 'ADDW'],
  [OpCode.checkWatches, 'CHKW'],
  [OpCode.removeWatches, 'REMW'],
  [OpCode.reconfig, 'RECO'],
  [OpCode.getEphemerals, 'GETE'],
  [OpCode.whoAmI, 'HOMI'],
  [OpCode.closeSession, 'CLOS'],
  [OpCode.check, 'CHEC'],
])

export function opName(type: number | null): string {
  return (type !== null && NAMES.get(type)) || 'NA'
}
