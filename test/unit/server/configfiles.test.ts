/** Files of a changing configuration, against what Java 3.9.5 wrote from the same files and the same changes. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseProperties } from '../../../src/server/config/properties.ts'
import { ConfigFiles, dynamicFileText, staticFileText } from '../../../src/server/member/configfiles.ts'
import { MemDisk } from '../../disk/memdisk.ts'

interface Recorded {
  readonly texts: Readonly<Record<string, string>>
  readonly members: readonly {
    readonly sid: number
    readonly original: string
    readonly first: Readonly<Record<string, string>>
    readonly reconfigured: Readonly<Record<string, string>>
  }[]
  readonly next: string
  readonly observer: {
    readonly sid: number
    readonly original: string
    readonly files: Readonly<Record<string, string>>
  }
}

const java: Recorded = JSON.parse(readFileSync(new URL('./fixtures/configfiles.java.json', import.meta.url), 'utf8'))
const [FIRST, WITH_OBSERVER, WITH_TEN] = ['100000000', '100000003', '100000007'].map((version) => java.texts[version]!)

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))
const textOf = (disk: MemDisk, path: string): string => Buffer.from(disk.get(path)!).toString('latin1')

function diskWith(path: string, text: string): MemDisk {
  const disk = new MemDisk()
  disk.put(path, bytes(text))
  return disk
}

const filesOf = (disk: MemDisk, sid: number, reconfigEnabled = true): ConfigFiles =>
  new ConfigFiles(disk, `/zk/s${sid}/zoo.cfg`, { serverId: sid, reconfigEnabled })

/** Everything in a member's folder; zoo.cfg as its settings, because Java writes them in the order of a hash. */
function folder(disk: MemDisk, sid: number): Record<string, unknown> {
  const names = disk.names(`/zk/s${sid}`).sort()
  return settled(Object.fromEntries(names.map((name) => [name, textOf(disk, `/zk/s${sid}/${name}`)])))
}

function settled(files: Readonly<Record<string, string>>): Record<string, unknown> {
  return { ...files, 'zoo.cfg': settingsOf(files['zoo.cfg']!) }
}

function settingsOf(text: string): Record<string, string> {
  return Object.fromEntries(parseProperties(text).map(({ key, value }) => [key, value.trim()]))
}

describe('configuration files, as Java 3.9.5 has them', () => {
  for (const { sid, original, first, reconfigured } of java.members) {
    it(`move the membership of member ${sid} out of zoo.cfg when its first configuration is in force`, async () => {
      const disk = diskWith(`/zk/s${sid}/zoo.cfg`, original)
      const files = filesOf(disk, sid)
      await files.saveLastSeen(FIRST!)
      await files.activate(FIRST!)
      expect(folder(disk, sid)).toEqual(settled(first))
    })

    it(`lead member ${sid} to the next configuration, and keep the files of the one before`, async () => {
      const disk = diskWith(`/zk/s${sid}/zoo.cfg`, original)
      const files = filesOf(disk, sid)
      await files.activate(FIRST!)
      await files.saveLastSeen(WITH_OBSERVER!)
      await files.activate(WITH_OBSERVER!)
      expect(folder(disk, sid)).toEqual(settled(reconfigured))
    })

    it(`go on from what Java left member ${sid}`, async () => {
      const disk = new MemDisk()
      for (const [name, text] of Object.entries(first)) disk.put(`/zk/s${sid}/${name}`, bytes(text))
      await filesOf(disk, sid).activate(WITH_OBSERVER!)
      expect(folder(disk, sid)).toEqual(settled(reconfigured))
    })
  }

  it('make no copy of a zoo.cfg that had its membership elsewhere already', async () => {
    const { sid, original, files: recorded } = java.observer
    const disk = diskWith(`/zk/s${sid}/zoo.cfg`, original)
    disk.put(`/zk/s${sid}/zoo.cfg.dynamic`, bytes(recorded['zoo.cfg.dynamic']!))
    const files = filesOf(disk, sid)
    await files.activate(WITH_OBSERVER!)
    await files.activate(WITH_TEN!)
    expect(folder(disk, sid)).toEqual(settled(recorded))
  })

  it('hold a proposed configuration with its version, lines sorted as text', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', java.members[2]!.original)
    const files = filesOf(disk, 3)
    expect(await files.readLastSeen()).toBeNull()
    await files.saveLastSeen(WITH_TEN!)
    expect(textOf(disk, '/zk/s3/zoo.cfg.dynamic.next')).toBe(java.next)
    expect(await files.readLastSeen()).toBe(java.next)
  })

  it('sort by text, groups and weights among them', () => {
    const text = 'server.2=b:1:2:observer\nserver.10=a:1:2:participant\ngroup.1=10\nweight.10=3\nversion=1f'
    expect(dynamicFileText(text, 'with version').split('\n')).toEqual([
      'group.1=10',
      'server.10=a:1:2:participant',
      'server.2=b:1:2:observer',
      'version=1f',
      'weight.10=3',
    ])
    expect(dynamicFileText(text, 'without version')).not.toContain('version')
  })
})

