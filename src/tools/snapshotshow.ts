/**
 * A snapshot as text, as JSON for ncdu, and as sums per subtree: the output of Apache's SnapshotFormatter and
 * SnapshotRecursiveSummary. Unlike those, a file whose seals do not match is refused.
 */

import type { DataTree, NodeId } from '../datatree/tree.ts'
import { StorageError } from '../jute/errors.ts'
import { id64Hex } from '../jute/id64.ts'
import { textToBytes } from '../jute/text.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import type { Disk } from '../txnlog/disk.ts'
import { JavaDates } from './javadate.ts'
import { inJavaOrder, javaLongHash } from './javaorder.ts'
import { childrenInJavaOrder, type LoadedSnapshot, loadSnapshot } from './snapshotload.ts'
import { type Terminal, ToolExit } from './terminal.ts'

/** Java's `new HashMap<>()` of sessions. */
const SESSIONS_CAPACITY = 16
/** The JSON gives every znode a number of its own, so that ncdu takes none for a hard link of another. */
const FIRST_INODE = 1001

export async function showSnapshot(
  disk: Disk,
  path: string,
  withData: boolean,
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  const loaded = await loadSnapshot(disk, path, lengthMax)
  const { tree } = loaded.state
  // Java counts the root twice: as "" and as "/".
  terminal.out(`ZNode Details (count=${tree.nodeCount + 1}):\n`)
  const zxid = showNodes(tree, withData, terminal)
  terminal.out('----\n')
  showSessions(loaded, terminal)
  terminal.out(`----\nLast zxid: 0x${zxidHex(Math.max(loaded.zxid, zxid))}\n`)
  return ToolExit.ok
}

/** Returns the highest zxid that any znode names. */
function showNodes(tree: DataTree, withData: boolean, terminal: Terminal): Zxid {
  const dates = new JavaDates()
  let zxidMax = -1
  const show = (n: NodeId, path: string): void => {
    const data = tree.dataOf(n)
    const dataLine = withData
      ? `data = ${data === null ? '' : Buffer.from(data).toString('base64')}`
      : `dataLength = ${data === null ? 0 : data.length}`
    const lines = [
      '----',
      path,
      `  cZxid = ${zxid16(tree.czxid(n))}`,
      `  ctime = ${dates.full(tree.ctimeMs(n))}`,
      `  mZxid = ${zxid16(tree.mzxid(n))}`,
      `  mtime = ${dates.full(tree.mtimeMs(n))}`,
      `  pZxid = ${zxid16(tree.pzxid(n))}`,
      `  cversion = ${tree.cversion(n)}`,
      `  dataVersion = ${tree.version(n)}`,
      `  aclVersion = ${tree.aversion(n)}`,
      `  ephemeralOwner = ${hex16(tree.ownerHi(n), tree.ownerLo(n))}`,
      `  ${dataLine}`,
    ]
    terminal.out(`${lines.join('\n')}\n`)
    zxidMax = Math.max(zxidMax, tree.mzxid(n), tree.pzxid(n))
    const prefix = path === '/' ? '' : path
    for (const child of childrenInJavaOrder(tree, n)) show(child.node, `${prefix}/${child.name}`)
  }
  show(rootOf(tree), '/')
  return zxidMax
}

function showSessions({ state, sessions }: LoadedSnapshot, terminal: Terminal): void {
  terminal.out('Session Details (sid, timeout, ephemeralCount):\n')
  for (const { hi, lo, timeoutMs } of inJavaOrder(sessions, (s) => javaLongHash(s.hi, s.lo), SESSIONS_CAPACITY)) {
    let count = 0
    state.tree.forEachEphemeral(hi, lo, () => count++)
    terminal.out(`${hex16(hi, lo)}, ${timeoutMs}, ${count}\n`)
  }
}

/** ncdu's format: a folder is a list of itself and what is in it, a leaf is an object. */
export async function snapshotJson(
  disk: Disk,
  path: string,
  lengthMax: number,
  nowMs: number,
  terminal: Terminal,
): Promise<number> {
  const { tree } = (await loadSnapshot(disk, path, lengthMax)).state
  terminal.out(`[1,0,{"progname":"SnapshotFormatter.java","progver":"0.01","timestamp":${nowMs}}`)
  let inode = FIRST_INODE
  const show = (n: NodeId, name: string): void => {
    const bytes = Math.max(tree.dataLength(n), 0)
    const self = `{"name":"${jsonText(name)}","asize":${bytes},"dsize":${bytes},"dev":0,"ino":${inode++}}`
    if (tree.numChildren(n) === 0) {
      terminal.out(`,${self}`)
      return
    }
    terminal.out(`,[${self}`)
    for (const child of childrenInJavaOrder(tree, n)) show(child.node, child.name)
    terminal.out(']')
  }
  show(rootOf(tree), '/')
  terminal.out(']')
  return ToolExit.ok
}

/** Znodes and data bytes below each inner znode, down to `depthMax` levels below `start`; 0: all of them. */
export async function snapshotSummary(
  disk: Disk,
  path: string,
  start: string,
  depthMax: number,
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  const { tree } = (await loadSnapshot(disk, path, lengthMax)).state
  const bytes = textToBytes(start)
  const top = tree.find(bytes, 0, bytes.length)
  if (top === 0) throw new StorageError(`no znode ${start} in this snapshot`, path)
  const sum = (n: NodeId, name: string, level: number): { count: number; bytes: number; text: string } => {
    const total = { count: 1, bytes: Math.max(tree.dataLength(n), 0), text: '' }
    if (tree.numChildren(n) === 0) return total
    const below: string[] = []
    for (const child of childrenInJavaOrder(tree, n)) {
      const part = sum(child.node, `${name === '/' ? '' : name}/${child.name}`, level + 1)
      total.count += part.count
      total.bytes += part.bytes
      below.push(part.text)
    }
    if (depthMax !== 0 && level > depthMax) return total
    const tab = '--'.repeat(level)
    const lines = [`${tab} ${name}`, `${tab}   children: ${total.count - 1}`, `${tab}   data: ${total.bytes}`, '']
    total.text = lines.join('\n') + below.join('')
    return total
  }
  terminal.out(`${sum(top, start, 0).text}\n`)
  return ToolExit.ok
}

function rootOf(tree: DataTree): NodeId {
  return tree.find(new Uint8Array(0), 0, 0)
}

/** 16 characters, `0x` among them, as Java's %#016x. */
function hex16(hi: number, lo: number): string {
  return `0x${id64Hex(hi, lo).slice(2).padStart(14, '0')}`
}

function zxid16(zxid: Zxid): string {
  return `0x${zxidHex(zxid).padStart(14, '0')}`
}

/** As Jackson quotes: control characters in upper-case hex. */
function jsonText(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/\\\\|\\u00[0-9a-f]{2}/g, (found) => (found === '\\\\' ? found : `\\u${found.slice(2).toUpperCase()}`))
}
