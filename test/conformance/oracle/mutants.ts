/**
 * Does the oracle find what is wrong? Small faults, one at a time, in a compiled copy of our server; each must be found
 * within a few minutes. A fault whose text is not in the source any more is reported as such and counts as not found.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Campaign, type Finding, type Options } from './campaign.ts'

interface Mutant {
  name: string
  file: string
  find: string
  replace: string
  /** The set of settings under which it can show. */
  profile: string
}

const MUTANTS: readonly Mutant[] = [
  {
    name: 'delete looks at children before the version',
    file: 'src/server/requests/prep.ts',
    find: '    if (op.version !== -1 && op.version !== node.version) return Err.badVersion\n    if (node.children > 0) return Err.notEmpty\n',
    replace:
      '    if (node.children > 0) return Err.notEmpty\n    if (op.version !== -1 && op.version !== node.version) return Err.badVersion\n',
    profile: 'plain',
  },
  {
    name: 'a delete leaves the pzxid of the parent alone',
    file: 'src/datatree/apply.ts',
    find: '    tree.touchPzxid(parent, this.zxid)\n    const node = tree.find(buf, pathOff, pathEnd)\n',
    replace: '    const node = tree.find(buf, pathOff, pathEnd)\n',
    profile: 'plain',
  },
  {
    name: 'getACL needs READ, ADMIN does not count',
    file: 'src/server/requests/reads.ts',
    find: 'Perm.read | Perm.admin',
    replace: 'Perm.read',
    profile: 'rich',
  },
  {
    name: 'getACL shows digests to everyone',
    file: 'src/server/access/auth.ts',
    find: "id: scheme === 'digest' ? id.replace(/:.*/, ':x') : id",
    replace: 'id',
    profile: 'rich',
  },
  {
    name: 'a standard watch beside a persistent one is not used up',
    file: 'src/datatree/watches.ts',
    find: '    else this.entries[at + CONN_FLAGS]! &= ~STANDARD\n',
    replace: '',
    profile: 'plain',
  },
  {
    name: 'setWatches reports a change of the very zxid seen last',
    file: 'src/server/requests/reads.ts',
    find: 'tree.mzxid(node) > relativeZxid',
    replace: 'tree.mzxid(node) >= relativeZxid',
    profile: 'plain',
  },
  {
    name: 'a failed multi leaves its outstanding changes behind',
    file: 'src/server/requests/prep.ts',
    find: '    this.outstanding.rollback(zxid)\n',
    replace: '',
    profile: 'plain',
  },
  {
    name: 'U+FFF0 is allowed in a path',
    file: 'src/server/requests/paths.ts',
    find: 'point >= 0xfff0',
    replace: 'point > 0xfff0',
    profile: 'plain',
  },
  {
    name: 'the greatest ttl is refused',
    file: 'src/server/requests/prep.ts',
    find: 'op.ttlMs > TTL_MAX_MS',
    replace: 'op.ttlMs >= TTL_MAX_MS',
    profile: 'rich',
  },
  {
    name: 'a hard count quota refuses one znode too early',
    file: 'src/server/requests/quotagate.ts',
    find: 'countUsed > entry.countHardLimit',
    replace: 'countUsed >= entry.countHardLimit',
    profile: 'rich',
  },
  {
    name: 'exists sets its watch although READ is refused',
    file: 'src/server/requests/reads.ts',
    find: '    if (node === Err.noAuth) return node\n    if (watch && node < 0)',
    replace:
      '    if (watch && node === Err.noAuth) this.state.watches.addData(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)\n    if (node === Err.noAuth) return node\n    if (watch && node < 0)',
    profile: 'rich',
  },
  {
    name: "a read overtakes its own session's write while that waits behind another session's",
    file: 'src/server/requests/pipeline.ts',
    find: '    } else if (conn.head !== null) {\n',
    replace: '    } else if (conn.head !== null && (this.inflight[this.inflightHead] ?? conn.head).conn === conn) {\n',
    profile: 'plain',
  },
]

const MINUTES_EACH = 4

/** All of them, or those with `only` in their names. Returns how many faults were not found. */
export async function runMutants(root: string, dir: string, options: Options): Promise<number> {
  let missed = 0
  const mutants = MUTANTS.filter((m) => m.name.includes(options.only))
  for (const mutant of mutants) {
    const copy = join(dir, 'mutant')
    const why = build(root, copy, mutant)
    if (why !== null) {
      missed++
      console.log(`NOT RUN    ${mutant.name}: ${why}`)
      continue
    }
    const began = Date.now()
    const settings = {
      ...options,
      dir: join(dir, 'run'),
      minutes: options.minutes || MINUTES_EACH,
      stopAfter: 1,
      reduce: false,
      save: '',
    }
    const found = await hunt(
      { ...settings, b: [process.execPath, join(copy, 'bin', 'zoowarden'), 'start'] },
      mutant.profile,
      Number.MAX_SAFE_INTEGER,
    )
    // The server as it is must pass what gave the fault away.
    const control = found === null ? null : await hunt({ ...settings, minutes: 0 }, mutant.profile, found.sequence.seed)
    const seconds = ((Date.now() - began) / 1000).toFixed(0)
    if (found === null || control !== null) missed++
    const verdict = found === null ? 'NOT FOUND ' : control === null ? 'found     ' : 'NOT PROVEN'
    const how =
      found === null ? '' : `, seed ${found.sequence.seed}, step ${found.mismatch.step}: ${found.mismatch.signature}`
    console.log(`${verdict} ${mutant.name} (${seconds} s${how})`)
  }
  console.log(`${mutants.length - missed} passed, ${missed} failed`)
  return missed
}

async function hunt(options: Options, profile: string, seedLast: number | null): Promise<Finding | null> {
  const campaign = new Campaign(options)
  const found = await campaign.hunt(profile, seedLast)
  await campaign.stop()
  return found
}

/** Copies and compiles our server with the fault; null, or why that cannot be. */
function build(root: string, copy: string, mutant: Mutant): string | null {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const name of ['src', 'bin', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) {
    cpSync(join(root, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const file = join(copy, mutant.file)
  const text = readFileSync(file, 'utf8')
  const parts = text.split(mutant.find)
  if (parts.length !== 2)
    return `its text occurs ${parts.length - 1} times in ${mutant.file}: bring the mutant up to date`
  writeFileSync(file, parts.join(mutant.replace))
  const done = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      'tsconfig.build.json',
      '--noUnusedLocals',
      'false',
      '--noUnusedParameters',
      'false',
    ],
    { cwd: copy, encoding: 'utf8' },
  )
  return done.status === 0 ? null : `it does not compile: ${done.stdout}`
}
