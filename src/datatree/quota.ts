/**
 * Quotas: limits and running counts under /zookeeper/quota.
 *
 * For a path P the limits are the text of /zookeeper/quota/P/zookeeper_limits, and the usage is kept, here and as text,
 * in /zookeeper/quota/P/zookeeper_stats. Creating the limits node makes P counted, deleting it ends that; creating the
 * stats node counts P's subtree afresh. Each change is counted to the deepest such P at or above it, at every member
 * by itself: the stats node's data changes without zxid, version, mtime or watch.
 *
 * Texts are `key=number` pairs between `,` or `;`. Where Java's reader would throw, a limits text is junk and limits
 * nothing, and a stats text is replaced by a fresh count. Limits on / itself are not supported: they are never counted
 * (in Java the transaction that makes them stops the server).
 *
 * Java: DataTree (createNode, deleteNode, updateQuotaStat, updateQuotaForPath, setupQuota), StatsTrack, PathTrie.
 */

import { assert } from '../jute/assert.ts'
import { finishHash, hashPath, rollHash } from './pathtable.ts'
import { type DataTree, NO_NODE, type NodeId } from './tree.ts'

export interface QuotaEntry {
  /** The path that the quota is on. */
  readonly path: Uint8Array
  /** The limits in force, the hard one in place of the soft one where both are set; -1 is none. */
  countLimit: number
  bytesLimit: number
  countHard: boolean
  bytesHard: boolean
  /** The hard limits by themselves; -1 is none. */
  countHardLimit: number
  bytesHardLimit: number
  /** What the stats node says; -1 where there is none. */
  countUsed: number
  bytesUsed: number
  /** The limits' text cannot be read, so there are no limits. */
  junk: boolean
}

/** An entry with what only this file needs. */
interface Counted extends QuotaEntry {
  /** Path of the stats node. */
  readonly statsPath: Uint8Array
  readonly limitsPath: Uint8Array
  /** False when the texts must be read again before use. */
  limitsKnown: boolean
  statsKnown: boolean
  /** Further pairs of a stats text, kept behind the two counts. */
  statsRest: string
  /** Of the same hash. */
  next: Counted | null
}

const QUOTA_ROOT = bytesOf('/zookeeper/quota')
const LIMITS_NAME = bytesOf('/zookeeper_limits')
const STATS_NAME = bytesOf('/zookeeper_stats')
const SLASH = 0x2f

type QuotaNode = 'none' | 'limits' | 'stats'

export class Quotas {
  /** Paths that have limits. */
  count: number
  private readonly tree: DataTree
  private readonly byHash: Map<number, Counted>

  constructor(tree: DataTree) {
    this.count = 0
    this.tree = tree
    this.byHash = new Map()
  }

  /** After a load: finds every limits node and counts afresh. */
  rebuild(): void {
    this.byHash.clear()
    this.count = 0
    const tree = this.tree
    const root = tree.find(QUOTA_ROOT, 0, QUOTA_ROOT.length)
    if (root === NO_NODE) return
    const found: Uint8Array[] = []
    tree.forEachDescendant(root, (node) => {
      const path = tree.pathOf(node)
      if (quotaNode(path, 0, path.length) === 'limits') found.push(path)
    })
    for (const path of found) this.register(path, 0, path.length)
    this.forEachCounted((entry) => this.recount(entry.path, entry.statsPath))
  }

  /** The deepest quota at or above a path, with its present figures; null when there is none. */
  find(buf: Uint8Array, off: number, end: number): QuotaEntry | null {
    const entry = this.deepest(buf, off, end)
    if (entry !== null) this.readTexts(entry)
    return entry
  }

  forEach(visit: (entry: QuotaEntry) => void): void {
    this.forEachCounted((entry) => {
      this.readTexts(entry)
      visit(entry)
    })
  }

  // --- told by apply, after the tree has changed

  nodeCreated(buf: Uint8Array, off: number, end: number, dataBytes: number): void {
    const kind = quotaNode(buf, off, end)
    if (kind === 'limits') {
      this.register(buf, off, end)
    } else if (kind === 'stats') {
      const path = countedPath(buf, off, end, STATS_NAME)
      this.recount(path, buf.slice(off, end))
      this.forget(path)
    }
    if (this.count > 0) this.adjust(buf, off, end, 1, dataBytes)
  }

  nodeDeleted(buf: Uint8Array, off: number, end: number, dataBytes: number): void {
    const kind = quotaNode(buf, off, end)
    if (kind === 'limits') this.unregister(countedPath(buf, off, end, LIMITS_NAME))
    else if (kind === 'stats') this.forget(countedPath(buf, off, end, STATS_NAME))
    if (this.count > 0) this.adjust(buf, off, end, -1, -dataBytes)
  }

