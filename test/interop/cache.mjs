/**
 * A cache of folders outside the repository: ${XDG_CACHE_HOME:-~/.cache}/zoowarden-interop.
 *
 * A folder is filled under a temporary name and renamed into place when complete, so an interrupted fetch leaves
 * nothing that could be taken for a whole one, and two runs at once end with one good copy.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const leftoverAgeMs = 60 * 60 * 1000

export function cacheRoot() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'zoowarden-interop')
}

/**
 * The folder for `name` at `version`, filled by `fill(tmp)` when it is not there yet. `recipe` is whatever decides the
 * contents besides the version; its hash is part of the key.
 */
export async function cached(name, version, recipe, fill) {
  const root = cacheRoot()
  mkdirSync(root, { recursive: true })
  const hash = createHash('sha256').update(recipe).digest('hex').slice(0, 12)
  const dir = join(root, `${name}-${version}-${hash}`)
  if (existsSync(dir)) return dir
  removeLeftovers(root)
  const tmp = mkdtempSync(join(root, `.filling-${name}-`))
  try {
    await fill(tmp)
    renameSync(tmp, dir)
  } catch (error) {
    rmSync(tmp, { recursive: true, force: true })
    if (!existsSync(dir)) throw error // else another run was first: its copy is as good
  }
  return dir
}

/** Folders of fetches that were killed. Young ones may belong to a run that is still at it. */
function removeLeftovers(root) {
  for (const entry of readdirSync(root)) {
    if (!entry.startsWith('.filling-')) continue
    const path = join(root, entry)
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > leftoverAgeMs) rmSync(path, { recursive: true, force: true })
  }
}
