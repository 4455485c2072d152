/**
 * A key-value database in memory that keeps apart what was written and what is durable.
 *
 * A batch that was not flushed is lost or there, each by itself, when the power fails; of a batch under way nothing or
 * all. `beforeCall` sees each call that changes something: whoever does not answer it has crashed there.
 */

import type { Kv, KvHome, KvOp, KvReader } from '../../src/txnlog/kv.ts'

interface Write {
  readonly durable: boolean
  readonly ops: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export class MemKv implements KvHome {
  readonly path = '/mem/version-2/checkpoint.level'
  /** Batches, flushes and clears; may fail, or never answer. */
  beforeCall: (what: 'batch' | 'flush' | 'clear') => Promise<void>
  /** Bytes in batches so far. */
  bytesWritten: number
  /** By key, in latin1: the order of strings is that of bytes. */
  private live: Map<string, Uint8Array> | null
  private durable: Map<string, Uint8Array>
  /** Since the last flush, in order. */
  private pending: Write[]

  constructor() {
    this.beforeCall = () => Promise.resolve()
    this.bytesWritten = 0
    this.live = null
    this.durable = new Map()
    this.pending = []
  }

  exists(): Promise<boolean> {
    return Promise.resolve(this.live !== null)
  }

  open(): Promise<Kv> {
    this.live ??= new Map()
    this.keep()
    return Promise.resolve(this.makeKv())
  }

  remove(): Promise<void> {
    this.live = null
    this.durable = new Map()
    this.pending = []
    return Promise.resolve()
  }

  /** As the next process finds it. `random` in [0, 1) decides on each batch that was not flushed. */
  afterPowerLoss(random: () => number): MemKv {
    const next = new MemKv()
    next.durable = new Map(this.durable)
    for (const write of this.pending) if (write.durable || random() < 0.5) apply(write, next.durable)
    next.live = this.live === null ? null : new Map(next.durable)
    return next
  }

  /** All that was written is there. */
  afterKill(): MemKv {
    return this.afterPowerLoss(() => 0)
  }

  get keyCount(): number {
    return this.live?.size ?? 0
  }

  /** Keys in their order, as latin1. */
  keys(): string[] {
    return [...(this.live?.keys() ?? [])].sort()
  }

  /** Changes a value in its place, durably: rot. */
  rot(key: string, change: (value: Uint8Array) => Uint8Array | null): void {
    const value = change(this.live!.get(key)!.slice())
    for (const map of [this.live!, this.durable]) {
      if (value === null) map.delete(key)
      else map.set(key, value)
    }
  }

  private keep(): void {
    this.durable = new Map(this.live)
    this.pending = []
  }

  private write(write: Write): void {
    this.pending.push(write)
    apply(write, this.live!)
  }

  private makeKv(): Kv {
    return {
      get: (key) => Promise.resolve(this.live!.get(text(key))?.slice() ?? null),
      read: (from, to) => this.makeReader(text(from), text(to)),
      batch: async (ops, durable) => {
        const copied = Array.from(ops, (op) => ({ key: text(op.key), value: valueIn(op) }))
        await this.beforeCall('batch')
        this.write({ durable, ops: copied })
        for (const { key, value } of copied) this.bytesWritten += key.length + (value?.length ?? 0)
      },
      flush: async () => {
        await this.beforeCall('flush')
        this.keep()
      },
      clear: async (from, to) => {
        await this.beforeCall('clear')
        const gone = this.keys().filter((key) => key >= text(from) && key < text(to))
        // Not atomic: as many small writes.
        for (const key of gone) this.write({ durable: false, ops: [{ key, value: null }] })
      },
      close: () => Promise.resolve(),
    }
  }

  private makeReader(from: string, to: string): KvReader {
    const entries = this.keys()
      .filter((key) => key >= from && key < to)
      .map((key) => [Buffer.from(key, 'latin1'), this.live!.get(key)!.slice()] as const)
    let at = 0
    return {
      next: () => {
        at += 100
        return Promise.resolve(entries.slice(at - 100, at))
      },
      close: () => Promise.resolve(),
    }
  }
}

function apply({ ops }: Write, to: Map<string, Uint8Array>): void {
  for (const { key, value } of ops) {
    if (value === null) to.delete(key)
    else to.set(key, value)
  }
}

function valueIn(op: KvOp): Uint8Array | null {
  return op.type === 'put' ? op.value.slice() : null
}

function text(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}
