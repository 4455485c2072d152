/**
 * Runs of bytes (names and data of znodes) with explicit lifetimes.
 *
 * Up to 64 KiB a blob is a slot of a size class: multiples of 16 bytes up to 128, then four steps per doubling, so at
 * most a fifth of a slot is waste. Larger ones are buffers of their own. A handle is an int32: positive, a slot in units
 * of 16 bytes (32 GiB of them); negative, the complement of a number into the table of large buffers; 0, no bytes at
 * all. A blob does not know its length, only its capacity: the owner keeps the length.
 *
 * Readers copy out of blobs, so nothing ever pins one, and an owner may overwrite its own in place.
 */

import { assert } from '../jute/assert.ts'
import { copyBytes } from '../jute/output.ts'
import { allocatePage, SlotPages } from './pages.ts'

const PAGE_BYTES = 1 << 20
const UNIT_BYTES = 16
/** From a handle: page number above, units below. */
const PAGE_SHIFT = 16
const UNIT_MASK = 0xffff
/** Blobs above this get a buffer of their own, in steps of LARGE_STEP bytes. */
const SLOT_BYTES_MAX = 65_536
const LARGE_STEP = 4096
const NOTHING = new Uint8Array(0)

export type BlobHandle = number
export const NO_BLOB: BlobHandle = 0

export interface BlobFigures {
  /** Memory held: pages and large buffers. */
  heldBytes: number
  /** The part of it in slots and buffers that belong to someone, rounding included. */
  usedBytes: number
  largeCount: number
}

export class Blobs {
  private readonly slots: SlotPages
  private readonly slotSizes: readonly number[]
  /** Size class by units, for 1 to 4096 units. */
  private readonly classByUnits: Uint8Array
  private readonly large: Uint8Array[]
  private readonly largeFree: number[]
  private largeBytes: number

  constructor() {
    const { sizes, classByUnits } = sizeClasses()
    this.slots = new SlotPages(PAGE_BYTES, UNIT_BYTES, sizes)
    this.slotSizes = sizes
    this.classByUnits = classByUnits
    this.large = []
    this.largeFree = []
    this.largeBytes = 0
  }

  /** Room for `length` bytes, contents undefined; NO_BLOB for none. */
  allocate(length: number): BlobHandle {
    if (length === 0) return NO_BLOB
    if (length > SLOT_BYTES_MAX) return this.allocateLarge(length)
    return this.slots.take(this.classByUnits[(length + UNIT_BYTES - 1) >>> 4]!)
  }

  /** Copies the bytes into a blob of their own. */
  store(buf: Uint8Array, off: number, end: number): BlobHandle {
    const handle = this.allocate(end - off)
    if (handle !== NO_BLOB) copyBytes(buf, off, end, this.bytesOf(handle), this.offsetOf(handle))
    return handle
  }

  /** Replaces a blob's bytes: in place if the size class stays the same. Returns the handle to use from now on. */
  replace(handle: BlobHandle, buf: Uint8Array, off: number, end: number): BlobHandle {
    if (handle === NO_BLOB || this.capacityFor(end - off) !== this.capacity(handle)) {
      this.free(handle)
      return this.store(buf, off, end)
    }
    copyBytes(buf, off, end, this.bytesOf(handle), this.offsetOf(handle))
    return handle
  }

  free(handle: BlobHandle): void {
    if (handle > 0) this.slots.release(handle)
    else if (handle < 0) this.freeLarge(~handle)
  }

  /** The memory a blob lies in, starting at `offsetOf(handle)`. Borrowed. */
  bytesOf(handle: BlobHandle): Uint8Array {
    return handle >= 0 ? this.slots.bytes[handle >>> PAGE_SHIFT]! : this.large[~handle]!
  }

  offsetOf(handle: BlobHandle): number {
    return handle >= 0 ? (handle & UNIT_MASK) << 4 : 0
  }

  /** Bytes the blob occupies: at least its length. */
  capacity(handle: BlobHandle): number {
    if (handle === NO_BLOB) return 0
    return handle > 0 ? this.slotSizes[this.slots.classOf(handle)]! : this.large[~handle]!.length
  }

  /** Bytes that a blob of this length occupies. */
  capacityFor(length: number): number {
    if (length === 0) return 0
    if (length > SLOT_BYTES_MAX) return Math.ceil(length / LARGE_STEP) * LARGE_STEP
    return this.slotSizes[this.classByUnits[(length + UNIT_BYTES - 1) >>> 4]!]!
  }

  measure(): BlobFigures {
    const slots = this.slots.measure()
    return {
      heldBytes: slots.pagesBytes + this.largeBytes,
      usedBytes: slots.usedBytes + this.largeBytes,
      largeCount: this.large.length - this.largeFree.length,
    }
  }

  clear(): void {
    this.slots.clear()
    this.large.length = 0
    this.largeFree.length = 0
    this.largeBytes = 0
  }

  /** Asserts that exactly the given handles are in use. For tests; slow. */
  check(handlesInUse: ReadonlySet<BlobHandle>): void {
    const slotHandles = new Set<number>([NO_BLOB])
    let largeBytes = 0
    let largeCount = 0
    for (const handle of handlesInUse) {
      assert(handle !== NO_BLOB, 'no blob is not a blob')
      if (handle > 0) {
        slotHandles.add(handle)
        continue
      }
      const buffer = this.large[~handle]
      assert(buffer !== undefined && buffer.length > SLOT_BYTES_MAX, 'owned large buffer does not exist')
      largeBytes += buffer.length
      largeCount++
    }
    this.slots.check(slotHandles)
    assert(largeBytes === this.largeBytes, 'largeBytes is off')
    assert(largeCount + this.largeFree.length === this.large.length, 'large buffers lost')
  }

  private allocateLarge(length: number): BlobHandle {
    const buffer = new Uint8Array(allocatePage(this.capacityFor(length)))
    const number = this.largeFree.pop() ?? this.large.length
    this.large[number] = buffer
    this.largeBytes += buffer.length
    return ~number
  }

  private freeLarge(number: number): void {
    const length = this.large[number]!.length
    assert(length > 0, 'large buffer freed twice')
    this.largeBytes -= length
    this.large[number] = NOTHING
    this.largeFree.push(number)
  }
}

function sizeClasses(): { sizes: number[]; classByUnits: Uint8Array } {
  const sizes: number[] = []
  for (let units = 1; units <= 8; units++) sizes.push(units * UNIT_BYTES)
  for (let base = 128; base < SLOT_BYTES_MAX; base *= 2) {
    for (let quarter = 1; quarter <= 4; quarter++) sizes.push(base + (quarter * base) / 4)
  }
  const classByUnits = new Uint8Array(SLOT_BYTES_MAX / UNIT_BYTES + 1)
  let sizeClass = 0
  for (let units = 1; units < classByUnits.length; units++) {
    if (units * UNIT_BYTES > sizes[sizeClass]!) sizeClass++
    classByUnits[units] = sizeClass
  }
  return { sizes, classByUnits }
}
