/**
 * The package as npm would install it, for tests that run its commands: built into a temporary folder, with the real
 * bin/, conf/ and package.json, and links to the commands where npm puts them. No test depends on a built dist/.
 */

import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export interface InstalledPackage {
  /** node_modules/.bin: links into the package. */
  readonly bin: string
  /** An empty folder for files of the test. */
  readonly work: string
  remove(): void
}

export function installPackage(): InstalledPackage {
  const dir = mkdtempSync(join(tmpdir(), 'zoowarden-package-'))
  const modules = join(dir, 'node_modules')
  const home = join(modules, 'zoowarden')
  const bin = join(modules, '.bin')
  const work = join(dir, 'work')
  for (const folder of [home, bin, work]) mkdirSync(folder, { recursive: true })
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  execFileSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(home, 'dist')])
  for (const part of ['bin', 'conf', 'package.json']) cpSync(join(ROOT, part), join(home, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'))
  for (const command of ['zoowarden', 'zkServer.sh', 'zkCli.sh'])
    symlinkSync(join('..', 'zoowarden', 'bin', command), join(bin, command))
  return { bin, work, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  /** Settles with everything on stdout once it matches. Rejects if the process ends before. */
  stdoutMatching(pattern: RegExp): Promise<string>
  closeStdin(): void
  /** The last that it reads from stdin. */
  type(input: string): void
  kill(signal: NodeJS.Signals): void
  readonly ended: Promise<Ended>
}

/** Starts a command in a clean environment but for PATH and `env`. */
export function start(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Running {
  const child = spawn(command, args, { cwd, env: { PATH: process.env['PATH'], ...env } })
  let stdout = ''
  let stderr = ''
  const listeners = new Set<() => void>()
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    for (const listener of listeners) listener()
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  return {
    pid: child.pid ?? -1,
    stdoutMatching: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(stdout)) return
          listeners.delete(look)
          resolve(stdout)
        }
        listeners.add(look)
        ended.then(() => reject(new Error(`ended without ${pattern}: ${stdout}${stderr}`)), reject)
        look()
      }),
    closeStdin: () => child.stdin.end(),
    type: (input) => child.stdin.end(input),
    kill: (signal) => child.kill(signal),
    ended,
  }
}

export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<Ended> {
  const running = start(command, args, cwd, env)
  running.closeStdin()
  return running.ended
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Everything a server answers to these bytes before it closes. */
export function ask(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = netConnect(port, '127.0.0.1', () => socket.write(word))
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}
