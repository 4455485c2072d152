/**
 * Enforcement of hard quotas on writes that are not applied yet.
 *
 * The running counts of a quota move when transactions are applied; here the changes in flight are added, so that a
 * burst in one packet cannot pass a limit (3.9.5 checks applied counts only). Does nothing unless quotas are enforced.
 * Pure. Java: ZooKeeperServer.checkQuota.
 */

import type { Quotas } from '../../datatree/quota.ts'
import { Err } from '../../jute/codes.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { Compat } from '../config/compat.ts'
import { pathKey } from './paths.ts'

export interface QuotaOptions {
  readonly enforceQuota: boolean
  readonly compat: Compat
}

interface PendingQuota {
  zxid: Zxid
  key: string
  count: number
  bytes: number
}

const WARNED_MAX = 1000

export class QuotaGate {
  private readonly quotas: Quotas
  private readonly enforced: boolean
  private readonly compat: Compat
  private readonly warn: (message: string, fields: Record<string, unknown>) => void
  private readonly pending: PendingQuota[]
  /** Keys of quotas whose limits make no sense, each reported once. */
  private readonly warned: Set<string>

  constructor(quotas: Quotas, options: QuotaOptions, warn: (message: string, fields: Record<string, unknown>) => void) {
    this.warn = warn
    this.warned = new Set()
    this.quotas = quotas
    this.enforced = options.enforceQuota
    this.compat = options.compat
    this.pending = []
  }

  /** Checks and, if admitted, counts a change in flight. */
  admit(buf: Uint8Array, off: number, end: number, count: number, bytes: number, zxid: Zxid): number {
    const err = this.check(buf, off, end, count, bytes, zxid)
    if (err === Err.ok) this.changed(buf, off, end, count, bytes, zxid)
    return err
  }

  /**
   * Err.ok where the quota over this path, if any, allows transaction `zxid` so many more znodes and bytes. Only hard
   * limits refuse.
   */
  check(buf: Uint8Array, off: number, end: number, count: number, bytes: number, zxid: Zxid): number {
    if (!this.enforced) return Err.ok
    const entry = this.quotas.find(buf, off, end)
    if (entry === null) return Err.ok
    const key = pathKey(entry.path)
    if (entry.junk && this.compat.junkQuotas) return Err.marshallingError
    if (entry.junk) {
      if (this.warned.size < WARNED_MAX && !this.warned.has(key)) {
        this.warned.add(key)
        this.warn('the limits of a quota cannot be read: it is ignored', { path: key })
      }
      return Err.ok
    }
    if (entry.countUsed < 0 && entry.bytesUsed < 0) return Err.ok // limits without counts: nothing to hold them against
    let countUsed = entry.countUsed + count
    let bytesUsed = entry.bytesUsed + bytes
    for (const pending of this.pending) {
      if (pending.key !== key || (pending.zxid === zxid && this.compat.quotasInMulti)) continue
      countUsed += pending.count
      bytesUsed += pending.bytes
    }
    if (count !== 0 && entry.countHardLimit > -1 && countUsed > entry.countHardLimit) return Err.quotaExceeded
    const tooManyBytes = bytes !== 0 && entry.bytesHardLimit > -1 && bytesUsed > entry.bytesHardLimit
    return tooManyBytes ? Err.quotaExceeded : Err.ok
  }

  changed(buf: Uint8Array, off: number, end: number, count: number, bytes: number, zxid: Zxid): void {
    if (!this.enforced || (count === 0 && bytes === 0)) return
    const entry = this.quotas.find(buf, off, end)
    if (entry !== null) this.pending.push({ zxid, key: pathKey(entry.path), count, bytes })
  }

  /** A znode with so much data is on its way out. */
  released(path: Uint8Array, bytes: number, zxid: Zxid): void {
    this.changed(path, 0, path.length, -1, -bytes, zxid)
  }

  applied(zxid: Zxid): void {
    while (this.pending.length > 0 && this.pending[0]!.zxid <= zxid) this.pending.shift()
  }

  rollback(zxid: Zxid): void {
    while (this.pending.length > 0 && this.pending[this.pending.length - 1]!.zxid === zxid) this.pending.pop()
  }
}
