import { describe, expect, it } from 'vitest'
import { Backlog } from '../../../src/server/backlog.ts'
import { seeded } from '../../disk/memdisk.ts'

describe('a backlog', () => {
  it('gives back every byte in order, however they come and go', () => {
    const random = seeded(3)
    for (let round = 0; round < 200; round++) {
      const backlog = new Backlog()
      const model: number[] = []
      for (let step = 0; step < 60; step++) {
        const chunk = Uint8Array.from({ length: Math.floor(random() ** 3 * 300) }, () => Math.floor(random() * 256))
        const off = Math.min(chunk.length, Math.floor(random() * 4))
        backlog.push(chunk, off, chunk.length)
        model.push(...chunk.subarray(off))
        const wanted = Math.floor(random() * model.length * (random() < 0.3 ? 1.1 : 0.2))
        const used = backlog.offer((buf, from, end) => {
          expect([...buf.subarray(from, end)]).toEqual(model)
          return wanted
        })
        expect(used).toBe(Math.min(wanted, model.length))
        model.splice(0, used)
        expect(backlog.length).toBe(model.length)
      }
    }
  })

  it('keeps what comes meanwhile, while nothing of it is used', () => {
    const backlog = new Backlog()
    for (let i = 0; i < 1000; i++) {
      backlog.push(new Uint8Array([i & 0xff]), 0, 1)
      expect(backlog.offer(() => 0)).toBe(0)
    }
    expect(backlog.length).toBe(1000)
    backlog.offer((buf, from) => {
      for (let i = 0; i < 1000; i++) expect(buf[from + i]).toBe(i & 0xff)
      return 1000
    })
    expect(backlog.length).toBe(0)
  })
})
