/**
 * What a backup says of itself: `manifest.json`, the first file of the archive.
 *
 * zxids, digests and session counts are as they are after replay of all that is in the archive. It can be restored to
 * any zxid from `zxidEarliest` (where its snapshot was finished) to `zxidLast`.
 */

import { StorageError } from '../jute/errors.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'

export const MANIFEST_NAME = 'manifest.json'
export const MANIFEST_FORMAT = 'zoowarden-backup'
export const MANIFEST_VERSION = 1
/** A manifest is some hundred bytes, and a hundred more for each log. */
export const MANIFEST_BYTES_MAX = 16 * 1024 * 1024

export interface BackupFile {
  /** As in a data directory: snapshot.<zxid>[.gz|.snappy] or log.<zxid>. */
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  /** The first and last transaction of a log; twice its name's zxid for a snapshot. */
  readonly zxidFirst: Zxid
  readonly zxidLast: Zxid
}

export interface Manifest {
  readonly createdBy: string
  readonly createdAt: string
  /** From myid; null where there was none. */
  readonly serverId: number | null
  readonly snapshotZxid: Zxid
  readonly zxidEarliest: Zxid
  readonly zxidLast: Zxid
  /** Null where the server had no such files: it was never a member of an ensemble. */
  readonly acceptedEpoch: number | null
  readonly currentEpoch: number | null
  readonly znodeCount: number
  readonly sessionCount: number
  readonly ephemeralCount: number
  /** Version 2, `0x` and hex. */
  readonly digest: string
  readonly files: readonly BackupFile[]
}

const FILE_NAME = /^(snapshot\.[0-9a-f]{1,14}(\.gz|\.snappy)?|log\.[0-9a-f]{1,14})$/

export function manifestText(manifest: Manifest): string {
  const zxid = (value: Zxid): string => `0x${zxidHex(value)}`
  const { snapshotZxid, zxidEarliest, zxidLast, digest, files, ...rest } = manifest
  const document = {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    ...rest,
    snapshotZxid: zxid(snapshotZxid),
    zxidEarliest: zxid(zxidEarliest),
    zxidLast: zxid(zxidLast),
    digest: { version: 2, value: digest },
    files: files.map((file) => ({ ...file, zxidFirst: zxid(file.zxidFirst), zxidLast: zxid(file.zxidLast) })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** Throws StorageError, without a file, for anything but a manifest that this version understands. */
export function parseManifest(text: string): Manifest {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (err) {
    throw new StorageError('the manifest is not JSON', null, null, err)
  }
  const fields = new Fields(document, 'manifest')
  if (fields.string('format') !== MANIFEST_FORMAT) throw new StorageError('not a backup of this kind')
  const version = fields.count('version')
  if (version !== MANIFEST_VERSION) throw new StorageError(`a backup of version ${version}, which is not known here`)
  const digest = new Fields(fields.value('digest'), 'digest')
  const files = fields.list('files').map((each) => {
    const file = new Fields(each, 'file')
    const name = file.string('name')
    if (!FILE_NAME.test(name)) throw new StorageError(`the manifest names a file ${JSON.stringify(name)}`)
    return {
      name,
      bytes: file.count('bytes'),
      sha256: file.string('sha256'),
      zxidFirst: file.zxid('zxidFirst'),
      zxidLast: file.zxid('zxidLast'),
    }
  })
  return {
    createdBy: fields.string('createdBy'),
    createdAt: fields.string('createdAt'),
    serverId: fields.countOrNull('serverId'),
    snapshotZxid: fields.zxid('snapshotZxid'),
    zxidEarliest: fields.zxid('zxidEarliest'),
    zxidLast: fields.zxid('zxidLast'),
    acceptedEpoch: fields.countOrNull('acceptedEpoch'),
    currentEpoch: fields.countOrNull('currentEpoch'),
    znodeCount: fields.count('znodeCount'),
    sessionCount: fields.count('sessionCount'),
    ephemeralCount: fields.count('ephemeralCount'),
    digest: digest.string('value'),
    files,
  }
}

/** The fields of a JSON object, checked as they are taken. */
class Fields {
  private readonly object: Readonly<Record<string, unknown>>
  private readonly what: string

  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null) throw new StorageError(`the manifest has no ${what}`)
    this.object = { ...value }
    this.what = what
  }

  value(name: string): unknown {
    return this.object[name]
  }

  string(name: string): string {
    const value = this.object[name]
    return typeof value === 'string' ? value : this.fail(name)
  }

  count(name: string): number {
    const value = this.object[name]
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : this.fail(name)
  }

  countOrNull(name: string): number | null {
    return this.object[name] === null ? null : this.count(name)
  }

  zxid(name: string): Zxid {
    const text = this.string(name)
    const zxid = /^0x[0-9a-f]{1,14}$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(zxid) ? zxid : this.fail(name)
  }

  list(name: string): unknown[] {
    const value = this.object[name]
    return Array.isArray(value) ? value : this.fail(name)
  }

  private fail(name: string): never {
    throw new StorageError(`the manifest's ${this.what === 'manifest' ? '' : `${this.what}.`}${name} is not readable`)
  }
}
