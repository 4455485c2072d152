/**
 * The narrow door to a key-value database, for the checkpoint store: a few calls, so that a simulated database can
 * stand behind it and lose what was not made durable (levelkv.ts is the real one).
 *
 * Keys are in the order of their bytes. A batch is written whole or not at all; a power failure may take any of the
 * batches written since the last `flush`, whatever their order. After a call that failed nothing is known of what was
 * written since the last flush; the database is to be closed, and may be opened again.
 */

export type KvOp = { type: 'put'; key: Uint8Array; value: Uint8Array } | { type: 'del'; key: Uint8Array }

export interface Kv {
  /** Owned by the caller; null where there is none. */
  get(key: Uint8Array): Promise<Uint8Array | null>
  /** Keys at or above `from` and below `to`, as they are now. */
  read(from: Uint8Array, to: Uint8Array): KvReader
  /** Read once, at once; bytes are borrowed until it is done. `durable`: this batch is then, though earlier ones need not be. */
  batch(ops: Iterable<KvOp>, durable: boolean): Promise<void>
  /** All batches so far are durable when it is done. */
  flush(): Promise<void>
  /** Removes all keys at or above `from` and below `to`. */
  clear(from: Uint8Array, to: Uint8Array): Promise<void>
  close(): Promise<void>
}

export interface KvReader {
  /** The next entries, none at the end. Bytes are the caller's. */
  next(): Promise<readonly (readonly [key: Uint8Array, value: Uint8Array])[]>
  close(): Promise<void>
}

/** The place of one database. */
export interface KvHome {
  /** As an operator would name it. */
  readonly path: string
  exists(): Promise<boolean>
  /** Rejects with StorageError where no database can be opened, here or anywhere. */
  available?(): Promise<void>
  /** Makes it if it is not there. What it holds is durable when this is done. */
  open(): Promise<Kv>
  /** Removes it; a crash leaves all of it or nothing that `exists`. It must be closed. */
  remove(): Promise<void>
}
