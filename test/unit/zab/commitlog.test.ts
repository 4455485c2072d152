import { describe, expect, it } from 'vitest'
import { CommitLog, follows } from '../../../src/zab/commitlog.ts'
import type { Proposal } from '../../../src/zab/types.ts'
import { Random } from '../datatree/random.ts'
import { EPOCH, entries } from './lone.ts'

function deliver(log: CommitLog, upTo: number): number[] {
  const delivered: number[] = []
  log.deliverTo(upTo, ({ zxid }) => delivered.push(zxid))
  return delivered
}

function zxids(log: CommitLog, after: number): number[] {
  const found: number[] = []
  log.visitAfter(after, ({ zxid }) => found.push(zxid))
  return found
}

describe('the commit log', () => {
  it('delivers each entry once, in order, and knows where log, disk and tree stand', () => {
    const log = new CommitLog(0, [], 500)
    for (const entry of entries(1, 1, 4)) log.append(entry)
    log.onDurable(EPOCH + 2)
    expect([log.zxidLogged, log.zxidDurable, log.zxidDelivered]).toEqual([EPOCH + 4, EPOCH + 2, 0])
    expect(deliver(log, EPOCH + 2)).toEqual([EPOCH + 1, EPOCH + 2])
    expect(deliver(log, EPOCH + 2)).toEqual([])
    expect(deliver(log, 2 * EPOCH)).toEqual([EPOCH + 3, EPOCH + 4])
  })

  it('E4: takes no hole within an epoch, and no entry twice (ZOOKEEPER-4925)', () => {
    const log = new CommitLog(EPOCH + 3, entries(1, 1, 3), 500)
    for (const [epoch, counter] of [
      [1, 3],
      [1, 5],
      [0, 4],
    ] as const) {
      expect(() => log.append(entries(epoch, counter, counter)[0]!)).toThrow('does not follow')
    }
    log.append(entries(1, 4, 4)[0]!)
    log.append(entries(2, 1, 1)[0]!)
    expect(log.zxidLogged).toBe(2 * EPOCH + 1)
  })

  it('E4: keeps of what a start finds only what has no hole', () => {
    const log = new CommitLog(EPOCH + 9, [...entries(1, 1, 4), ...entries(1, 7, 9)], 500)
    expect(log.zxidReach).toBe(EPOCH + 7)
    expect(log.has(EPOCH + 4)).toBe(false)
    expect(zxids(log, 0)).toEqual([7, 8, 9].map((counter) => EPOCH + counter))
    expect(new CommitLog(EPOCH + 9, entries(1, 1, 4), 500).zxidReach).toBe(EPOCH + 9)
  })

  it('reaches back behind a snapshot that bears the name of an epoch', () => {
    const log = new CommitLog(2 * EPOCH, entries(1, 1, 4), 500)
    expect(log.zxidReach).toBe(EPOCH + 1)
    expect(log.zxidLogged).toBe(2 * EPOCH)
  })

  it('lets delivered entries go beyond its count or its bytes, and knows how far back it reaches', () => {
    const log = new CommitLog(0, [], 5)
    for (const entry of entries(1, 1, 20)) log.append(entry)
    expect(log.zxidReach).toBe(0)
    deliver(log, EPOCH + 12)
    expect(log.zxidReach).toBe(EPOCH + 7)
    expect(log.has(EPOCH + 7)).toBe(true)
    expect(log.has(EPOCH + 6)).toBe(false)
    expect(zxids(log, 0)).toHaveLength(13)
    const big = new CommitLog(0, [], 500)
    for (let counter = 1; counter <= 10; counter++) {
      big.append({ zxid: EPOCH + counter, bytes: new Uint8Array(10 * 1024 * 1024) })
    }
    deliver(big, EPOCH + 10)
    expect(big.zxidReach).toBe(EPOCH + 4)
  })

  it('never lets go what is not delivered', () => {
    const log = new CommitLog(0, [], 5)
    for (const entry of entries(1, 1, 1000)) log.append(entry)
    expect(zxids(log, 0)).toHaveLength(1000)
    expect(deliver(log, EPOCH + 1000)).toHaveLength(1000)
    expect(zxids(log, 0)).toHaveLength(5)
  })

  it('is cut where the tree has seen nothing of it, and where it has been rebuilt', () => {
    const log = new CommitLog(EPOCH + 3, entries(1, 1, 3), 500)
    for (const entry of entries(1, 4, 8)) log.append(entry)
    log.truncate(EPOCH + 5, EPOCH + 3)
    expect(deliver(log, EPOCH + 9)).toEqual([EPOCH + 4, EPOCH + 5])
    log.truncate(EPOCH + 2, EPOCH + 2)
    expect([log.zxidLogged, log.zxidDurable, log.zxidDelivered]).toEqual([EPOCH + 2, EPOCH + 2, EPOCH + 2])
    log.append(entries(2, 1, 1)[0]!)
    expect(deliver(log, 2 * EPOCH + 1)).toEqual([2 * EPOCH + 1])
    expect(zxids(log, 0)).toEqual([EPOCH + 1, EPOCH + 2, 2 * EPOCH + 1])
  })

  it('is cut even before what it remembers', () => {
    const log = new CommitLog(EPOCH + 9, entries(1, 7, 9), 500)
    log.truncate(EPOCH + 3, EPOCH + 3)
    expect(log.zxidReach).toBe(EPOCH + 3)
    log.append(entries(1, 4, 4)[0]!)
    expect(zxids(log, 0)).toEqual([EPOCH + 4])
  })

  it('agrees with a plain list, whatever is done to it', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed)
      const log = new CommitLog(0, [], 7)
      let plain: Proposal[] = []
      let delivered = 0
      for (let step = 0; step < 300; step++) {
        const dice = random.below(10)
        const last = plain.at(-1)?.zxid ?? 0
        if (dice < 6) {
          const zxid = random.below(20) === 0 || last === 0 ? (Math.floor(last / EPOCH) + 1) * EPOCH + 1 : last + 1
          const entry = { zxid, bytes: new Uint8Array(3) }
          plain.push(entry)
          log.append(entry)
        } else if (dice < 9) {
          const upTo = plain[random.below(plain.length)]?.zxid ?? 0
          const expected = plain.filter(({ zxid }) => zxid > delivered && zxid <= upTo).map(({ zxid }) => zxid)
          expect(deliver(log, upTo), `seed ${seed}`).toEqual(expected)
          delivered = Math.max(delivered, ...expected)
        } else if (plain.length > 0) {
          const to = plain[Math.max(0, plain.length - 1 - random.below(4))]!.zxid
          plain = plain.filter(({ zxid }) => zxid <= to)
          delivered = Math.min(delivered, to)
          log.truncate(to, delivered)
        }
        const from = plain[random.below(plain.length)]?.zxid ?? 0
        if (from >= log.zxidReach) {
          expect(zxids(log, from), `seed ${seed}`).toEqual(plain.map(({ zxid }) => zxid).filter((zxid) => zxid > from))
          expect(log.has(from) || from === 0).toBe(true)
        }
      }
    }
  })
})

describe('one zxid follows another', () => {
  it('by one, or into a later epoch', () => {
    expect(follows(EPOCH + 3, EPOCH + 4)).toBe(true)
    expect(follows(EPOCH + 3, 2 * EPOCH + 1)).toBe(true)
    expect(follows(-1, 0)).toBe(true)
    expect(follows(EPOCH, EPOCH + 1)).toBe(true)
    expect(follows(EPOCH + 3, EPOCH + 5)).toBe(false)
    expect(follows(2 * EPOCH + 1, EPOCH + 4)).toBe(false)
  })
})