describe('a proposed configuration', () => {
  const zooCfg = java.members[2]!.original

  it('stays when an older one comes into force, and goes when it does so itself', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', zooCfg)
    const files = filesOf(disk, 3)
    await files.saveLastSeen(WITH_TEN!)
    await files.activate(WITH_OBSERVER!)
    expect(await files.readLastSeen()).toBe(java.next)
    await files.activate(WITH_TEN!)
    expect(await files.readLastSeen()).toBeNull()
  })

  it('is neither written nor read while reconfigEnabled is off, and nothing else is touched either', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', zooCfg)
    disk.put('/zk/s3/zoo.cfg.dynamic.next', bytes(java.next))
    const files = filesOf(disk, 3, false)
    expect(await files.readLastSeen()).toBeNull()
    await files.saveLastSeen(FIRST!)
    await files.activate(FIRST!)
    expect(disk.names('/zk/s3').sort()).toEqual(['zoo.cfg', 'zoo.cfg.dynamic.next'])
    expect(textOf(disk, '/zk/s3/zoo.cfg')).toBe(zooCfg)
    expect(textOf(disk, '/zk/s3/zoo.cfg.dynamic.next')).toBe(java.next)
  })

  it('has no file where the server was started without one', async () => {
    const disk = new MemDisk()
    const files = new ConfigFiles(disk, null, { serverId: 1, reconfigEnabled: true })
    await files.saveLastSeen(FIRST!)
    await files.activate(FIRST!)
    expect(await files.readLastSeen()).toBeNull()
    expect(disk.steps).toBe(0)
  })
})

describe('zoo.cfg', () => {
  it('keeps its comments, blank lines, order, escapes and line ends when the membership moves out', () => {
    const before =
      '# ours\r\ntickTime=2000\r\n\r\nserver.1=a:1:2\r\n! about data\r\ndataDir=C\\:\\\\zk\r\nweight.1=2\r\ngroup.1=1\r\n' +
      'initLimit = \\\r\n  10\r\npeerType=participant\r\nclientPort=2181\r\nversion=0\r\n'
    expect(staticFileText(before, '/zk/zoo.cfg.dynamic.1', true)).toBe(
      '# ours\r\ntickTime=2000\r\n\r\n! about data\r\ndataDir=C\\:\\\\zk\r\ninitLimit = \\\r\n  10\r\nversion=0\r\n' +
        'dynamicConfigFile=/zk/zoo.cfg.dynamic.1\n',
    )
  })

  it('loses a setting of several lines with all of its lines', () => {
    const before = 'a=1\nserver.1=\\\n  host:\\\n  1:2\n# not me \\\nb=2\n'
    expect(staticFileText(before, '/d', false)).toBe('a=1\n# not me \\\nb=2\ndynamicConfigFile=/d\n')
  })

  it('is not spoilt by a last line without an end, or one that goes on into nothing', () => {
    for (const before of ['a=1', 'a=1\\', 'a=1\\\n', 'a=1\n# x\\', '']) {
      const after = settingsOf(staticFileText(before, '/d', false))
      expect(after).toEqual({ ...settingsOf(before), dynamicConfigFile: '/d' })
    }
  })

  it('keeps the client address unless the membership states it, and clientPortListenBacklog in any case', () => {
    const before = 'clientPort=1\nclientPortAddress=::1\nclientPortListenBacklog=9\nsecureClientPort=2\n'
    expect(settingsOf(staticFileText(before, '/d', false))).toEqual({
      clientPort: '1',
      clientPortAddress: '::1',
      clientPortListenBacklog: '9',
      secureClientPort: '2',
      dynamicConfigFile: '/d',
    })
    expect(settingsOf(staticFileText(before, '/d', true))).toEqual({
      clientPortListenBacklog: '9',
      secureClientPort: '2',
      dynamicConfigFile: '/d',
    })
  })

  it('names a dynamic file whatever its path has in it', () => {
    for (const path of ['C:\\zk\\zoo.cfg.dynamic.1', '/zk/\u00fc \u4e2d/zoo.cfg.dynamic.1']) {
      expect(settingsOf(staticFileText('a=1\n', path, false))['dynamicConfigFile']).toBe(path)
    }
  })

  it('is not written again when it says already what it has to', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', java.members[2]!.original)
    const files = filesOf(disk, 3)
    await files.activate(FIRST!)
    const from = disk.trace.length
    await files.activate(FIRST!)
    expect(disk.trace.slice(from).filter((step) => /rename.*zoo\.cfg$/.test(step))).toEqual([])
  })
})

