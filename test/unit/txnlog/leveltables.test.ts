import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../src/txnlog/crc32c.ts'
import { checkBatches, checkTable, tablesIn } from '../../../src/txnlog/leveltables.ts'

/** The files of a database with some tables, removed keys among them, as LevelDB wrote them. */
async function databaseFiles(): Promise<Map<string, Uint8Array>> {
  const folder = mkdtempSync(join(tmpdir(), 'zoowarden-tables-'))
  try {
    const path = join(folder, 'db')
    for (let round = 0; round < 4; round++) {
      const db = new Level(path, { writeBufferSize: 64 * 1024 })
      for (let i = 0; i < 1500; i++) await db.put(`key ${round} ${i}`, 'v'.repeat(i % 90) + Math.sin(i))
      for (let i = 0; i < 300; i++) await db.del(`key ${round} ${i}`)
      await db.close()
    }
    return new Map(readdirSync(path).map((name) => [name, Uint8Array.from(readFileSync(join(path, name)))]))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('LevelDB files', () => {
  it('CRC-32C is what RFC 3720 says, for every length', () => {
    expect(crc32c(new TextEncoder().encode('123456789'), 0, 9)).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(255), 0, 32)).toBe(0x62a8ab43)
    const rising = Uint8Array.from({ length: 34 }, (_, i) => i - 1)
    expect(crc32c(rising, 1, 33)).toBe(0x46dd794e)
  })

  it('D4: as LevelDB leaves them they pass, and no byte of a block or of the manifest changes unseen', async () => {
    const files = await databaseFiles()
    const manifest = files.get([...files.keys()].find((name) => name.startsWith('MANIFEST'))!)!
    const tables = tablesIn(manifest)
    expect(tables.size).toBeGreaterThan(1)
    for (const name of files.keys()) if (/^\d+\.log$/.test(name)) checkBatches(files.get(name)!)
    for (const [number, bytes] of tables) {
      const table = files.get(`${String(number).padStart(6, '0')}.ldb`)!
      expect(table.length).toBe(bytes)
      checkTable(table)
      for (let at = 0; at < table.length - 48; at += 97) {
        const damaged = table.slice()
        damaged[at]! ^= 1 << (at % 8)
        expect(() => checkTable(damaged)).toThrow(/checksum/)
      }
      for (let cut = 0; cut < table.length; cut += 501) expect(() => checkTable(table.subarray(0, cut))).toThrow()
    }
    for (let at = 0; at < manifest.length; at++) {
      const damaged = manifest.slice()
      damaged[at]! ^= 1
      let found: Map<number, number> | null = null
      try {
        found = tablesIn(damaged)
      } catch (err) {
        expect(String(err)).toMatch(/^StorageError/)
      }
      // A length that reaches behind the end looks like a last record that a crash has cut.
      if (found !== null) expect(found.size).toBeLessThan(tables.size + 1)
    }
  })
})