  /** `bytesChange`: new data length less the old, null counting 0. */
  dataChanged(buf: Uint8Array, off: number, end: number, bytesChange: number): void {
    if (this.count === 0) return
    const kind = quotaNode(buf, off, end)
    if (kind !== 'none') this.forget(countedPath(buf, off, end, kind === 'limits' ? LIMITS_NAME : STATS_NAME))
    this.adjust(buf, off, end, 0, bytesChange)
  }

  // --- inside

  private register(buf: Uint8Array, off: number, end: number): void {
    const path = countedPath(buf, off, end, LIMITS_NAME)
    if (path.length <= 1) return
    const known = this.lookup(path, 0, path.length, hashPath(0, path, 0, path.length))
    if (known !== null) {
      known.limitsKnown = false
      return
    }
    const statsPath = joined(QUOTA_ROOT, path, STATS_NAME)
    const hash = hashPath(0, path, 0, path.length)
    this.byHash.set(hash, {
      path,
      countLimit: -1,
      bytesLimit: -1,
      countHard: false,
      bytesHard: false,
      countHardLimit: -1,
      bytesHardLimit: -1,
      countUsed: -1,
      bytesUsed: -1,
      junk: false,
      statsPath,
      limitsPath: buf.slice(off, end),
      limitsKnown: false,
      statsKnown: false,
      statsRest: '',
      next: this.byHash.get(hash) ?? null,
    })
    this.count++
  }

  private unregister(path: Uint8Array): void {
    const hash = hashPath(0, path, 0, path.length)
    const entry = this.lookup(path, 0, path.length, hash)
    if (entry === null) return
    const head = this.byHash.get(hash)!
    if (head === entry) {
      if (entry.next === null) this.byHash.delete(hash)
      else this.byHash.set(hash, entry.next)
    } else {
      let before = head
      while (before.next !== entry) before = before.next!
      before.next = entry.next
    }
    this.count--
    assert(this.count >= 0)
  }

  /** The texts of this quota have changed. */
  private forget(path: Uint8Array): void {
    const entry = this.lookup(path, 0, path.length, hashPath(0, path, 0, path.length))
    if (entry === null) return
    entry.limitsKnown = false
    entry.statsKnown = false
  }

  private lookup(buf: Uint8Array, off: number, end: number, hash: number): Counted | null {
    let entry = this.byHash.get(hash) ?? null
    while (entry !== null && !sameBytes(entry.path, buf, off, end)) entry = entry.next
    return entry
  }

  private deepest(buf: Uint8Array, off: number, end: number): Counted | null {
    if (this.count === 0) return null
    let deepest: Counted | null = null
    let rolled = 0
    for (let at = off; at < end; at++) {
      if (buf[at] === SLASH && at > off) deepest = this.lookup(buf, off, at, finishHash(rolled)) ?? deepest
      rolled = rollHash(rolled, buf[at]!)
    }
    return this.lookup(buf, off, end, finishHash(rolled)) ?? deepest
  }

  private adjust(buf: Uint8Array, off: number, end: number, countChange: number, bytesChange: number): void {
    const entry = this.deepest(buf, off, end)
    if (entry === null) return
    const stats = this.tree.find(entry.statsPath, 0, entry.statsPath.length)
    if (stats === NO_NODE) return
    if (!entry.statsKnown && !this.readStats(entry, stats)) {
      // Junk. The tree already holds this change, so the fresh count does too.
      this.recount(entry.path, entry.statsPath)
      this.readStats(entry, stats)
      return
    }
    entry.countUsed += countChange
    entry.bytesUsed += bytesChange
    this.tree.setStatsData(stats, statsText(entry.countUsed, entry.bytesUsed, entry.statsRest))
  }

  /** Counts the subtree of a path, itself included, into its stats node. */
  private recount(path: Uint8Array, statsPath: Uint8Array): void {
    const tree = this.tree
    const stats = tree.find(statsPath, 0, statsPath.length)
    if (stats === NO_NODE) return
    const top = tree.find(path, 0, path.length)
    let count = 0
    let bytes = 0
    if (top !== NO_NODE) {
      count = 1
      bytes = Math.max(tree.dataLength(top), 0)
      tree.forEachDescendant(top, (node) => {
        count++
        bytes += Math.max(tree.dataLength(node), 0)
      })
    }
    tree.setStatsData(stats, statsText(count, bytes, ''))
    this.forget(path)
  }