describe('a crash while configuration files are written', () => {
  it('C15 leaves a zoo.cfg that has a membership, old or new, and a proposed one that is whole or not there', async () => {
    const { sid, original } = java.members[1]!
    const steps = await stepsOf(diskWith(`/zk/s${sid}/zoo.cfg`, original), sid)
    expect(steps).toBeGreaterThan(20)
    const seen = new Set<string>()
    for (let crash = 0; crash <= steps; crash++) {
      for (const survives of [0, 0.5, 0.999]) {
        const disk = diskWith(`/zk/s${sid}/zoo.cfg`, original)
        disk.crashAfter(crash)
        await Promise.race([disk.whenCrashed, stepsOf(disk, sid)])
        const after = disk.afterPowerLoss(() => survives)
        const settings = settingsOf(textOf(after, `/zk/s${sid}/zoo.cfg`))
        const dynamic = settings['dynamicConfigFile']
        const next = after.get(`/zk/s${sid}/zoo.cfg.dynamic.next`)
        if (dynamic === undefined) {
          expect(settings).toEqual(settingsOf(original))
        } else {
          expect(textOf(after, dynamic)).toBe(
            dynamicFileText(dynamic.endsWith('3') ? WITH_OBSERVER! : FIRST!, 'without version'),
          )
          expect(textOf(after, `/zk/s${sid}/zoo.cfg.bak`)).toBe(original)
        }
        if (next !== null)
          expect(['100000000', '100000003']).toContain(settingsOf(Buffer.from(next).toString())['version'])
        seen.add(`${dynamic?.split('.').at(-1)} ${next !== null}`)
      }
    }
    expect([...seen].sort()).toEqual([
      '100000000 false',
      '100000000 true',
      '100000003 false',
      '100000003 true',
      'undefined false',
      'undefined true',
    ])
  })

  it('D1 names the file that cannot be written, and goes on with the next change', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', java.members[2]!.original)
    disk.fault = (step, path) => (step === 'write' && path.includes('dynamic') ? new Error('ENOSPC: no space') : null)
    const files = filesOf(disk, 3)
    await expect(files.saveLastSeen(FIRST!)).rejects.toThrow(/no space.*zoo\.cfg\.dynamic\.next/)
    await expect(files.activate(FIRST!)).rejects.toThrow(/no space.*zoo\.cfg\.dynamic\.100000000/)
    expect(textOf(disk, '/zk/s3/zoo.cfg')).toBe(java.members[2]!.original)
    disk.fault = () => null
    await files.activate(FIRST!)
    expect(folder(disk, 3)['zoo.cfg']).toEqual(settingsOf(java.members[2]!.first['zoo.cfg']!))
  })

  it('takes changes in the order they were asked for, without waiting for the answers', async () => {
    const disk = diskWith('/zk/s3/zoo.cfg', java.members[2]!.original)
    const files = filesOf(disk, 3)
    await Promise.all([
      files.saveLastSeen(FIRST!),
      files.activate(FIRST!),
      files.saveLastSeen(WITH_OBSERVER!),
      files.activate(WITH_OBSERVER!),
      files.saveLastSeen(WITH_TEN!),
    ])
    expect(await files.readLastSeen()).toBe(java.next)
    expect(settingsOf(textOf(disk, '/zk/s3/zoo.cfg'))['dynamicConfigFile']).toBe('/zk/s3/zoo.cfg.dynamic.100000003')
  })
})

/** A first configuration and a change; the steps of the disk that it took. */
async function stepsOf(disk: MemDisk, sid: number): Promise<number> {
  const files = filesOf(disk, sid)
  await files.saveLastSeen(FIRST!)
  await files.activate(FIRST!)
  await files.saveLastSeen(WITH_OBSERVER!)
  await files.activate(WITH_OBSERVER!)
  return disk.steps
}
