import { describe, expect, test } from 'vitest'
import { SlotPages } from '../../../src/datatree/pages.ts'
import { Random } from './random.ts'

/** Pages of 1 KiB with units of 16 bytes: 64 units to a page. */
const small = (): SlotPages => new SlotPages(1024, 16, [16, 48, 112])

describe('SlotPages', () => {
  test('never hands out handle 0, and reads zeros there', () => {
    const slots = small()
    const handles = new Set(Array.from({ length: 200 }, () => slots.take(0)))
    expect(handles.size).toBe(200)
    expect(handles.has(0)).toBe(false)
    expect(slots.bytes[0]!.subarray(0, 16)).toEqual(new Uint8Array(16))
    slots.check(new Set([0, ...handles]))
  })

  test('puts slots of a class behind one another, and classes in pages of their own', () => {
    const slots = small()
    expect([slots.take(0), slots.take(0)]).toEqual([1, 2])
    expect([slots.take(1), slots.take(1)]).toEqual([64, 67])
    expect([slots.take(2), slots.take(2)]).toEqual([128, 135])
    expect([1, 64, 135].map((handle) => slots.classOf(handle))).toEqual([0, 1, 2])
  })

  test('fills a page before it begins another, and gives back one that becomes empty', () => {
    const slots = small()
    const perPage = Math.floor(1024 / 48)
    const handles = Array.from({ length: 3 * perPage }, () => slots.take(1))
    expect(new Set(handles.map((handle) => handle >>> 6)).size).toBe(3)
    expect(slots.measure().pagesBytes).toBe(4 * 1024)
    for (const handle of handles.slice(0, 2 * perPage)) slots.release(handle)
    // one page back, one in reserve
    expect(slots.measure().pagesBytes).toBe(3 * 1024)
    slots.check(new Set([0, ...handles.slice(2 * perPage)]))
    for (const handle of handles.slice(2 * perPage)) slots.release(handle)
    expect(slots.measure()).toEqual({ pagesBytes: 2 * 1024, usedBytes: 16, usedSlots: 1 })
    slots.check(new Set([0]))
  })

  test('reuses page numbers for other classes', () => {
    const slots = small()
    const handle = slots.take(1)
    slots.release(handle)
    expect(slots.take(2) >>> 6).toBe(handle >>> 6)
  })

  test('throws on access through a handle whose page is gone', () => {
    const slots = small()
    const handle = slots.take(1)
    slots.release(handle)
    expect(() => slots.views[handle >>> 6]!.getInt32(0)).toThrow(RangeError)
    expect(() => slots.release(handle)).toThrow('no such page')
    expect(() => slots.classOf(handle)).toThrow('no such page')
  })

  test.each([1, 2, 3])('agrees with a plain set under random use, seed %i', (seed) => {
    const random = new Random(seed)
    const slots = small()
    const live: number[] = []
    let peak = 0
    for (let step = 0; step < 20_000; step++) {
      // grows, shrinks, grows
      const wanted = step % 10_000 < 5000 ? 60 : 40
      if (live.length === 0 || random.below(100) < wanted) {
        const handle = slots.take(random.below(3))
        expect(live.length < 5000 && live.includes(handle)).toBe(false)
        live.push(handle)
        peak = Math.max(peak, slots.measure().pagesBytes)
      } else {
        const at = random.below(live.length)
        slots.release(live[at]!)
        live[at] = live[live.length - 1]!
        live.pop()
      }
      if (step % 1000 === 999) slots.check(new Set([0, ...live]))
    }
    for (const handle of live) slots.release(handle)
    slots.check(new Set([0]))
    expect(slots.measure().pagesBytes).toBeLessThan(peak / 4)
  })

  test('is as new after clear', () => {
    const slots = small()
    for (let i = 0; i < 300; i++) slots.take(i % 3)
    slots.clear()
    slots.check(new Set([0]))
    expect(slots.take(0)).toBe(1)
  })
})
