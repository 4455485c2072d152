/**
 * What happened in a run: lines for humans, and a hash of all of it, bytes on the wire included, by which two runs of
 * one seed are known to be the same.
 */

export class Story {
  /** All lines, if they are kept. */
  readonly lines: string[]
  private readonly keep: boolean
  private readonly nowUs: () => number
  private high: number
  private low: number

  constructor(nowUs: () => number, keep: boolean) {
    this.lines = []
    this.keep = keep
    this.nowUs = nowUs
    this.high = 0x243f6a88
    this.low = 0x85a308d3 | 0
  }

  tell(who: string, text: string): void {
    this.mix(this.nowUs())
    this.mixText(who)
    this.mixText(text)
    if (this.keep) this.lines.push(`${(this.nowUs() / 1e6).toFixed(6).padStart(12)} ${who.padEnd(4)} ${text}`)
  }

  mix(value: number): void {
    this.high = Math.imul(this.high ^ value, 0x9e3779b1)
    this.low = Math.imul(this.low ^ Math.floor(value / 2 ** 32) ^ (this.high >>> 15), 0x85ebca77)
    this.high ^= this.low >>> 13
  }

  mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i))
  }

  mixBytes(bytes: Uint8Array): void {
    let hash = 0x811c9dc5
    for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    this.mix(bytes.length)
    this.mix(hash >>> 0)
  }

  get hash(): string {
    return (this.high >>> 0).toString(16).padStart(8, '0') + (this.low >>> 0).toString(16).padStart(8, '0')
  }
}
