/**
 * One process's way to a disk: the production interface, made of calls that somebody else lets happen.
 *
 * A call is made and waits; then it happens and is answered, both at one moment. When that is, is the business of
 * `Calls`: the next turn of the loop, or a moment of virtual time. When the process is gone, what waits has happened in
 * full, in part or not at all, and is never answered. A `rename` done in part is not durable.
 */

import { dirname } from 'node:path'
import type { Disk, DiskFile, Done, Got } from '../../src/txnlog/disk.ts'
import { type FileId, type Platter, systemError } from './platter.ts'
import { NOTHING, type Survival } from './survival.ts'

export type Step =
  | 'create'
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close'
  | 'size'
  | 'rename'
  | 'unlink'
  | 'syncDir'
  | 'list'
  | 'mkdir'
  | 'isDir'

/** Calls that change what a disk keeps. */
const CHANGING: readonly Step[] = ['create', 'write', 'sync', 'truncate', 'rename', 'unlink', 'syncDir', 'mkdir']

/** A call that was made and is not answered. */
export interface Call {
  readonly step: Step
  readonly path: string
  /** Does it, to this disk or to a copy, in full or a `share` in [0, 1] of it. Throws errors of the system. */
  readonly run: (on: Platter, share: number) => unknown
}

/** Says which call fails: with an error or its code; 'hang': it is not answered before `letGo`. */
export type Fault = (step: Step, path: string) => Error | string | null

export interface Calls {
  /** Calls `happen` once, later. */
  later(call: Call, happen: () => void): void
  nowMs(): number
  /** Tells the process what has come of a call. */
  answer(run: () => void): void
  /** Ahead of each call that happens, to be noted or refused. */
  fault(call: Call): Error | string | null
  /** What a failed sync has stored nevertheless. */
  survivalOfFailedSync?(): Survival
}

interface Handle {
  readonly id: FileId
  readonly path: string
  /** Each write to it is followed by a sync. */
  readonly synced: boolean
}

export class DiskPort implements Disk {
  private readonly platter: Platter
  private readonly calls: Calls
  private readonly files: Map<DiskFile, Handle>
  /** Changing calls that were made and have not happened, oldest first. */
  readonly underWay: Set<Call>
  private hanging: (() => void)[]
  private nextFile: number
  private gone: boolean

  constructor(platter: Platter, calls: Calls) {
    this.platter = platter
    this.calls = calls
    this.files = new Map()
    this.underWay = new Set()
    this.hanging = []
    this.nextFile = 3
    this.gone = false
  }

  /** Files open now; a leak shows here. */
  get openFiles(): string[] {
    return [...this.files.values()].map(({ path }) => path)
  }

  /** The process has ended. `happens`: the share of a call under way that was done; null: it was not. */
  end(happens: (call: Call) => number | null): void {
    this.gone = true
    runSome(this.platter, this.underWay, happens)
    this.underWay.clear()
    this.hanging = []
  }

  get ended(): boolean {
    return this.gone
  }

  /** Calls that hang go on. */
  letGo(): void {
    for (const happen of this.hanging.splice(0)) happen()
  }

  nowMs(): number {
    return this.calls.nowMs()
  }

  create(path: string, got: Got<DiskFile>): void {
    this.createNew(path, false, got)
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.createNew(path, true, got)
  }

  private createNew(path: string, synced: boolean, got: Got<DiskFile>): void {
    this.call('create', path, this.opened(path, synced, got), (on) => on.create(path))
  }

  open(path: string, _mode: 'r' | 'r+', got: Got<DiskFile>): void {
    this.call('open', path, this.opened(path, false, got), (on) => on.find(path))
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    const { id, path } = this.files.get(file)!
    this.call('read', path, got, (on) => on.read(id, pos, into, off, length))
  }

