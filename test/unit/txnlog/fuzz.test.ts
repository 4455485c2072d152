import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Compression, snapshotName } from '../../../src/txnlog/names.ts'
import { readSnapshot } from '../../../src/txnlog/snapfile.ts'
import { loadNowhere } from '../../../src/txnlog/snapshot.ts'
import { FOLDER } from '../../fuzz/bases.ts'
import { type Kind, type Material, parseCase } from '../../fuzz/cases.ts'
import { judge } from '../../fuzz/judge.ts'
import { OverlayDisk } from '../../fuzz/overlay.ts'
import { makeMaterial, run } from '../../fuzz/run.ts'
import { FIXTURES } from './states.ts'

const LENGTH_MAX = 0x1f_fffe
/** "ZKSN", version 2, database id -1. */
const SNAPSHOT_START = Uint8Array.of(0x5a, 0x4b, 0x53, 0x4e, 0, 0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255)
const CORPUS = join(import.meta.dirname, '../../fuzz/corpus')

class WatchedDisk extends OverlayDisk {
  /** The most that was read at once. */
  bytesMost = 0

  override read(...args: Parameters<OverlayDisk['read']>): void {
    this.bytesMost = Math.max(this.bytesMost, args[4])
    super.read(...args)
  }
}

/** How a snapshot is refused, and the most that was read of it at once. */
async function refusalOf(compression: Compression, bytes: Uint8Array): Promise<{ message: string; bytesMost: number }> {
  const name = snapshotName(0, compression)
  const disk = new WatchedDisk([[join(FOLDER, name), bytes]])
  const reading = readSnapshot(disk, FOLDER, { name, zxid: 0, compression }, loadNowhere(), LENGTH_MAX)
  const err = await reading.catch((thrown) => thrown)
  return { message: String(err), bytesMost: disk.bytesMost }
}

describe('damaged files', () => {
  it('D6: a compressed snapshot is read in small pieces, since each may unpack to a thousand times its size', async () => {
    const bytes = gzipSync(Buffer.concat([SNAPSHOT_START, new Uint8Array(90 * 2 ** 20).fill(0xff)]))
    const { message, bytesMost } = await refusalOf('gz', bytes)
    expect(message).toMatch(/StorageError: damaged snapshot: a table of -1 elements/)
    expect(bytesMost).toBe(64 * 1024)
  })

  it('D6: an ACL list with a count out of all reason is refused before the file is gathered for it', async () => {
    const bytes = Buffer.concat([SNAPSHOT_START, new Uint8Array(100 * 2 ** 20)])
    bytes.writeInt32BE(0, 16) // no session
    bytes.writeInt32BE(1, 20) // one list
    bytes.writeInt32BE(1, 28) // its id
    bytes.writeInt32BE(0x7fff_ffff, 32) // and its entries
    const { message } = await refusalOf('', bytes)
    expect(message).toMatch(/StorageError: damaged snapshot: an ACL of 2147483647 entries \(.*snapshot\.0 at byte 24\)/)
  })

  it('D4, D5, D6: what was once found stays mended', async () => {
    const names = readdirSync(CORPUS)
    expect(names.length).toBeGreaterThan(0)
    const materials = new Map<Kind, Material>()
    for (const name of names) {
      const each = parseCase(readFileSync(join(CORPUS, name), 'utf8'))
      const material = materials.get(each.kind) ?? (await makeMaterial(each.kind, FIXTURES))
      materials.set(each.kind, material)
      const { problem } = await judge(each, material)
      expect([name, problem]).toEqual([name, null])
    }
  })

  for (const [kind, count] of [
    ['log', 60],
    ['snapshot', 60],
    ['epoch', 500],
    ['config', 500],
    ['tools', 5],
    ['archive', 5],
    ['checkpoint', 5],
  ] as const) {
    it(`D4, D5, D6: ${kind}: a named error or a right outcome for ${count} seeded mutations`, async () => {
      const { cases, failures } = await run({ kind, seed: 1_000_000, count, limitMs: 0, fixtures: FIXTURES })
      expect(failures.map(({ seed, problem }) => `--kind ${kind} --seed ${seed}: ${problem}`)).toEqual([])
      expect(cases).toBe(count)
    })
  }
})
