/** Folders with a real server's files, and a terminal that keeps what is said. */

import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { folderTarget, type ToolTarget } from '../../../src/tools/target.ts'
import type { Terminal } from '../../../src/tools/terminal.ts'
import { nodeDisk } from '../../../src/txnlog/disk.ts'
import { ENTRY_LENGTH_MAX } from '../../../src/txnlog/logdir.ts'
import { FIXTURES, type Outcome, recoverOn } from '../txnlog/states.ts'

export const disk = nodeDisk()
export const LENGTH_MAX = ENTRY_LENGTH_MAX

const made: string[] = []

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'zoowarden-tools-'))
  made.push(dir)
  return dir
}

afterAll(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true })
})

/** A data folder with the files that a real server left. */
export function fixtureData(life: 'plain' | 'gz' | 'snappy', wanted: (name: string) => boolean = () => true): string {
  const dir = tempDir()
  const from = join(FIXTURES, life, 'version-2')
  mkdirSync(join(dir, 'version-2'))
  for (const name of readdirSync(from)) if (wanted(name)) cpSync(join(from, name), join(dir, 'version-2', name))
  return dir
}

export function targetOf(dir: string): ToolTarget {
  return folderTarget(dir, null, LENGTH_MAX)
}

/** What a server that starts from a copy of the folder has. */
export async function startedFrom(dir: string): Promise<Outcome> {
  const copy = join(tempDir(), 'copy')
  cpSync(dir, copy, { recursive: true, filter: (path) => !path.includes('zoowarden.lock.') })
  return recoverOn(disk, {}, { dataDir: copy, dataLogDir: copy })
}

/** Every file below a folder, with a sum of its bytes. */
export function filesOf(dir: string): string[] {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()
  return names.map((name) => {
    const path = join(dir, name)
    if (!statSync(path).isFile()) return name
    return `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
  })
}

export class RecordingTerminal implements Terminal {
  output = ''
  errors: string[] = []
  readonly answers: string[]

  constructor(...answers: string[]) {
    this.answers = answers
  }

  out(text: string): void {
    this.output += text
  }

  err(line: string): void {
    this.errors.push(line)
  }

  ask(question: string): Promise<string | null> {
    this.output += question
    return Promise.resolve(this.answers.shift() ?? null)
  }

  progress(): void {}
}

/** The error of a promise that must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => null,
    (err: unknown) => err,
  )
  if (outcome instanceof Error) return outcome
  throw new Error('did not fail')
}
