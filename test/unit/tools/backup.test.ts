import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { backup } from '../../../src/tools/backup.ts'
import { parseManifest } from '../../../src/tools/manifest.ts'
import { type RestoreOptions, restore } from '../../../src/tools/restore.ts'
import { UsageError } from '../../../src/tools/terminal.ts'
import { BLOCK_BYTES, paddingBytes, readTarHeader, tarHeader } from '../../../src/tools/ustar.ts'
import { writeEpoch } from '../../../src/txnlog/epochs.ts'
import { lockFolders } from '../../../src/txnlog/lock.ts'
import { truncateHistory } from '../../../src/txnlog/logdir.ts'
import { digestOf, listTree } from '../txnlog/states.ts'
import {
  disk,
  failureOf,
  filesOf,
  fixtureData,
  LENGTH_MAX,
  RecordingTerminal,
  startedFrom,
  targetOf,
  tempDir,
} from './helpers.ts'

const OPTIONS = { createdBy: 'a test', nowMs: 1_700_000_000_000 }
const ALL = { zxid: null, sessions: true }

async function archiveOf(dir: string, name = 'b.tar'): Promise<string> {
  const path = join(tempDir(), name)
  await backup(disk, targetOf(dir), path, OPTIONS, new RecordingTerminal())
  return path
}

function restored(archive: string, dir: string, options: Partial<RestoreOptions> = {}) {
  return restore(disk, archive, targetOf(dir), { ...ALL, ...options }, new RecordingTerminal())
}

