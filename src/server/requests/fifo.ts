/** A queue whose front moves through an array: nothing is shifted, and what has been taken is let go. Pure. */

export class Fifo<T> {
  private items: (T | null)[]
  /** [head, length) are alive. */
  private head: number

  constructor() {
    this.items = []
    this.head = 0
  }

  get length(): number {
    return this.items.length - this.head
  }

  /** The oldest; null when there is none. */
  get first(): T | null {
    return this.items[this.head] ?? null
  }

  push(item: T): void {
    this.items.push(item)
  }

  /** Takes the oldest. */
  shift(): T | null {
    const { first } = this
    if (first === null) return null
    this.items[this.head++] = null
    if (this.head === this.items.length) {
      this.items.length = 0
      this.head = 0
    } else if (this.head > 4096 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return first
  }
}
