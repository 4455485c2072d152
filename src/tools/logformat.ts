/**
 * A log entry as one line of text, as Apache's TxnLogToolkit prints it:
 *
 *   <date> session 0x<hex> cxid 0x<hex> zxid 0x<hex> <operation> <fields>
 *
 * The fields of creates and setData are joined by commas, data as text; a multi shows its parts as `operation:bytes`,
 * joined by semicolons, the bytes as whatever text they make. Other transactions appear in jute's notation, strings
 * behind one quote: `'/path,v{s{31,s{'world,'anyone}}},3`. Java: TxnLogToolkit.printTxn, Request.op2String,
 * SerializeUtils.deserializeTxn, ToStringOutputArchive.
 */

import { OpCode } from '../jute/codes.ts'
import { id64Hex } from '../jute/id64.ts'
import { Input, ProtocolError, readInt } from '../jute/input.ts'
import {
  type ACL,
  readCloseSessionTxn,
  readCreateContainerTxn,
  readCreateSessionTxn,
  readCreateTTLTxn,
  readCreateTxn,
  readCreateTxnV0,
  readDeleteTxn,
  readErrorTxn,
  readMultiTxn,
  readSetACLTxn,
  readSetDataTxn,
  readTxnHeader,
} from '../jute/records.ts'
import { decodeText } from '../jute/text.ts'
import { zxidHex } from '../jute/zxid.ts'

const OPERATION_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OpCode).map(([name, code]) => [code as number, name]),
)
const DIGEST_BYTES = 12
const DIGEST_VERSION = 2

/** Java: Request.op2String. */
export function operationName(type: number): string {
  return OPERATION_NAMES.get(type) ?? `unknown ${type}`
}

/**
 * The line, without its end. `date` makes text of the transaction's time. Throws ProtocolError for an entry that is no
 * transaction.
 */
export function formatEntry(entry: Uint8Array, lengthMax: number, date: (timeMs: number) => string): string {
  const inp = new Input(entry, 0, entry.length, lengthMax)
  const header = readTxnHeader(inp)
  const session = id64Hex(header.clientIdHi, header.clientIdLo)
  // Java widens the cxid to 64 bits before it makes hex of it.
  const cxid = id64Hex(header.cxid >> 31, header.cxid)
  const zxid = `0x${zxidHex(header.zxid)}`
  const fields = formatBody(inp, header.type)
  return `${date(header.time)} session ${session} cxid ${cxid} zxid ${zxid} ${operationName(header.type)} ${fields}`
}

function formatBody(inp: Input, type: number): string {
  switch (type) {
    case OpCode.create:
    case OpCode.create2: {
      const txn = type === OpCode.create ? readCreate(inp) : readCreateTxn(inp)
      return [txn.path, text(txn.data), aclList(txn.acl), txn.ephemeral, txn.parentCVersion].join()
    }
    case OpCode.createContainer: {
      const txn = readCreateContainerTxn(inp)
      return [txn.path, text(txn.data), aclList(txn.acl), txn.parentCVersion].join()
    }
    case OpCode.createTTL: {
      const txn = readCreateTTLTxn(inp)
      return [txn.path, text(txn.data), aclList(txn.acl), txn.parentCVersion, txn.ttl].join()
    }
    case OpCode.setData:
    case OpCode.reconfig: {
      const txn = readSetDataTxn(inp)
      return [txn.path, text(txn.data), txn.version].join()
    }
    case OpCode.delete:
    case OpCode.deleteContainer:
      return quoted(readDeleteTxn(inp).path)
    case OpCode.setACL: {
      const txn = readSetACLTxn(inp)
      const list = (txn.acl ?? []).map((acl) => `s{${aclFields(acl)}}`)
      return `${quoted(txn.path)},v{${list.join()}},${txn.version}`
    }
    case OpCode.createSession:
      return String(readCreateSessionTxn(inp).timeOut)
    case OpCode.closeSession:
      if (!hasPaths(inp)) return ''
      return `v{${(readCloseSessionTxn(inp).paths2Delete ?? []).map(quoted).join()}}`
    case OpCode.error:
      return String(readErrorTxn(inp).err)
    case OpCode.multi:
      return (readMultiTxn(inp).txns ?? []).map((txn) => `${operationName(txn.type)}:${text(txn.data)}`).join(';')
    default:
      throw new ProtocolError(`transaction of unknown type ${type}`, inp.off)
  }
}

/** Logs of before 3.4 have creates without the parent's cversion. */
function readCreate(inp: Input) {
  const at = inp.off
  try {
    return readCreateTxn(inp)
  } catch (err) {
    if (!(err instanceof ProtocolError)) throw err
    inp.off = at
    return { ...readCreateTxnV0(inp), parentCVersion: -1 }
  }
}

/** A closeSession of an older server has no body; what follows is then a digest, or nothing. */
function hasPaths(inp: Input): boolean {
  if (inp.remaining === 0) return false
  return !(inp.remaining === DIGEST_BYTES && readInt(inp.buf, inp.off) === DIGEST_VERSION)
}

function text(data: Uint8Array | null): string {
  return data === null ? '' : decodeText(data, 0, data.length)
}

/** A list as Java's collections print it; each element's own text ends its line. */
function aclList(list: readonly ACL[] | null): string {
  return list === null ? 'null' : `[${list.map((acl) => `${aclFields(acl)}\n`).join(', ')}]`
}

function aclFields(acl: ACL): string {
  return `${acl.perms},s{${quoted(acl.id.scheme)},${quoted(acl.id.id)}}`
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '%00',
  '\n': '%0A',
  '\r': '%0D',
  ',': '%2C',
  '}': '%7D',
  '%': '%25',
}

function quoted(value: string | null): string {
  if (value === null) return ''
  let escaped = "'"
  for (const char of value) escaped += ESCAPES[char] ?? char
  return escaped
}