describe('a backup', () => {
  for (const life of ['plain', 'gz', 'snappy'] as const) {
    it(`of a real server's ${life} snapshots comes back as the same tree, sessions and digest (V4)`, async () => {
      const source = fixtureData(life)
      const before = filesOf(source)
      const archive = await archiveOf(source, 'b.tgz')
      const target = tempDir()
      const done = await restored(archive, target)
      const [was, is] = [await startedFrom(source), await startedFrom(target)]
      expect(listTree(is.state.tree)).toEqual(listTree(was.state.tree))
      expect(digestOf(is.state)).toBe(digestOf(was.state))
      expect(is.zxidLast).toBe(was.zxidLast)
      expect(is.txnsReplayed).toBe(0)
      expect(is.state.sessions.size).toBe(was.state.sessions.size)
      expect(is.state.tree.ephemeralsCount).toBe(was.state.tree.ephemeralsCount)
      expect(done).toMatchObject({ zxid: was.zxidLast, znodeCount: was.state.tree.nodeCount })
      expect(filesOf(source)).toEqual(before)
      expect(readdirSync(target)).toEqual(['version-2'])
    })
  }

  it('comes back as of any transaction in it, and no other', async () => {
    const source = fixtureData('plain')
    const archive = await archiveOf(source)
    const { zxidEarliest, zxidLast } = parseManifest(manifestOf(archive))
    expect([zxidEarliest, zxidLast]).toEqual([0x36, 0x41])
    const older = fixtureData('plain', (name) => name !== 'snapshot.36')
    const archiveOfOlder = await archiveOf(older)
    expect(parseManifest(manifestOf(archiveOfOlder)).zxidEarliest).toBe(0x15)
    for (let zxid = 0x15; zxid <= 0x41; zxid += 4) {
      const expected = join(tempDir(), 'cut')
      cpSync(older, expected, { recursive: true })
      const dir = join(expected, 'version-2')
      expect(await truncateHistory(disk, dir, dir, zxid, LENGTH_MAX)).toBe('ok')
      const target = tempDir()
      expect((await restored(archiveOfOlder, target, { zxid })).zxid).toBe(zxid)
      const [was, is] = [await startedFrom(expected), await startedFrom(target)]
      expect(listTree(is.state.tree), `${zxid}`).toEqual(listTree(was.state.tree))
      expect(is.state.sessions.size).toBe(was.state.sessions.size)
    }
    for (const zxid of [0x14, 0x42]) {
      const target = tempDir()
      const failure = await failureOf(restored(archiveOfOlder, target, { zxid }))
      expect(failure).toBeInstanceOf(UsageError)
      expect(failure.message).toContain('which has 0x15 to 0x41')
      expect(readdirSync(target)).toEqual([])
    }
  })

  it('brings ephemerals back as those of their sessions, or without both, never as permanent znodes (V4)', async () => {
    const archive = await archiveOf(fixtureData('plain'))
    const target = tempDir()
    const with_ = await restored(archive, target)
    expect(with_.sessionCount).toBeGreaterThan(0)
    expect(with_.ephemeralCount).toBeGreaterThan(0)
    const { state } = await startedFrom(target)
    state.tree.forEachEphemeralSession((hi, lo) => expect(state.sessions.has(hi, lo)).toBe(true))
    const bare = tempDir()
    const without = await restored(archive, bare, { sessions: false })
    expect(without).toMatchObject({ sessionCount: 0, ephemeralCount: 0 })
    expect(without.znodeCount).toBe(with_.znodeCount - with_.ephemeralCount)
    const started = await startedFrom(bare)
    expect(started.mismatches).toEqual([])
    expect(started.state.sessions.size).toBe(0)
    expect(started.state.tree.nodeCount).toBe(without.znodeCount)
    expect(listTree(started.state.tree).join('\n')).toContain('/plain/ttl\t')
  })

  it('keeps the epochs of a member, and never one below its last transaction', async () => {
    const source = fixtureData('plain')
    await writeEpoch(disk, join(source, 'version-2'), 'acceptedEpoch', 7)
    await writeEpoch(disk, join(source, 'version-2'), 'currentEpoch', 5)
    const target = tempDir()
    expect((await restored(await archiveOf(source), target)).epoch).toBe(5)
    expect(readFileSync(join(target, 'version-2', 'acceptedEpoch'), 'utf8')).toBe('7')
    expect(readFileSync(join(target, 'version-2', 'currentEpoch'), 'utf8')).toBe('5')
  })

  it('is a tar of a manifest and plain files that any tar reads', async () => {
    const archive = await archiveOf(fixtureData('gz'), 'b.tar.gz')
    const names = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8' }).trim().split('\n')
    const manifest = parseManifest(execFileSync('tar', ['-xzOf', archive, 'manifest.json'], { encoding: 'utf8' }))
    expect(names).toEqual(['manifest.json', ...manifest.files.map(({ name }) => name)])
    for (const { name, sha256 } of manifest.files) {
      const sum = execFileSync('sh', ['-c', `tar -xzOf '${archive}' ${name} | sha256sum`], { encoding: 'utf8' })
      expect(sum.slice(0, 64)).toBe(sha256)
    }
  })

  it('leaves out padding, and a write that was cut short', async () => {
    const source = fixtureData('plain')
    const log = join(source, 'version-2', 'log.38')
    const whole = (await startedFrom(source)).zxidLast
    const { files } = parseManifest(manifestOf(await archiveOf(source)))
    const bytes = files.find(({ name }) => name === 'log.38')!.bytes
    expect(bytes).toBeLessThan(readFileSync(log).length)
    truncateSync(log, bytes - 3)
    const torn = parseManifest(manifestOf(await archiveOf(source)))
    expect(torn.zxidLast).toBe(whole - 1)
    expect(readFileSync(log).length).toBe(bytes - 3)
  })

  it('takes the newest snapshot that verifies', async () => {
    const source = fixtureData('plain')
    const path = join(source, 'version-2', 'snapshot.36')
    truncateSync(path, 1000)
    const terminal = new RecordingTerminal()
    const archive = join(tempDir(), 'b.tar')
    const { manifest } = await backup(disk, targetOf(source), archive, OPTIONS, terminal)
    expect(manifest.snapshotZxid).toBe(0x15)
    expect(manifest.zxidLast).toBe(0x41)
    expect(terminal.errors.join()).toContain('snapshot.36')
  })

  it('is not made of damage, of an empty folder, or over another one, and leaves nothing then', async () => {
    const source = fixtureData('plain')
    const bytes = readFileSync(join(source, 'version-2', 'log.17'))
    bytes[bytes.length - 200]! ^= 0xff
    writeFileSync(join(source, 'version-2', 'log.17'), bytes)
    const dir = tempDir()
    const archive = join(dir, 'b.tar')
    const make = (from: string) => backup(disk, targetOf(from), archive, OPTIONS, new RecordingTerminal())
    expect((await failureOf(make(source))).message).toMatch(/log\.17 at byte \d+/)
    expect((await failureOf(make(tempDir()))).message).toMatch(/nothing to back up|ENOENT|no such file/)
    expect(readdirSync(dir)).toEqual([])
    await make(fixtureData('plain'))
    expect((await failureOf(make(fixtureData('plain')))).message).toContain('not written over')
    expect(readdirSync(dir)).toEqual(['b.tar'])
  })
})

