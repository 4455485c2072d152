/**
 * Child processes: run one to its end and keep what it said, or start one in a group of its own that dies with us.
 */
import { spawn } from 'node:child_process'

/** Cheap start over peak speed: our JVMs live for seconds. */
export const javaFlags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx512m']

const groups = new Set()

/** Runs a command; returns its stdout, or throws with the end of everything it said. */
export function runToEnd(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let said = ''
    let out = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
      said += chunk
    })
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    child.on('error', (error) => reject(new Error(`${command}: ${error.message}`)))
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(out)
      reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}: ${said.slice(-2000).trim()}`))
    })
  })
}

/** Starts a command as leader of its own process group, so that a signal reaches all it started. */
export function startGroup(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true })
  if (child.pid === undefined) return child
  groups.add(child.pid)
  child.on('exit', () => groups.delete(child.pid))
  return child
}

export function signalGroup(child, signal) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** For the end of the run, however it comes: nothing we started outlives us. */
export function killAllGroups() {
  for (const pid of groups) {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // already gone
    }
  }
}
