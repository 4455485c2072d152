import { describe, expect, it } from 'vitest'
import { makeZxid } from '../../../src/jute/zxid.ts'
import { loadEpochs, readEpoch, writeEpoch } from '../../../src/txnlog/epochs.ts'
import { MemDisk, seeded } from '../../disk/memdisk.ts'
import { VERSION_2 } from './states.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function disk(accepted: string | null, current: string | null): MemDisk {
  const mem = new MemDisk()
  mem.mkdir(VERSION_2, () => {})
  if (accepted !== null) mem.put(`${VERSION_2}/acceptedEpoch`, text(accepted))
  if (current !== null) mem.put(`${VERSION_2}/currentEpoch`, text(current))
  return mem
}

describe('epoch files', () => {
  it('are decimal text without a newline, as Java writes them, and read with or without one', async () => {
    const mem = disk(null, '17\n')
    expect(await readEpoch(mem, VERSION_2, 'currentEpoch')).toBe(17)
    expect(await readEpoch(mem, VERSION_2, 'acceptedEpoch')).toBe(null)
    await writeEpoch(mem, VERSION_2, 'acceptedEpoch', 42)
    expect(mem.get(`${VERSION_2}/acceptedEpoch`)).toEqual(text('42'))
    expect(mem.names(VERSION_2)).toEqual(['acceptedEpoch', 'currentEpoch'])
  })

  it.each(['', 'x', '-1', '1x', ' 1', '9999999999', '3000000'])('%j is damage that names the file', async (content) => {
    await expect(readEpoch(disk(null, content), VERSION_2, 'currentEpoch')).rejects.toThrow(/currentEpoch/)
  })

  it('are created from the log where they are missing', async () => {
    const reports: string[] = []
    const mem = disk(null, null)
    expect(await loadEpochs(mem, VERSION_2, makeZxid(3, 9), (message) => reports.push(message))).toEqual({
      accepted: 3,
      current: 3,
    })
    expect(mem.get(`${VERSION_2}/currentEpoch`)).toEqual(text('3'))
    expect(await loadEpochs(disk(null, null), VERSION_2, -1, () => {})).toEqual({ accepted: 0, current: 0 })
    expect(reports).toEqual([])
  })

  it.each([
    // accepted, current, epoch of the log -> accepted, current, repairs
    ['5', '4', 4, 5, 4, 0],
    ['5', '5', 4, 5, 5, 0],
    ['4', '4', 5, 5, 5, 2],
    ['5', '4', 5, 5, 5, 1],
    ['3', '4', 4, 4, 4, 1],
    [null, '4', 3, 4, 4, 0],
    ['6', null, 4, 6, 4, 0],
  ])(
    'C7: accepted %s, current %s, log in epoch %d start as %d and %d',
    async (accepted, current, epoch, a, c, repairs) => {
      const reports: string[] = []
      const mem = disk(accepted, current)
      const epochs = await loadEpochs(mem, VERSION_2, makeZxid(epoch, 1), (message) => reports.push(message))
      expect(epochs).toEqual({ accepted: a, current: c })
      expect(reports).toHaveLength(repairs)
      expect(await loadEpochs(mem, VERSION_2, makeZxid(epoch, 1), (message) => reports.push(message))).toEqual(epochs)
      expect(reports).toHaveLength(repairs)
    },
  )

  it('C7: a power loss at any step of a write leaves the old or the new number, and the new one once it was confirmed', async () => {
    const random = seeded(11)
    for (let i = 0; i < 200; i++) {
      const mem = disk('7', '7')
      mem.crashAfter(i % 10)
      const done = await Promise.race([writeEpoch(mem, VERSION_2, 'acceptedEpoch', 8), mem.whenCrashed])
      const left = await readEpoch(mem.afterPowerLoss(random), VERSION_2, 'acceptedEpoch')
      expect(done === 'crashed' ? [7, 8] : [8]).toContain(left)
    }
  })

  it('D1: no room for an epoch is an error that names the file, and the old number stays', async () => {
    const mem = disk('7', '7')
    mem.fault = (step) => (step === 'write' ? 'ENOSPC' : null)
    await expect(writeEpoch(mem, VERSION_2, 'acceptedEpoch', 8)).rejects.toThrow(/ENOSPC.*acceptedEpoch/)
    mem.fault = () => null
    expect(await readEpoch(mem, VERSION_2, 'acceptedEpoch')).toBe(7)
    await writeEpoch(mem, VERSION_2, 'acceptedEpoch', 8)
    expect(await readEpoch(mem, VERSION_2, 'acceptedEpoch')).toBe(8)
  })
})
