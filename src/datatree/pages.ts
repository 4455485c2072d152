/**
 * Memory off the JavaScript heap: pages of equal size, cut into slots.
 *
 * A handle names a slot: page number in the high bits, position within the page in units of `unitBytes` below. A page
 * serves slots of one size class. Within it, slots never used lie above a mark, released ones form a list through
 * their first four bytes; a page that becomes empty gives its memory back, and its number serves the next page, of any
 * class. One buffer is held in reserve, so that a workload that hovers at a page's edge does not allocate each time.
 *
 * Handle 0 is taken at the start and never handed out, so that 0 can mean "none"; its slot reads as zeros. Pages that do
 * not exist are of length 0, so access through a stale handle throws, or yields undefined, rather than read something.
 * Every byte of the tree comes from `allocatePage`, the one place to change if pages are to be shared between threads.
 * The kernel backs a fresh page as it is touched, so an idle server pays for what it uses.
 */

import { assert } from '../jute/assert.ts'

export function allocatePage(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes)
}

const NONE = -1
const NOTHING = new Uint8Array(0)
const NOTHING_VIEW = new DataView(NOTHING.buffer)

interface Page {
  readonly buffer: ArrayBuffer
  readonly slotBytes: number
  readonly slotsMax: number
  readonly sizeClass: number
  used: number
  /** Slots from here up were never handed out since the page was made. */
  mark: number
  /** Byte offset of the first released slot, or NONE. */
  firstFree: number
  /** Neighbours in the list of pages of this class that have room; NONE at the ends and outside. */
  next: number
  prev: number
  listed: boolean
}

export interface SlotFigures {
  pagesBytes: number
  /** Bytes in slots that are handed out; the rest of pagesBytes is free. */
  usedBytes: number
  usedSlots: number
}

export class SlotPages {
  /** By page number. */
  readonly bytes: Uint8Array[]
  readonly views: DataView[]
  private readonly pages: (Page | null)[]
  private readonly retired: number[]
  private readonly firstWithRoom: Int32Array
  private readonly lastWithRoom: Int32Array
  private readonly pageBytes: number
  private readonly unitBytes: number
  private readonly pageBits: number
  private readonly pagesMax: number
  private readonly slotSizes: readonly number[]
  private spare: ArrayBuffer | null
  private readonly figures: SlotFigures

  /** All sizes in bytes; `pageBytes / unitBytes` is a power of two, slot sizes are multiples of the unit. */
  constructor(pageBytes: number, unitBytes: number, slotSizes: readonly number[]) {
    const pageBits = Math.log2(pageBytes / unitBytes)
    assert(Number.isInteger(pageBits), 'units per page: a power of two')
    this.bytes = []
    this.views = []
    this.pages = []
    this.retired = []
    this.firstWithRoom = new Int32Array(slotSizes.length).fill(NONE)
    this.lastWithRoom = new Int32Array(slotSizes.length).fill(NONE)
    this.pageBytes = pageBytes
    this.unitBytes = unitBytes
    this.pageBits = pageBits
    this.pagesMax = 2 ** (31 - pageBits)
    this.slotSizes = slotSizes
    this.spare = null
    this.figures = { pagesBytes: 0, usedBytes: 0, usedSlots: 0 }
    this.reserveZero()
  }

  /** A slot of that class. Its bytes are whatever was there. */
  take(sizeClass: number): number {
    let number = this.firstWithRoom[sizeClass]!
    if (number === NONE) number = this.addPage(sizeClass)
    const page = this.pages[number]!
    let off = page.firstFree
    if (off !== NONE) {
      page.firstFree = this.views[number]!.getInt32(off)
    } else {
      off = page.mark * page.slotBytes
      page.mark++
    }
    page.used++
    if (page.used === page.slotsMax) this.unlist(number, page)
    this.figures.usedBytes += page.slotBytes
    this.figures.usedSlots++
    return (number << this.pageBits) | (off / this.unitBytes)
  }

  release(handle: number): void {
    const number = handle >>> this.pageBits
    const page = this.pages[number]
    assert(page !== null && page !== undefined, 'release: no such page')
    page.used--
    this.figures.usedBytes -= page.slotBytes
    this.figures.usedSlots--
    if (page.used === 0) {
      this.dropPage(number, page)
      return
    }
    const off = (handle & ((1 << this.pageBits) - 1)) * this.unitBytes
    this.views[number]!.setInt32(off, page.firstFree)
    page.firstFree = off
    // at the end, so that the page in use fills up first and this one may yet become empty
    if (!page.listed) this.list(number, page)
  }

  /** The size class of the page that `handle` lies in. */
  classOf(handle: number): number {
    const page = this.pages[handle >>> this.pageBits]
    assert(page !== null && page !== undefined, 'classOf: no such page')
    return page.sizeClass
  }

