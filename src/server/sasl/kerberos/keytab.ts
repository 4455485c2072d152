/**
 * Keytab files, version 2, as ktadd and ktutil write them.
 *
 *   05 02, then entries: size int32 (negative: a hole of that size), then within an entry
 *   count of components u16 | realm | components, each u16 length and bytes | name type u32 | time u32 | version u8 |
 *   key type u16 | key: u16 length and bytes | version u32, when there is room for it and it is not 0
 *
 * Pure. Errors are SaslError; they name no key.
 */

import { decodeText } from '../../../jute/text.ts'
import { SaslError } from '../mechanism.ts'
import type { EncryptionKey } from './etypes.ts'

export interface KeytabEntry extends EncryptionKey {
  /** `service/host@REALM`. */
  readonly principal: string
  readonly version: number
}

/** `buf` is borrowed. */
export function parseKeytab(buf: Uint8Array): KeytabEntry[] {
  if (buf.length < 2 || buf[0] !== 5 || buf[1] !== 2) throw new SaslError('not a keytab file of version 2')
  const view = new DataView(buf.buffer, buf.byteOffset, buf.length)
  const entries: KeytabEntry[] = []
  for (let off = 2; off + 4 <= buf.length; ) {
    const size = view.getInt32(off)
    off += 4
    if (size === 0) break
    const end = off + Math.abs(size)
    if (end > buf.length) throw new SaslError('a keytab file that is cut off')
    if (size > 0) entries.push(new EntryReader(buf, view, off, end).entry())
    off = end
  }
  return entries
}

class EntryReader {
  private readonly buf: Uint8Array
  private readonly view: DataView
  private off: number
  private readonly end: number

  constructor(buf: Uint8Array, view: DataView, off: number, end: number) {
    this.buf = buf
    this.view = view
    this.off = off
    this.end = end
  }

  entry(): KeytabEntry {
    const count = this.view.getUint16(this.skip(2))
    const realm = this.text()
    const components = Array.from({ length: Math.min(count, 255) }, () => this.text())
    this.skip(4 + 4) // name type, time
    const short = this.buf[this.skip(1)]!
    const etype = this.view.getUint16(this.skip(2))
    const key = this.bytes().slice()
    const long = this.end - this.off >= 4 ? this.view.getUint32(this.skip(4)) : 0
    return { principal: `${components.join('/')}@${realm}`, etype, key, version: long === 0 ? short : long }
  }

  private skip(bytes: number): number {
    const at = this.off
    if (at + bytes > this.end) throw new SaslError('a keytab file with a damaged entry')
    this.off += bytes
    return at
  }

  private bytes(): Uint8Array {
    const length = this.view.getUint16(this.skip(2))
    const at = this.skip(length)
    return this.buf.subarray(at, at + length)
  }

  private text(): string {
    const bytes = this.bytes()
    return decodeText(bytes, 0, bytes.length)
  }
}
