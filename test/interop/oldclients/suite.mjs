/**
 * The interop suite `old-clients` (V3): Java clients of older releases against one server. Those of 3.3 send a connect
 * message without the read-only byte, which 3.9 once answered with one byte too many (ZOOKEEPER-4814).
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaFlags, runToEnd } from '../process.mjs'
import { runProgram } from '../suite.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const timeoutMs = 300_000
/** What each release brought, by the first that has it; compiled against the oldest one here that has it. */
const additions = [
  { since: '3.4', name: 'Since34' },
  { since: '3.5', name: 'Since35' },
  { since: '3.6', name: 'Since36' },
]

/** `libs`: the folder of jars by version, the oldest first. */
export async function runOldClients(libs, target, report) {
  const classes = join(target.workDir, 'classes')
  mkdirSync(classes)
  const compile = (lib, ...sources) =>
    runToEnd('javac', ['-nowarn', '-d', classes, '-cp', `${classes}:${join(lib, '*')}`, ...sources])
  await compile(Object.values(libs)[0], join(here, '..', 'java', 'Peer.java'), join(here, 'OldClient.java'))
  for (const { since, name } of additions) {
    const [, lib] = Object.entries(libs).find(([version]) => has(version, since))
    await compile(lib, join(here, `${name}.java`))
  }
  for (const [version, lib] of Object.entries(libs)) {
    const names = additions.filter(({ since }) => has(version, since)).map(({ name }) => name)
    const classpath = [classes, join(here, '..'), join(lib, '*')].join(':')
    const args = [...javaFlags, '-cp', classpath, 'OldClient', `/of-${version}`, ...names]
    await runProgram({ timeoutMs }, { command: 'java', args }, target, (ok, name, why) =>
      report(ok, `${version}: ${name}`, why),
    )
  }
}

function has(version, since) {
  return Number(version.split('.')[1]) >= Number(since.split('.')[1])
}