  measure(): Readonly<SlotFigures> {
    return this.figures
  }

  clear(): void {
    this.bytes.length = 0
    this.views.length = 0
    this.pages.length = 0
    this.retired.length = 0
    this.firstWithRoom.fill(NONE)
    this.lastWithRoom.fill(NONE)
    this.spare = null
    this.figures.pagesBytes = this.figures.usedBytes = this.figures.usedSlots = 0
    this.reserveZero()
  }

  /** Asserts that exactly the given handles (0 among them) are in use, and that every list is sound. For tests; slow. */
  check(handlesInUse: ReadonlySet<number>): void {
    assert(
      handlesInUse.size === this.figures.usedSlots,
      `${this.figures.usedSlots} slots used, ${handlesInUse.size} owned`,
    )
    const ownedPerPage = new Array<number>(this.pages.length).fill(0)
    for (const handle of handlesInUse) {
      const number = handle >>> this.pageBits
      const page = this.pages[number]
      assert(page !== null && page !== undefined, 'owned slot in no page')
      const slot = ((handle & ((1 << this.pageBits) - 1)) * this.unitBytes) / page.slotBytes
      assert(Number.isInteger(slot) && slot < page.mark, 'owned handle is not a slot')
      ownedPerPage[number]!++
    }
    let usedBytes = 0
    let pagesLive = 0
    this.pages.forEach((page, number) => {
      if (page === null) return
      pagesLive++
      usedBytes += page.used * page.slotBytes
      assert(page.used === ownedPerPage[number], 'page miscounts its slots')
      assert(page.used > 0 && page.listed === page.used < page.slotsMax, 'page wrongly listed')
      const free = this.freeSlots(number, page)
      assert(free.size + page.used === page.mark, 'slots lost')
      for (const handle of free) assert(!handlesInUse.has(handle), 'slot both free and owned')
    })
    assert(usedBytes === this.figures.usedBytes, 'usedBytes is off')
    assert(pagesLive + this.retired.length === this.pages.length, 'page numbers lost')
    const buffers = pagesLive + (this.spare === null ? 0 : 1)
    assert(buffers * this.pageBytes === this.figures.pagesBytes, 'pagesBytes is off')
  }

  private reserveZero(): void {
    const zero = this.take(0)
    assert(zero === 0, 'the first handle is zero')
  }

  private freeSlots(number: number, page: Page): Set<number> {
    const free = new Set<number>()
    for (let off = page.firstFree; off !== NONE; off = this.views[number]!.getInt32(off)) {
      const handle = (number << this.pageBits) | (off / this.unitBytes)
      assert(off % page.slotBytes === 0 && off < page.mark * page.slotBytes, 'free list points outside')
      assert(!free.has(handle), 'free list has a loop')
      free.add(handle)
    }
    return free
  }

  private addPage(sizeClass: number): number {
    const slotBytes = this.slotSizes[sizeClass]!
    const number = this.retired.pop() ?? this.pages.length
    assert(number < this.pagesMax, 'out of page numbers')
    if (this.spare === null) this.figures.pagesBytes += this.pageBytes
    const buffer = this.spare ?? allocatePage(this.pageBytes)
    this.spare = null
    const page: Page = {
      buffer,
      slotBytes,
      slotsMax: Math.floor(this.pageBytes / slotBytes),
      sizeClass,
      used: 0,
      mark: 0,
      firstFree: NONE,
      next: NONE,
      prev: NONE,
      listed: false,
    }
    this.pages[number] = page
    this.bytes[number] = new Uint8Array(buffer)
    this.views[number] = new DataView(buffer)
    this.list(number, page)
    return number
  }

  private dropPage(number: number, page: Page): void {
    if (page.listed) this.unlist(number, page)
    if (this.spare === null) this.spare = page.buffer
    else this.figures.pagesBytes -= this.pageBytes
    this.pages[number] = null
    this.bytes[number] = NOTHING
    this.views[number] = NOTHING_VIEW
    this.retired.push(number)
  }

  private list(number: number, page: Page): void {
    const last = this.lastWithRoom[page.sizeClass]!
    page.listed = true
    page.prev = last
    page.next = NONE
    if (last === NONE) this.firstWithRoom[page.sizeClass] = number
    else this.pages[last]!.next = number
    this.lastWithRoom[page.sizeClass] = number
  }

  private unlist(number: number, page: Page): void {
    if (page.prev === NONE) this.firstWithRoom[page.sizeClass] = page.next
    else this.pages[page.prev]!.next = page.next
    if (page.next === NONE) this.lastWithRoom[page.sizeClass] = page.prev
    else this.pages[page.next]!.prev = page.prev
    page.listed = false
    page.next = page.prev = NONE
    assert(this.firstWithRoom[page.sizeClass] !== number, 'page listed twice')
  }
}
