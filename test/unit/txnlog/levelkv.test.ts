import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { StateMachine } from '../../../src/datatree/apply.ts'
import { nodeDisk } from '../../../src/txnlog/disk.ts'
import { LevelHome } from '../../../src/txnlog/levelkv.ts'
import { LevelStore } from '../../../src/txnlog/levelstore.ts'
import { createTxn, deleteTxn, listTree, makeState } from './states.ts'

const root = mkdtempSync(join(tmpdir(), 'zoowarden-level-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
function newHome(): LevelHome {
  return new LevelHome(nodeDisk(), join(root, `d${++folders}`))
}

function filled(count: number): StateMachine {
  const state = makeState()
  for (let zxid = 1; zxid <= count; zxid++) apply(state, createTxn(zxid, `/n${zxid}`))
  return state
}

function apply(state: StateMachine, txn: Uint8Array): void {
  state.apply(txn, 0, txn.length)
}

const now = (): number => performance.now()

describe('a checkpoint in a LevelDB folder', () => {
  it('is there after closing and opening, and after a copy of the open folder, as a killed process leaves it', async () => {
    const home = newHome()
    const state = filled(3000)
    const store = new LevelStore(home, now)
    expect(await store.find()).toBeNull()
    await store.takeSnapshot(state)
    for (let zxid = 3001; zxid <= 3100; zxid++) apply(state, deleteTxn(zxid, `/n${zxid - 3000}`))
    const written = await store.takeSnapshot(state)
    // The root, whose children went; nothing else is left of those.
    expect(written.nodeCount).toBe(1)
    const killed = newHome()
    mkdirSync(killed.path, { recursive: true })
    for (const name of readdirSync(home.path)) copyFileSync(join(home.path, name), join(killed.path, name))
    await store.close()
    for (const place of [home, killed]) {
      const again = new LevelStore(place, now)
      expect(await again.find()).toBe(3100)
      const found = makeState()
      const { end } = await again.load(found)
      expect(again.endError(found, end)).toBeNull()
      expect(listTree(found.tree)).toEqual(listTree(state.tree))
      expect(await again.verify()).toBe(true)
      await again.close()
    }
  })

  it('is gone at once when it is removed, and can begin anew', async () => {
    const home = newHome()
    const store = new LevelStore(home, now)
    await store.takeSnapshot(filled(10))
    await store.remove()
    expect([await store.exists(), await store.find()]).toEqual([false, null])
    await store.takeSnapshot(filled(20))
    expect(await store.find()).toBe(20)
    await store.close()
  })

  it('D4: is begun anew by the next checkpoint where it is damaged, so that there is one again', async () => {
    const home = newHome()
    const store = new LevelStore(home, now)
    await store.takeSnapshot(filled(50))
    await store.close()
    const table = readdirSync(home.path).find((name) => name.endsWith('.ldb'))!
    const bytes = readFileSync(join(home.path, table))
    bytes[20]! ^= 1
    writeFileSync(join(home.path, table), bytes)
    const again = new LevelStore(home, now)
    await expect(again.find()).rejects.toThrow('a block that does not match its checksum')
    await again.takeSnapshot(filled(60))
    expect(await again.find()).toBe(60)
    expect(await again.verify()).toBe(true)
    await again.close()
  })

  it('D4: damage of any byte of its tables, logs and manifest is an error that names the folder, or changes nothing', async () => {
    const home = newHome()
    const store = new LevelStore(home, now)
    const state = filled(400)
    await store.takeSnapshot(state)
    await store.close()
    const wanted = listTree(state.tree)
    let errors = 0
    for (const name of readdirSync(home.path).filter((each) => /^(\d+\.(ldb|log)|MANIFEST|CURRENT)/.test(each))) {
      const bytes = readFileSync(join(home.path, name))
      for (let i = 0; i < 25; i++) {
        const damaged = newHome()
        mkdirSync(damaged.path, { recursive: true })
        for (const each of readdirSync(home.path)) copyFileSync(join(home.path, each), join(damaged.path, each))
        const changed = Uint8Array.from(bytes)
        changed[Math.floor((i / 25) * bytes.length)]! ^= 0x55
        writeFileSync(join(damaged.path, name), changed)
        const again = new LevelStore(damaged, now)
        const found = makeState()
        try {
          const zxid = await again.find()
          if (zxid === null) {
            errors++
            continue
          }
          const { end } = await again.load(found)
          if (again.endError(found, end) !== null) errors++
          else expect(listTree(found.tree)).toEqual(wanted)
        } catch (err) {
          expect(err).toMatchObject({ name: 'StorageError', file: expect.stringContaining(damaged.path) })
          errors++
        } finally {
          await again.close()
        }
      }
    }
    expect(errors).toBeGreaterThan(20)
  })
})
