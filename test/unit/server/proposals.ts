/** What a pipeline under test has proposed and was not given back yet. */

interface Proposal {
  zxid: number
  bytes: Uint8Array
}

export class Proposals {
  private readonly waiting: Proposal[] = []

  get count(): number {
    return this.waiting.length
  }

  push(zxid: number, buf: Uint8Array, off: number, end: number): void {
    this.waiting.push({ zxid, bytes: buf.slice(off, end) })
  }

  /** Hands out everything up to `zxid`, oldest first. */
  deliverUpTo(zxid: number, deliver: (zxid: number, buf: Uint8Array, off: number, end: number) => void): void {
    while (this.waiting.length > 0 && this.waiting[0]!.zxid <= zxid) {
      const next = this.waiting.shift()!
      deliver(next.zxid, next.bytes, 0, next.bytes.length)
    }
  }
}
