/**
 * How long the event loop's turns are: what comes in, from the first thing that wanted an answer on, and what goes out.
 * Everybody else waits meanwhile. Pure.
 */

/** Upper bounds of the histogram's buckets, in ms; the last one has none. */
export const TURN_BOUNDS_MS: readonly number[] = [1, 2, 5, 10, 25, 50, 100, 250, 1000]

export type TurnCause = 'input' | 'output'

export class Turns {
  /** Turns no longer than each bound, and all of them. */
  readonly counts: Float64Array
  sumMs: number
  private longestMs: Record<TurnCause, number>

  constructor() {
    this.counts = new Float64Array(TURN_BOUNDS_MS.length + 1)
    this.sumMs = 0
    this.longestMs = { input: 0, output: 0 }
  }

  add(inputMs: number, outputMs: number): void {
    const { longestMs } = this
    const ms = inputMs + outputMs
    this.sumMs += ms
    let at = 0
    while (at < TURN_BOUNDS_MS.length && ms > TURN_BOUNDS_MS[at]!) at++
    this.counts[at]!++
    if (inputMs > longestMs.input) longestMs.input = inputMs
    if (outputMs > longestMs.output) longestMs.output = outputMs
  }

  /** The longest since the last call, by what they were long with. */
  takeLongest(): Readonly<Record<TurnCause, number>> {
    const { longestMs } = this
    this.longestMs = { input: 0, output: 0 }
    return longestMs
  }
}
