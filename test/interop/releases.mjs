/**
 * The last release of this server, built from the history of this repository: what an operator goes back to.
 *
 * A version begins with the commit that gives package.json its number. Built with the packages that are installed here,
 * and kept like the peers that are fetched.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.mjs'
import { runToEnd } from './process.mjs'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The command that runs it in the foreground on a zoo.cfg, and its version. Null: this copy has no history of it. */
export async function previousRelease() {
  const release = findPrevious()
  if (release === null) return null
  const { version, commit } = release
  const home = await cached('zoowarden', version, `${commit} ${repository}`, async (directory) => {
    const files = 'src bin package.json tsconfig.json tsconfig.build.json'
    const unpack = `git archive ${commit} ${files} | tar -x -C '${directory}'`
    await runToEnd('bash', ['-o', 'pipefail', '-c', unpack], { cwd: repository })
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'))
    await runToEnd('npm', ['run', 'build'], { cwd: directory })
  })
  return { version, command: `'${process.execPath}' '${join(home, 'bin', 'zoowarden')}' start` }
}

function findPrevious() {
  const current = versionIn(readFileSync(join(repository, 'package.json'), 'utf8'))
  let found = null
  for (const commit of commitsOf('package.json')) {
    const version = versionIn(git('show', `${commit}:package.json`))
    if (found !== null && version !== found.version) break
    if (version !== current) found = { version, commit }
  }
  return found
}

/** The newest first; none where the sources came without their history. */
function commitsOf(file) {
  try {
    return git('log', '--format=%H', '--', file).split('\n').filter(Boolean)
  } catch {
    return []
  }
}

function versionIn(text) {
  return JSON.parse(text).version
}

function git(...args) {
  return execFileSync('git', args, { cwd: repository, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}
