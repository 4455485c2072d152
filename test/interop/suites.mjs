/**
 * The suites: which peer, how its program is built, and how long it may take on a slow machine.
 *
 * Programs are compiled into the suite's temporary work folder at each run: a compiler's output is not worth a cache
 * that could be stale.
 */
import { cpSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchJavaAdmin, runAdmin } from './admin/suite.mjs'
import { runAudit } from './audit/suite.mjs'
import { runCSecure } from './c-secure/suite.mjs'
import { cacheRoot } from './cache.mjs'
import { runEnsembles } from './ensemble/suite.mjs'
import { runSecureEnsembles } from './ensemble-secure/suite.mjs'
import { runOldClients } from './oldclients/suite.mjs'
import { runOverload } from './overload/suite.mjs'
import { runPackage } from './package/suite.mjs'
import {
  fetchCClient,
  fetchCSource,
  fetchCurator,
  fetchGoClient,
  fetchJavaClient,
  fetchKazoo,
  fetchNodeClient,
  fetchOldClients,
} from './peers.mjs'
import { javaFlags, runToEnd } from './process.mjs'
import { runSasl } from './sasl/suite.mjs'
import { runSecrets } from './secrets/suite.mjs'
import { runTls } from './tls/suite.mjs'
import { fetchJavaTools, runTools } from './tools/suite.mjs'
import { fetchZkCli, runTranscripts } from './zkcli-transcripts/suite.mjs'

const here = dirname(fileURLToPath(import.meta.url))

/** Runs beside the others: it waits a minute for the server's reaper, doing nothing. */
export const backgroundSuites = [
  { name: 'java-reaper', fetch: fetchJavaClient, program: javaProgram('java', 'ReaperMain'), timeoutMs: 300_000 },
]

export const suites = [
  {
    name: 'java',
    fetch: fetchJavaClient,
    program: javaProgram('java', 'ClientMain'),
    config: { snapCount: 2000 }, // so that its restarts meet snapshots, not one long log
    timeoutMs: 600_000,
  },
  { name: 'old-clients', fetch: fetchOldClients, run: runOldClients },
  { name: 'zkcli-transcripts', fetch: fetchZkCli, runAlone: runTranscripts },
  { name: 'c', fetch: fetchCClient, program: cProgram, timeoutMs: 300_000 },
  { name: 'c-secure', fetch: fetchCSource, runAlone: runCSecure },
  { name: 'kazoo', fetch: fetchKazoo, program: kazooProgram, timeoutMs: 600_000 },
  { name: 'go', fetch: fetchGoClient, program: goProgram, timeoutMs: 300_000 },
  { name: 'curator', fetch: fetchCurator, program: javaProgram('curator', 'CuratorMain'), timeoutMs: 600_000 },
  { name: 'node', fetch: fetchNodeClient, program: nodeProgram, timeoutMs: 300_000 },
  { name: 'ensemble', fetch: fetchJavaClient, runAlone: runEnsembles },
  { name: 'ensemble-secure', fetch: fetchJavaClient, runAlone: runSecureEnsembles },
  { name: 'package', fetch: fetchJavaClient, runAlone: runPackage },
  { name: 'sasl', fetch: fetchJavaClient, runAlone: runSasl },
  { name: 'admin', fetch: fetchJavaAdmin, runAlone: runAdmin },
  { name: 'audit', fetch: fetchJavaTools, runAlone: runAudit },
  { name: 'tls', fetch: fetchJavaClient, runAlone: runTls },
  { name: 'overload', fetch: fetchJavaTools, runAlone: runOverload },
  { name: 'secrets', fetch: async () => '', runAlone: runSecrets },
  { name: 'tools', fetch: fetchJavaTools, runAlone: runTools },
]

/** Compiles the harness with every class of `folder` and runs `main`. */
function javaProgram(folder, main) {
  return async (lib, { workDir }) => {
    const classpath = [workDir, here, join(lib, '*')].join(':')
    const sources = new Set([join(here, 'java', 'Peer.java'), ...filesIn(folder, '.java')])
    await runToEnd('javac', ['-nowarn', '-d', workDir, '-cp', join(lib, '*'), ...sources])
    return { command: 'java', args: [...javaFlags, '-cp', classpath, main] }
  }
}

async function cProgram(lib, { workDir }) {
  const libDir = await runToEnd('dirname', [await findFile(lib, 'libzookeeper_mt.so.2')])
  const program = join(workDir, 'peer')
  const flags = ['-std=gnu11', '-O1', '-Wall', '-DTHREADED', `-I${join(lib, 'usr/include/zookeeper')}`]
  const link = [`-L${libDir.trim()}`, '-lzookeeper_mt', '-lpthread']
  await runToEnd('cc', [...flags, '-o', program, ...filesIn('c', '.c'), ...link])
  return { command: program, args: [], env: { LD_LIBRARY_PATH: libDir.trim() } }
}

/** The folder below usr/lib is named after the machine. */
async function findFile(root, name) {
  const found = await runToEnd('find', [root, '-name', name])
  if (!found.trim()) throw new Error(`no ${name} in the package`)
  return found.trim().split('\n')[0]
}

function kazooProgram(lib) {
  const env = { PYTHONPATH: lib, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' }
  return { command: 'python3', args: [join(here, 'kazoo', 'main.py')], env }
}

async function goProgram(lib, { workDir }) {
  cpSync(lib, workDir, { recursive: true })
  for (const file of filesIn('go', '.go')) cpSync(file, join(workDir, file.slice(join(here, 'go').length + 1)))
  const program = join(workDir, 'peer')
  const env = { ...process.env, GOFLAGS: '-mod=vendor', GOCACHE: join(cacheRoot(), 'go-build'), GOTOOLCHAIN: 'local' }
  await runToEnd('go', ['build', '-o', program, '.'], { cwd: workDir, env })
  return { command: program, args: [] }
}

/** Plain module resolution looks beside the program, so the program goes beside the library. */
function nodeProgram(lib, { workDir }) {
  cpSync(join(lib, 'node_modules'), join(workDir, 'node_modules'), { recursive: true })
  for (const file of filesIn('node', '.mjs')) cpSync(file, join(workDir, file.slice(join(here, 'node').length + 1)))
  return { command: process.execPath, args: [join(workDir, 'main.mjs')] }
}

function filesIn(folder, suffix) {
  const dir = join(here, folder)
  const names = readdirSync(dir).filter((name) => name.endsWith(suffix))
  return names.map((name) => join(dir, name))
}
