/**
 * Credential caches of kinit, version 4 files: who has tickets, and which.
 *
 *   05 04 | header: u16 and that many bytes | principal | credentials, one behind the other
 *   principal    name type u32 | count u32 | realm | components; texts are a u32 length and bytes
 *   credentials  client | server | key: type u16, u32 length, bytes | auth, start, end, renew time u32 each | u8 | flags u32 |
 *                addresses, then authorization data: u32 count of (type u16, u32 length, bytes) | ticket | second ticket
 *
 * Pure. Errors are SaslError; they name no key.
 */

import { decodeText } from '../../../jute/text.ts'
import { SaslError } from '../mechanism.ts'
import type { Ticket } from './initiator.ts'

export interface CredentialCache {
  /** `name@REALM`. */
  readonly principal: string
  readonly tickets: readonly Ticket[]
}

/** `buf` is borrowed. */
export function parseCredentialCache(buf: Uint8Array): CredentialCache {
  return new CacheReader(buf).cache()
}

class CacheReader {
  private readonly buf: Uint8Array
  private readonly view: DataView
  private off: number

  constructor(buf: Uint8Array) {
    this.buf = buf
    this.view = new DataView(buf.buffer, buf.byteOffset, buf.length)
    this.off = 0
  }

  cache(): CredentialCache {
    if (this.u16() !== 0x0504) throw new SaslError('not a credential cache of version 4')
    this.skip(this.u16())
    const principal = this.principal()
    const tickets: Ticket[] = []
    while (this.off < this.buf.length) tickets.push(this.entry())
    return { principal, tickets }
  }

  private entry(): Ticket {
    const client = this.principal()
    const service = this.principal()
    const etype = this.u16()
    const key = Uint8Array.from(this.bytes())
    this.skip(4 + 4)
    const endS = this.u32()
    this.skip(4 + 1 + 4)
    this.pairs()
    this.pairs()
    const bytes = Uint8Array.from(this.bytes())
    this.bytes()
    return { client, service, bytes, key: { etype, key }, endS }
  }

  private pairs(): void {
    for (let left = this.u32(); left > 0; left--) {
      this.u16()
      this.bytes()
    }
  }

  private principal(): string {
    this.u32() // name type
    const count = this.u32()
    if (count > 255) throw new SaslError('a damaged credential cache')
    const realm = this.text()
    const components = Array.from({ length: count }, () => this.text())
    return `${components.join('/')}@${realm}`
  }

  private skip(bytes: number): number {
    const at = this.off
    if (at + bytes > this.buf.length) throw new SaslError('a credential cache that is cut off')
    this.off += bytes
    return at
  }

  private u16(): number {
    return this.view.getUint16(this.skip(2))
  }

  private u32(): number {
    return this.view.getUint32(this.skip(4))
  }

  private bytes(): Uint8Array {
    const length = this.u32()
    const at = this.skip(length)
    return this.buf.subarray(at, at + length)
  }

  private text(): string {
    const bytes = this.bytes()
    return decodeText(bytes, 0, bytes.length)
  }
}
