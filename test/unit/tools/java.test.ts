/**
 * Output recorded from Apache's tools on the files in test/conformance/fixtures/disk, with a word in place of each time:
 * `fixtures/<file>.txt`, made by TxnLogToolkit and by SnapshotFormatter -d of 3.9.5. test/interop/tools compares the
 * rest, with the real tools beside ours.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { JavaDates, parseZoneRule } from '../../../src/tools/javadate.ts'
import { inJavaOrder, javaLongHash, javaStringHash } from '../../../src/tools/javaorder.ts'
import { dumpLog } from '../../../src/tools/logtool.ts'
import { showSnapshot } from '../../../src/tools/snapshotshow.ts'
import { FIXTURES } from '../txnlog/states.ts'
import { disk, LENGTH_MAX, RecordingTerminal } from './helpers.ts'

const RECORDED = join(import.meta.dirname, 'fixtures')

function fileOf(name: string): string {
  const life = ['plain', 'gz', 'snappy'].find((each) => existsSync(join(FIXTURES, each, 'version-2', name)))
  return join(FIXTURES, life!, 'version-2', name)
}

describe('what Apache prints', () => {
  for (const recorded of readdirSync(RECORDED)) {
    const name = recorded.replace(/\.txt$/, '')
    it(`is printed for ${name}, line by line`, async () => {
      const terminal = new RecordingTerminal()
      const run = name.startsWith('log.')
        ? dumpLog(disk, fileOf(name), LENGTH_MAX, terminal)
        : showSnapshot(disk, fileOf(name), true, LENGTH_MAX, terminal)
      expect(await run).toBe(0)
      const timeless = terminal.output
        .replace(/^\d+\/\d+\/\d\d, \d+:\d\d:\d\d [AP]M \S+ /gm, 'DATE ')
        .replace(/^( {2}[cm]time = )\w{3} \w{3} \d\d \d\d:\d\d:\d\d \S+ \d{4}$/gm, '$1DATE')
      expect(timeless).toBe(readFileSync(join(RECORDED, recorded), 'utf8'))
    })
  }
})

/** Printed by Java 17: elements put into a HashSet of capacity 8, and into a HashMap. */
describe("Java's tables", () => {
  it('hash strings by UTF-16 units, and longs by their halves', () => {
    expect(javaStringHash('hello')).toBe(99162322)
    expect(javaStringHash('Aa')).toBe(javaStringHash('BB'))
    expect(javaLongHash(0x1000028, 0x481f0000)).toBe(0x491f0028)
  })

  it('give fifty strings in the order of their buckets', () => {
    const names = Array.from({ length: 50 }, (_, i) => `child-${i * i * 7}`)
    expect(inJavaOrder(names, javaStringHash, 8).join(' ')).toBe(
      'child-343 child-14175 child-15463 child-700 child-4032 child-10647 child-5887 child-3388 child-5488 child-7623 ' +
        'child-12943 child-1008 child-3703 child-12348 child-112 child-9072 child-2800 child-1792 child-7 child-14812 ' +
        'child-2527 child-6727 child-9583 child-0 child-567 child-7168 child-8575 child-448 child-4375 child-1183 ' +
        'child-847 child-3087 child-8092 child-10108 child-4732 child-16807 child-5103 child-16128 child-175 child-252 ' +
        'child-13552 child-6300 child-63 child-1372 child-1575 child-2268 child-2023 child-11200 child-11767 child-28',
    )
  })

  it('grow early when a bucket is crowded', () => {
    const twins = Array.from({ length: 10 }, (_, i) =>
      [0, 1, 2, 3].map((bit) => ((i >> bit) & 1 ? 'BB' : 'Aa')).join(''),
    )
    expect(inJavaOrder([...twins, 'x', 'y', 'z', 'ä', '中'], javaStringHash, 8)).toEqual(
      (
        'AaAaAaAa BBAaAaAa AaBBAaAa BBBBAaAa AaAaBBAa BBAaBBAa AaBBBBAa BBBBBBAa AaAaAaBB BBAaAaBB ' + 'ä 中 x y z'
      ).split(' '),
    )
  })

  it('give twenty sessions in the order of their buckets', () => {
    const ids = Array.from({ length: 20 }, (_, i) => 0x1000028481f0000n + BigInt(i) * 0x123456789n)
    const hash = (id: bigint): number => javaLongHash(Number(id >> 32n) | 0, Number(id & 0xffffffffn) | 0)
    expect(inJavaOrder(ids, hash, 16).map((id) => id.toString(16))).toEqual(
      (
        '10000296b646789 100002f1bbf6d36 1000035ef5fda6c 100003712a541f5 10000303f04d4bf 1000032858fa3d1 ' +
        '100003835eaa97e 1000034cc1a72e3 100003959301107 100002a8ea9cf12 1000031624a3c48 100003de645af2b ' +
        '1000028481f0000 100003b9fbae019 100002df87a05ad 100002cd5349e24 1000033a8d50b5a 100003cc30047a2 ' +
        '100002bb1ef369b 100003a7c757890'
      ).split(' '),
    )
  })
})

describe('times', () => {
  it('come in the three shapes that the tools print', () => {
    const dates = new JavaDates()
    const noon = new Date(2026, 1, 3, 12, 5, 9).getTime()
    const night = new Date(2009, 10, 30, 0, 59, 0).getTime()
    expect(dates.shortLong(noon)).toMatch(/^2\/3\/26, 12:05:09 PM \S+$/)
    expect(dates.shortLong(night)).toMatch(/^11\/30\/09, 12:59:00 AM \S+$/)
    expect(dates.medium(noon)).toBe('Feb 3, 2026, 12:05:09 PM')
    expect(dates.full(night)).toMatch(/^Mon Nov 30 00:59:00 \S+ 2009$/)
  })

  it('take the names of a zone from the last line of its file', () => {
    expect(parseZoneRule('CET-1CEST,M3.5.0,M10.5.0/3')).toEqual({ standard: 'CET', summer: 'CEST', offsetMinutes: 60 })
    expect(parseZoneRule('EST5EDT,M3.2.0,M11.1.0')).toEqual({ standard: 'EST', summer: 'EDT', offsetMinutes: -300 })
    expect(parseZoneRule('IST-5:30')).toEqual({ standard: 'IST', summer: 'IST', offsetMinutes: 330 })
    expect(parseZoneRule('UTC0')).toEqual({ standard: 'UTC', summer: 'UTC', offsetMinutes: 0 })
    expect(parseZoneRule('<+03>-3')).toBeNull()
  })
})
