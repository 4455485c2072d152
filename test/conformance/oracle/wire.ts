/**
 * The oracle's own reader and writer of jute, on purpose independent of the server's: a shared mistake would hide itself.
 * Slow and lenient where it helps a human; sends what is wrong as readily as what is right.
 */
import type { Text } from './steps.ts'

export class Writer {
  private chunks: Buffer[] = []
  private readonly prefix: string

  constructor(prefix: string) {
    this.prefix = prefix
  }

  byte(n: number): this {
    this.chunks.push(Buffer.from([n & 0xff]))
    return this
  }

  int(n: number): this {
    const b = Buffer.allocUnsafe(4)
    b.writeInt32BE(n | 0)
    this.chunks.push(b)
    return this
  }

  long(n: number | bigint): this {
    const b = Buffer.allocUnsafe(8)
    b.writeBigInt64BE(BigInt.asIntN(64, BigInt(n)))
    this.chunks.push(b)
    return this
  }

  raw(bytes: Buffer): this {
    this.chunks.push(bytes)
    return this
  }

  bytes(bytes: Buffer | null): this {
    if (bytes === null) return this.int(-1)
    return this.int(bytes.length).raw(bytes)
  }

  text(t: Text): this {
    if (t === null) return this.int(-1)
    if (typeof t === 'string') return this.bytes(Buffer.from(t.replaceAll('$', this.prefix)))
    if ('claim' in t) return this.int(t.claim).raw(Buffer.from(t.hex, 'hex'))
    if ('fill' in t) return this.bytes(Buffer.from(t.fill.replaceAll('$', this.prefix).repeat(t.times)))
    // A hex text may begin with "$" too, so that malformed names fall below the sequence's own prefix.
    if (t.hex.startsWith('$')) {
      return this.bytes(Buffer.concat([Buffer.from(this.prefix), Buffer.from(t.hex.slice(1), 'hex')]))
    }
    return this.bytes(Buffer.from(t.hex, 'hex'))
  }

  end(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

export function frame(body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(4 + body.length)
  out.writeInt32BE(body.length)
  body.copy(out, 4)
  return out
}

export class ShortRead extends Error {}

export class Reader {
  readonly buf: Buffer
  at = 0

  constructor(buf: Buffer) {
    this.buf = buf
  }

  private take(n: number): number {
    const at = this.at
    if (at + n > this.buf.length) throw new ShortRead(`${n} bytes wanted at ${at} of ${this.buf.length}`)
    this.at = at + n
    return at
  }

  byte(): number {
    return this.buf[this.take(1)]!
  }

  int(): number {
    return this.buf.readInt32BE(this.take(4))
  }

  big(): bigint {
    return this.buf.readBigInt64BE(this.take(8))
  }

  /** A zxid or a time: exact below 2^53, and -1. */
  long(): number {
    const at = this.take(8)
    return this.buf.readInt32BE(at) * 0x1_0000_0000 + this.buf.readUInt32BE(at + 4)
  }

  bytes(): Buffer | null {
    const n = this.int()
    if (n === -1) return null
    if (n < 0) throw new ShortRead(`length ${n}`)
    const at = this.take(n)
    return this.buf.subarray(at, at + n)
  }

  /** A string byte for byte (latin1), so that no two different encodings look the same. */
  text(): string | null {
    const b = this.bytes()
    return b === null ? null : b.toString('latin1')
  }

  texts(): (string | null)[] | null {
    const n = this.int()
    if (n === -1) return null
    const out: (string | null)[] = []
    for (let i = 0; i < n; i++) out.push(this.text())
    return out
  }

  rest(): string {
    const text = this.buf.subarray(this.at).toString('hex')
    this.at = this.buf.length
    return text
  }
}
