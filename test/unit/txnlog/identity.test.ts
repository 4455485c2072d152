import { describe, expect, it } from 'vitest'
import {
  type Identity,
  identityConflict,
  readIdentity,
  removeIdentity,
  sameIdentity,
  writeIdentity,
} from '../../../src/txnlog/identity.ts'
import { MemDisk, pathIn } from '../../disk/memdisk.ts'
import { VERSION_2 } from './states.ts'

const SERVERS = new Map([
  [1, ['zk1:2888', 'zk1:3888']],
  [2, ['zk2:2888', 'zk2:3888', 'zk2b:2888', 'zk2b:3888']],
  [3, ['zk3:2888', 'zk3:3888']],
])
const TWO: Identity = { serverId: 2, servers: SERVERS, refused: null }
const FILE = pathIn('version-2', 'identity')

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function made(): Promise<MemDisk> {
  const disk = new MemDisk()
  await new Promise((resolve) => disk.mkdir(VERSION_2, resolve))
  return disk
}

describe('the identity of a data folder', () => {
  it('is written as the lines that the reader knows, and read back', async () => {
    const disk = await made()
    await writeIdentity(disk, VERSION_2, TWO)
    expect(new TextDecoder().decode(disk.get(FILE)!)).toBe(
      'myid=2\nserver.1=zk1:2888 zk1:3888\nserver.2=zk2:2888 zk2:3888 zk2b:2888 zk2b:3888\nserver.3=zk3:2888 zk3:3888\n',
    )
    const read = await readIdentity(disk, VERSION_2)
    expect(sameIdentity(read!, TWO)).toBe(true)
    await writeIdentity(disk, VERSION_2, { ...TWO, refused: 'two\nlines' })
    expect((await readIdentity(disk, VERSION_2))!.refused).toBe('two lines')
  })

  it('is the old one or the new one after a loss of power at any call', async () => {
    for (let steps = 0; ; steps++) {
      const disk = await made()
      await writeIdentity(disk, VERSION_2, TWO)
      disk.crashAfter(steps)
      const next = { ...TWO, servers: new Map([[2, ['new:1', 'new:2']]]) }
      await Promise.race([writeIdentity(disk, VERSION_2, next), disk.whenCrashed])
      const after = disk.afterPowerLoss(() => 0.5)
      const read = await readIdentity(after, VERSION_2)
      expect([TWO, next].some((each) => sameIdentity(each, read!))).toBe(true)
      if (!disk.ended) {
        expect(sameIdentity(read!, next)).toBe(true)
        return
      }
    }
  })

  it('is none in a folder without it, and refused where it is not one', async () => {
    const disk = await made()
    expect(await readIdentity(disk, VERSION_2)).toBeNull()
    expect(await removeIdentity(disk, VERSION_2)).toBe(false)
    for (const text of ['', 'server.1=a:1\n', 'myid=two\n', 'myid=2\nwhat is this\n']) {
      disk.put(FILE, bytes(text))
      await expect(readIdentity(disk, VERSION_2), text).rejects.toThrow('not an identity')
    }
    expect(await removeIdentity(disk, VERSION_2)).toBe(true)
  })

  it('E12: is in conflict with another id, and with an ensemble that shares no address with it', () => {
    expect(identityConflict(TWO, 2, SERVERS)).toBeNull()
    expect(identityConflict(TWO, 3, SERVERS)).toContain('the data of server 2, but myid says 3')
    const others = new Map([
      [1, ['other:2888', 'other:3888']],
      [2, ['zk2:2889', 'zk2:3889']],
    ])
    expect(identityConflict(TWO, 2, others)).toContain('another ensemble')
  })

  it('E12: is in no conflict with an ensemble that was changed in part while another program ran on the folder', () => {
    const changed = new Map([
      [2, ['zk2:2888', 'zk2:3888']],
      [4, ['zk4:2888', 'zk4:3888']],
      [5, ['zk5:2888', 'zk5:3888']],
    ])
    expect(identityConflict(TWO, 2, changed)).toBeNull()
    expect(identityConflict(TWO, 2, new Map([[1, ['ZK1:2888']]]))).toBeNull()
    expect(identityConflict(TWO, null, new Map())).toBeNull()
  })

  it('E12: says what was found out about the data, whoever asks', () => {
    expect(identityConflict({ ...TWO, refused: 'not ours' }, 2, SERVERS)).toBe('not ours')
  })
})
