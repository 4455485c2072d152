/** The data directory that a tool is pointed at, and the settings under which a server would read it. */

import { readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { StateMachine } from '../datatree/apply.ts'
import type { Zxid } from '../jute/zxid.ts'
import { errorCode } from '../txnlog/disk.ts'
import { VERSION_DIR } from '../txnlog/names.ts'
import { type DataDirs, RECOVER_DEFAULTS, type RecoverOptions } from '../txnlog/recover.ts'

export interface ToolTarget extends DataDirs {
  /** As the operator named it. */
  readonly name: string
  /** The configuration that it came from; null for a folder. */
  readonly configFile: string | null
  readonly recover: RecoverOptions
  /** From dataDir/myid; null where there is none. */
  readonly serverId: number | null
  /** Whether the server is a member of an ensemble; null where nothing says. */
  readonly member: boolean | null
  /** Whether the others are a quorum without this server; null where nothing says. */
  readonly hasOthers: boolean | null
  /** The servers that the configuration lists, with their addresses as an identity has them. */
  readonly servers: ReadonlyMap<number, readonly string[]>
  readonly extendedTypes: boolean
  readonly emulate353: boolean
}

/** `path` is a data folder, or the version-2 in it. */
export function folderTarget(path: string, dataLogDir: string | null, lengthMax: number): ToolTarget {
  const dataDir = dataFolder(path)
  return {
    name: path,
    configFile: null,
    dataDir,
    dataLogDir: dataLogDir === null ? dataDir : dataFolder(dataLogDir),
    recover: { ...RECOVER_DEFAULTS, lengthMax },
    serverId: readServerId(dataDir),
    member: null,
    hasOthers: null,
    servers: new Map(),
    // Java's own default is off, but a TTL node taken for an ephemeral would be worse than the reverse.
    extendedTypes: true,
    emulate353: false,
  }
}

export function snapDirOf({ dataDir }: DataDirs): string {
  return join(dataDir, VERSION_DIR)
}

export function logDirOf({ dataLogDir }: DataDirs): string {
  return join(dataLogDir, VERSION_DIR)
}

/** A fresh state; `onMismatch` is told where a transaction's digest is not the tree's. */
export function targetState(target: ToolTarget, onMismatch: (zxid: Zxid) => void): StateMachine {
  const { extendedTypes, emulate353 } = target
  return new StateMachine(
    { onWatch() {} },
    { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch: onMismatch },
    { digest: true, extendedTypes, emulate353 },
  )
}

/** 64 bits as hex without padding, as digests are written. */
export function digestText(hi: number, lo: number): string {
  return `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`
}

function dataFolder(path: string): string {
  const full = resolve(path)
  return basename(full) === VERSION_DIR ? dirname(full) : full
}

function readServerId(dataDir: string): number | null {
  try {
    const text = readFileSync(join(dataDir, 'myid'), 'latin1').trim()
    return /^\d{1,10}$/.test(text) ? Number(text) : null
  } catch (err) {
    if (errorCode(err) === 'ENOENT' || errorCode(err) === 'ENOTDIR') return null
    throw err
  }
}