  private readTexts(entry: Counted): void {
    const tree = this.tree
    if (!entry.limitsKnown) {
      const node = tree.find(entry.limitsPath, 0, entry.limitsPath.length)
      const pairs = readPairs(node === NO_NODE ? null : tree.dataOf(node))
      entry.junk = pairs === null
      entry.countHardLimit = limitOf(pairs, 'countHardLimit')
      entry.bytesHardLimit = limitOf(pairs, 'byteHardLimit')
      entry.countHard = entry.countHardLimit !== -1
      entry.bytesHard = entry.bytesHardLimit !== -1
      entry.countLimit = entry.countHard ? entry.countHardLimit : limitOf(pairs, 'count')
      entry.bytesLimit = entry.bytesHard ? entry.bytesHardLimit : limitOf(pairs, 'bytes')
      entry.limitsKnown = true
    }
    if (!entry.statsKnown) {
      const stats = tree.find(entry.statsPath, 0, entry.statsPath.length)
      if (stats === NO_NODE) {
        entry.countUsed = -1
        entry.bytesUsed = -1
      } else if (!this.readStats(entry, stats)) {
        this.recount(entry.path, entry.statsPath)
        this.readStats(entry, stats)
      }
    }
  }

  /** Takes the counts from the stats node; false when they are junk. */
  private readStats(entry: Counted, stats: NodeId): boolean {
    const pairs = readPairs(this.tree.dataOf(stats))
    if (pairs === null) return false
    entry.countUsed = pairs.get('count') ?? -1
    entry.bytesUsed = pairs.get('bytes') ?? -1
    pairs.delete('count')
    pairs.delete('bytes')
    entry.statsRest = [...pairs.keys()]
      .sort()
      .map((key) => `;${key}=${pairs.get(key)}`)
      .join('')
    entry.statsKnown = true
    return true
  }

  private forEachCounted(visit: (entry: Counted) => void): void {
    for (const head of this.byHash.values()) {
      for (let entry: Counted | null = head; entry !== null; entry = entry.next) visit(entry)
    }
  }
}

/** Whether a path is one of the two nodes of a quota. */
function quotaNode(buf: Uint8Array, off: number, end: number): QuotaNode {
  if (end - off <= QUOTA_ROOT.length || buf[off + 1] !== 0x7a) return 'none'
  for (let i = 2; i < QUOTA_ROOT.length; i++) if (buf[off + i] !== QUOTA_ROOT[i]) return 'none'
  if (buf[off + QUOTA_ROOT.length] !== SLASH) return 'none'
  if (endsWith(buf, off + QUOTA_ROOT.length, end, LIMITS_NAME)) return 'limits'
  return endsWith(buf, off + QUOTA_ROOT.length, end, STATS_NAME) ? 'stats' : 'none'
}

/** The path that a limits or stats node is about: what is between /zookeeper/quota and the name; "" for the root. */
function countedPath(buf: Uint8Array, off: number, end: number, name: Uint8Array): Uint8Array {
  return buf.slice(off + QUOTA_ROOT.length, end - name.length)
}

function endsWith(buf: Uint8Array, off: number, end: number, tail: Uint8Array): boolean {
  if (end - off < tail.length) return false
  for (let i = 1; i <= tail.length; i++) if (buf[end - i] !== tail[tail.length - i]) return false
  return true
}

/**
 * Reads `key=number` pairs as StatsTrack does: null where it would throw, and an empty map for null or no text. A pair
 * may have more behind a second `=`; an empty number is -1.
 */
function readPairs(data: Uint8Array | null): Map<string, number> | null {
  const pairs = new Map<string, number>()
  if (data === null || data.length === 0) return pairs
  const parts = new TextDecoder().decode(data).split(/[,;]+/)
  while (parts.length > 0 && parts[parts.length - 1] === '') parts.pop()
  for (const part of parts) {
    const fields = part.split('=')
    while (fields.length > 0 && fields[fields.length - 1] === '') fields.pop()
    if (fields.length < 2) return null
    const number = fields[1] === '' ? '-1' : fields[1]!
    if (!/^[+-]?[0-9]+$/.test(number)) return null
    const value = Number(number)
    if (!(value >= -(2 ** 63) && value <= 2 ** 63)) return null
    pairs.set(fields[0]!, value)
  }
  return pairs
}

function limitOf(pairs: Map<string, number> | null, key: string): number {
  const limit = pairs?.get(key) ?? -1
  return limit < 0 ? -1 : limit
}

/** A `=` behind the bytes hides further pairs from readers of 3.4, which know only the two. */
function statsText(count: number, bytes: number, rest: string): Uint8Array {
  return bytesOf(`count=${count},bytes=${bytes}${rest === '' ? '' : '=' + rest}`)
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function sameBytes(path: Uint8Array, buf: Uint8Array, off: number, end: number): boolean {
  if (path.length !== end - off) return false
  for (let i = 0; i < path.length; i++) if (path[i] !== buf[off + i]) return false
  return true
}