describe('a restore', () => {
  it('refuses a directory that holds anything, and a running one', async () => {
    const archive = await archiveOf(fixtureData('plain'))
    const used = fixtureData('gz')
    const before = filesOf(used)
    expect((await failureOf(restored(archive, used))).message).toContain('only an empty directory is restored into')
    expect(filesOf(used)).toEqual(before)
    const empty = tempDir()
    writeFileSync(join(empty, 'myid'), '1\n')
    mkdirSync(join(empty, 'version-2'))
    await restored(archive, empty)
    expect(readdirSync(empty).sort()).toEqual(['myid', 'version-2'])
    expect((await failureOf(restored(archive, empty))).message).toContain('only an empty directory')
    const held = tempDir()
    mkdirSync(join(held, 'version-2'))
    const lock = await lockFolders([join(held, 'version-2')], () => {})
    expect((await failureOf(restored(archive, held))).message).toContain('only an empty directory')
    lock.release()
  })

  it('refuses an archive with any byte changed, and leaves no database', async () => {
    const archive = await archiveOf(fixtureData('plain'))
    const whole = readFileSync(archive)
    const meaningful = meaningfulOffsets(whole)
    for (let i = 0; i < 30; i++) {
      const at = meaningful[Math.floor((i * meaningful.length) / 30)]!
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 0x20
      const path = join(tempDir(), 'b.tar')
      writeFileSync(path, bytes)
      const target = tempDir()
      const outcome = await restored(path, target).then(
        () => 'restored',
        (err: Error) => err.name,
      )
      // Bytes of the manifest that say nothing about the content: who made it, and when.
      if (outcome === 'restored') expect(differsInWordsOnly(whole, bytes), `${at}`).toBe(true)
      else {
        expect(outcome, `${at}`).toBe('StorageError')
        expect(readdirSync(target).filter((name) => name !== 'version-2')).toEqual([])
        if (existsSync(join(target, 'version-2'))) expect(readdirSync(join(target, 'version-2'))).toEqual([])
      }
    }
  })

  it('refuses an archive that is cut short anywhere', async () => {
    for (const name of ['b.tar', 'b.tgz']) {
      const whole = readFileSync(await archiveOf(fixtureData('plain'), name))
      const end = name === 'b.tar' ? whole.length - 1024 : whole.length
      for (let i = 0; i < 12; i++) {
        const path = join(tempDir(), name)
        writeFileSync(path, whole.subarray(0, Math.floor((i * end) / 12)))
        const target = tempDir()
        expect((await failureOf(restored(path, target))).name, `${name} ${i}`).toBe('StorageError')
        expect(readdirSync(target).filter((each) => each !== 'version-2')).toEqual([])
      }
    }
  })

  it('refuses what is no backup, and one of another version', async () => {
    const path = join(tempDir(), 'b.tar')
    execFileSync('tar', ['-cf', path, '-C', join(fixtureData('plain'), 'version-2'), 'log.1'])
    expect((await failureOf(restored(path, tempDir()))).message).toContain('not a backup')
    const manifest = manifestOf(await archiveOf(fixtureData('plain')))
    expect(() => parseManifest(manifest.replace('"version": 1', '"version": 2'))).toThrow(/version 2/)
    expect(() => parseManifest(manifest.replace('snapshot.36', '../../etc/passwd'))).toThrow(/names a file/)
  })
})

describe('tar headers', () => {
  it('hold sizes below and above 8 GiB', () => {
    for (const bytes of [0, 1, 511, 512, 8 ** 11 - 1, 8 ** 11, 2 ** 50]) {
      expect(readTarHeader(tarHeader({ name: 'log.1', bytes }, 0))).toEqual({ name: 'log.1', bytes })
    }
    expect([0, 1, 511, 512, 513].map(paddingBytes)).toEqual([0, 511, 1, 0, 511])
    expect(readTarHeader(new Uint8Array(BLOCK_BYTES))).toBeNull()
  })
})

/** The manifest of an unzipped or zipped archive, taken out by hand. */
function manifestOf(archive: string): string {
  const bytes = readFileSync(archive)
  const plain = bytes[0] === 0x1f ? gunzipSync(bytes) : bytes
  return plain.subarray(512, 512 + Number.parseInt(plain.subarray(124, 135).toString('latin1'), 8)).toString('utf8')
}

/** Offsets of bytes that are not padding: of each entry, its header's fields in use and its content. */
function meaningfulOffsets(tar: Buffer): number[] {
  const offsets: number[] = []
  for (let at = 0; tar[at] !== 0; ) {
    const bytes = Number.parseInt(tar.subarray(at + 124, at + 135).toString('latin1'), 8)
    for (let i = at; i < at + 20; i++) offsets.push(i)
    for (let i = at + 512; i < at + 512 + bytes; i++) offsets.push(i)
    at += 512 + bytes + paddingBytes(bytes)
  }
  return offsets
}

function differsInWordsOnly(whole: Buffer, changed: Buffer): boolean {
  const words = (tar: Buffer): string => {
    const bytes = Number.parseInt(tar.subarray(124, 135).toString('latin1'), 8)
    const {
      createdBy: _by,
      createdAt: _at,
      serverId: _id,
      ...rest
    } = parseManifest(tar.subarray(512, 512 + bytes).toString('utf8'))
    return JSON.stringify({
      ...rest,
      sessionCount: 0,
      ephemeralCount: 0,
      zxidEarliest: 0,
      files: rest.files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes })),
    })
  }
  return words(whole) === words(changed)
}
