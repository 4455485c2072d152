/** One a while, as Java's RateLimiter with a rate of one. Pure. */

export class RateLimit {
  private readonly intervalMs: number
  private sinceMs: number
  private left: number

  constructor(intervalMs: number, nowMs: number) {
    this.intervalMs = intervalMs
    this.sinceMs = nowMs
    this.left = 1
  }

  allow(nowMs: number): boolean {
    if (nowMs > this.sinceMs + this.intervalMs) {
      this.left = 1
      this.sinceMs = nowMs
    }
    if (this.left === 0) return false
    this.left--
    return true
  }
}
