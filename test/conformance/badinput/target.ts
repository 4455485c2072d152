/** The server under attack: our own, started for the purpose, or any that is already there. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Address } from './connection.ts'

export interface Target {
  address: Address
  /** Resident memory in bytes; null when the process is not ours to look at. */
  residentBytes(): number | null
  /** Null while the server runs; else how it ended. */
  ended(): string | null
  /** Lines of the log that tell of an error, and stack traces. */
  complaints(): string[]
  stop(): Promise<void>
}

/** A server somewhere: HOST:PORT. */
export function remoteTarget(text: string): Target {
  const colon = text.lastIndexOf(':')
  return {
    address: { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) },
    residentBytes: () => null,
    ended: () => null,
    complaints: () => [],
    stop: () => Promise.resolve(),
  }
}

/** Our own server, in memory, on a port of its choice, which it prints when it serves. */
export async function ownTarget(): Promise<Target> {
  const bin = fileURLToPath(new URL('../../../bin/zoowarden', import.meta.url))
  const child = spawn(process.execPath, [bin, 'start', '--ephemeral', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  let ended: string | null = null
  const closed = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      ended = `exit ${code ?? signal}`
      resolve()
    })
  })
  lines(child.stderr!, (line) => log.push(line))
  const port = await new Promise<number>((resolve, reject) => {
    lines(child.stdout!, (line) => {
      log.push(line)
      const match = /^\S*?:(\d+)\b/.exec(line)
      if (match !== null) resolve(Number(match[1]))
    })
    void closed.then(() => reject(new Error(`the server did not start: ${ended}\n${log.join('\n')}`)))
  })
  return {
    address: { host: '127.0.0.1', port },
    residentBytes: () => residentBytes(child),
    ended: () => ended,
    complaints: () => log.filter(isComplaint),
    stop: async () => {
      child.kill()
      await closed
    },
  }
}

function lines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop()!
    for (const part of parts) onLine(part)
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}

/** Level error and above as JSON or as text, a stack trace as lines or within JSON, or Node's own last words. */
function isComplaint(line: string): boolean {
  return (
    /"level":\s*("(error|fatal)"|[56]0\b)/.test(line) ||
    /\b(ERROR|FATAL)\b/.test(line) ||
    /(^|\\n)\s+at .+[:(].+:\d+:\d+/.test(line) ||
    /Unhandled|Uncaught|Warning: |heap out of memory/.test(line)
  )
}

function residentBytes(child: ChildProcess): number {
  const status = `/proc/${child.pid}/status`
  if (existsSync(status)) return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))![1]) * 1024
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)], { encoding: 'utf8' })) * 1024
}