  write(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void {
    const { id, path, synced } = this.files.get(file)!
    const written: Done = synced ? (err) => (err === null ? this.sync(file, done) : done(err)) : done
    // A copy: their owner may use the parts again once the call has been answered, and others may run it later.
    const bytes = Buffer.concat(parts)
    this.call('write', path, forget(written), (on, share) => {
      if (!on.write(id, pos, bytes.subarray(0, Math.floor(share * bytes.length)))) throw systemError('ENOSPC', path)
    })
  }

  sync(file: DiskFile, done: Done): void {
    const { id, path } = this.files.get(file)!
    const upTo = this.platter.changesOf(id)
    const failed: Done = (err) => {
      if (err !== null) this.platter.failSync(id, this.calls.survivalOfFailedSync?.() ?? NOTHING)
      done(err)
    }
    this.call('sync', path, forget(failed), (on, share) => {
      if (share === 1) on.sync(id, upTo)
    })
  }

  truncate(file: DiskFile, bytes: number, done: Done): void {
    const { id, path } = this.files.get(file)!
    this.call('truncate', path, forget(done), (on) => on.resize(id, bytes))
  }

  close(file: DiskFile, done: Done): void {
    const { path } = this.files.get(file)!
    this.call('close', path, forget(done), () => {
      this.files.delete(file)
    })
  }

  size(file: DiskFile, got: Got<number>): void {
    const { id, path } = this.files.get(file)!
    this.call('size', path, got, (on) => on.size(id))
  }

  rename(from: string, to: string, done: Done): void {
    this.call('rename', from, forget(done), (on, share) => {
      on.rename(from, to)
      if (share < 1) return
      on.syncNames(dirname(to))
      on.syncNames(dirname(from))
    })
  }

  unlink(path: string, done: Done): void {
    this.call('unlink', path, forget(done), (on) => on.unlink(path))
  }

  syncDir(path: string, done: Done): void {
    this.call('syncDir', path, forget(done), (on, share) => {
      if (share === 1) on.syncNames(path)
    })
  }

  list(path: string, got: Got<string[]>): void {
    this.call('list', path, got, (on) => on.list(path))
  }

  mkdir(path: string, done: Done): void {
    this.call('mkdir', path, forget(done), (on) => on.makeFolder(path))
  }

  isDir(path: string, got: Got<boolean>): void {
    this.call('isDir', path, got, (on) => on.hasFolder(path))
  }

  private opened(path: string, synced: boolean, got: Got<DiskFile>): Got<FileId> {
    return (...[err, id]) => {
      if (err !== null) return got(err, null)
      this.files.set(this.nextFile, { id, path, synced })
      got(null, this.nextFile++)
    }
  }

  private call<T>(step: Step, path: string, got: Got<T>, run: (on: Platter, share: number) => T): void {
    if (this.gone) return
    const call: Call = { step, path, run }
    if (CHANGING.includes(step)) this.underWay.add(call)
    const happen = (): void => {
      if (this.gone) return
      const fault = this.calls.fault(call)
      if (this.gone) return
      if (fault === 'hang') {
        this.hanging.push(happen)
        return
      }
      this.underWay.delete(call)
      let value: T
      try {
        if (fault !== null) throw typeof fault === 'string' ? systemError(fault, path) : fault
        value = run(this.platter, 1)
      } catch (err) {
        if (!(err instanceof Error)) throw err
        this.calls.answer(() => got(err, null))
        return
      }
      this.calls.answer(() => got(null, value))
    }
    this.calls.later(call, happen)
  }
}

/** Does a share of each of these calls to a disk, as far as it can be done there. Null: nothing of it. */
export function runSome(on: Platter, calls: Iterable<Call>, happens: (call: Call) => number | null): void {
  for (const call of calls) {
    const share = happens(call)
    if (share === null) continue
    try {
      call.run(on, share)
    } catch (err) {
      // It would have failed; nobody is there to be told.
      if (!(err instanceof Error) || !('code' in err)) throw err
    }
  }
}

function forget(done: Done): Got<void> {
  return (...[err]) => done(err)
}
