/**
 * What Apache's client prints of a node: its Stat, its ACL, its data. Java: StatPrinter, Id.toString, ZKUtil,
 * HexDumpOutputFormatter (netty's ByteBufUtil.prettyHexDump).
 */

import { Perm } from '../../jute/codes.ts'
import { id64Hex } from '../../jute/id64.ts'
import type { ACL, Id, Stat } from '../../jute/records.ts'
import { decodeText } from '../../jute/text.ts'
import { zxidHex } from '../../jute/zxid.ts'

/** In the order in which they are printed. */
const PERM_LETTERS: readonly (readonly [letter: string, perm: number])[] = [
  ['c', Perm.create],
  ['d', Perm.delete],
  ['r', Perm.read],
  ['w', Perm.write],
  ['a', Perm.admin],
]

/** Eleven lines, without a line end behind the last. `date`: Java's Date.toString. */
export function statText(stat: Stat, date: (timeMs: number) => string): string {
  return [
    `cZxid = 0x${zxidHex(stat.czxid)}`,
    `ctime = ${date(stat.ctime)}`,
    `mZxid = 0x${zxidHex(stat.mzxid)}`,
    `mtime = ${date(stat.mtime)}`,
    `pZxid = 0x${zxidHex(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = ${id64Hex(stat.ephemeralOwnerHi, stat.ephemeralOwnerLo)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ].join('\n')
}

export function statJson(stat: Stat): Record<string, unknown> {
  return {
    czxid: `0x${zxidHex(stat.czxid)}`,
    ctime: new Date(stat.ctime).toISOString(),
    mzxid: `0x${zxidHex(stat.mzxid)}`,
    mtime: new Date(stat.mtime).toISOString(),
    pzxid: `0x${zxidHex(stat.pzxid)}`,
    cversion: stat.cversion,
    version: stat.version,
    aversion: stat.aversion,
    ephemeralOwner: id64Hex(stat.ephemeralOwnerHi, stat.ephemeralOwnerLo),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
  }
}

export function permText(perms: number): string {
  return PERM_LETTERS.map(([letter, perm]) => ((perms & perm) === 0 ? '' : letter)).join('')
}

/** Two lines: an Id prints a line end behind itself. */
export function aclText({ id, perms }: ACL): string {
  return `${idText(id)}\n: ${permText(perms)}`
}

export function aclJson({ id, perms }: ACL): Record<string, unknown> {
  return { scheme: id.scheme, id: id.id, perms: permText(perms) }
}

/** Jute's comma-separated form. */
function idText({ scheme, id }: Id): string {
  return `${csv(scheme)},${csv(id)}`
}

const CSV_ESCAPES: Readonly<Record<string, string>> = {
  '\0': '%00',
  '\n': '%0A',
  '\r': '%0D',
  ',': '%2C',
  '}': '%7D',
  '%': '%25',
}

function csv(text: string | null): string {
  return text === null ? '' : `'${text.replace(/[\0\n\r,}%]/g, (char) => CSV_ESCAPES[char]!)}`
}

/** `scheme:id:perms`, comma separated. What is not of that form is left out, with a complaint. */
export function parseAcl(text: string, complain: (line: string) => void): ACL[] {
  const acl: ACL[] = []
  // As Java's split: empty pieces at the end are none, an empty text is one.
  const pieces = text.split(',')
  while (pieces.length > 1 && pieces.at(-1) === '') pieces.pop()
  for (const piece of pieces) {
    const first = piece.indexOf(':')
    const last = piece.lastIndexOf(':')
    if (first === last) {
      complain(`${piece} does not have the form scheme:id:perm`)
      continue
    }
    const perms = parsePerms(piece.slice(last + 1), complain)
    acl.push({ perms, id: { scheme: piece.slice(0, first), id: piece.slice(first + 1, last) } })
  }
  return acl
}

function parsePerms(text: string, complain: (line: string) => void): number {
  let perms = 0
  for (const char of text) {
    const found = PERM_LETTERS.find(([letter]) => letter === char)
    if (found === undefined) complain(`Unknown perm type: ${char}`)
    else perms |= found[1]
  }
  return perms
}

/** Node data for a reader: `null` where there is none. */
export function dataText(data: Uint8Array | null): string {
  return data === null ? 'null' : decodeText(data, 0, data.length)
}

/** Data for a program: text where it is text, base64 where it is not. */
export function dataJson(data: Uint8Array | null): Record<string, unknown> {
  if (data === null) return { data: null }
  try {
    return { data: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data) }
  } catch {
    return { dataBase64: base64(data) }
  }
}

export function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64')
}

const HEX_RULER = '         +-------------------------------------------------+'
const HEX_EDGE = '+--------+-------------------------------------------------+----------------+'
const HEX_HEAD = `${HEX_RULER}\n         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |`

/** Sixteen bytes a line, in a frame; nothing for no bytes. */
export function hexDump(data: Uint8Array): string {
  if (data.length === 0) return ''
  const rows: string[] = []
  for (let at = 0; at < data.length; at += 16) {
    const bytes = [...data.subarray(at, at + 16)]
    const hex = bytes.map((byte) => ` ${byte.toString(16).padStart(2, '0')}`).join('')
    const chars = bytes.map((byte) => (byte <= 0x1f || byte >= 0x7f ? '.' : String.fromCharCode(byte))).join('')
    rows.push(`|${at.toString(16).padStart(8, '0')}|${hex.padEnd(48)} |${chars.padEnd(16)}|`)
  }
  return `${HEX_HEAD}\n${HEX_EDGE}\n${rows.join('\n')}\n${HEX_EDGE}`
}
