/**
 * Temporary folders of this run. What is still there when the run ends, however it ends, is removed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const dirs = new Set()

export function makeTempDir(name) {
  const dir = mkdtempSync(join(tmpdir(), `zoowarden-interop-${name}-`))
  dirs.add(dir)
  return dir
}

export function removeTempDir(dir) {
  dirs.delete(dir)
  rmSync(dir, { recursive: true, force: true })
}

/** Leaves this one for somebody to look at. */
export function keepTempDir(dir) {
  dirs.delete(dir)
}

export function removeTempDirs() {
  for (const dir of dirs) {
    try {
      removeTempDir(dir)
    } catch {
      // a process killed a moment ago may still have written: the folder stays, the run's result does not depend on it
    }
  }
}
