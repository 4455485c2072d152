/**
 * Virtual time: a heap of things to happen, and a clock that jumps to the next one. Whole microseconds; what falls on
 * the same one happens in the order it was asked for.
 */

export interface Happening {
  readonly atUs: number
  readonly order: number
  /** Null: taken back. */
  run: (() => void) | null
}

export class Timeline {
  nowUs: number
  /** Happenings so far. */
  count: number
  private order: number
  private readonly heap: Happening[]

  constructor() {
    this.nowUs = 0
    this.count = 0
    this.order = 0
    this.heap = []
  }

  at(atUs: number, run: () => void): Happening {
    const happening = { atUs: Math.max(this.nowUs, Math.ceil(atUs)), order: this.order++, run }
    const { heap } = this
    let i = heap.length
    heap.push(happening)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(happening, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = happening
    return happening
  }

  after(us: number, run: () => void): Happening {
    return this.at(this.nowUs + us, run)
  }

  /** When the next thing happens; Infinity: never. */
  get nextUs(): number {
    while (this.heap.length > 0 && this.heap[0]!.run === null) this.pop()
    return this.heap.length === 0 ? Number.POSITIVE_INFINITY : this.heap[0]!.atUs
  }

  /** Lets the next thing happen, if it is due by `untilUs`; else the clock goes there. */
  step(untilUs: number): boolean {
    if (this.nextUs > untilUs) {
      this.nowUs = Math.max(this.nowUs, untilUs)
      return false
    }
    const happening = this.pop()
    this.nowUs = happening.atUs
    this.count++
    const run = happening.run!
    happening.run = null
    run()
    return true
  }

  private pop(): Happening {
    const { heap } = this
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      let i = 0
      for (;;) {
        let child = 2 * i + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
        if (!before(heap[child]!, last)) break
        heap[i] = heap[child]!
        i = child
      }
      heap[i] = last
    }
    return first
  }
}

function before(a: Happening, b: Happening): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order)
}
