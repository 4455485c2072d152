/**
 * npm run test:disk — real files: disks that are full or fail, and kills at the very moment something happens in the
 * data directory. (Scenarios C1, C3, C5, C14, C16, D1, D2)
 *
 *   node test/durability/disk.mjs [--only TEXT] [--rounds 2] [--seed N] [--disk ext4|tmpfs] [--server 'CMD'] [--keep]
 *
 * Full and failing disks are small file systems of the test's own (disk_mounts.mjs), which need root, or at least user
 * namespaces; what could not be had is said at the end. Clients write all the while (disk_load.mjs): no acknowledged
 * write may be lost. `--rounds` is how often each kill is tried. Exit code 1 if anything failed; directories and logs are kept then.
 */

import { failingMember, failingStandalone } from './disk_failing.mjs'
import { fullEnsemble, fullSnapshot, fullStandalone } from './disk_full.mjs'
import { killsAtEvents, killsInTruncation } from './disk_kills.mjs'
import { enterOwnMounts } from './disk_mounts.mjs'
import { keepDirectory, readArguments, seededRandom, serverOfThisRepository, temporaryDirectory } from './process.mjs'

const USAGE = "usage: disk.mjs [--only TEXT] [--rounds N] [--seed N] [--disk ext4|tmpfs] [--server 'CMD'] [--keep]"

const args = readArguments(USAGE, {
  only: '',
  rounds: 2,
  seed: Math.floor(Math.random() * 1e9),
  disk: '',
  server: serverOfThisRepository,
  keep: false,
})

/** Each: what it shows, what it needs, how it runs. */
const PARTS = [
  { name: 'D1: a full disk, standalone', needs: 'mounts', run: fullStandalone },
  { name: 'D1: no room for a snapshot', needs: 'mounts', run: fullSnapshot },
  { name: 'D1: a full disk at a follower', needs: 'mounts', run: (test) => fullEnsemble(test, 'follower') },
  { name: 'D1: a full disk at the leader', needs: 'mounts', run: (test) => fullEnsemble(test, 'leader') },
  { name: 'D2: a failing disk, standalone', needs: 'devices', run: failingStandalone },
  { name: 'D2: a failing disk at a member', needs: 'devices', run: failingMember },
  { name: 'C1, C3, C5, C16: kills at events in the folder', needs: '', run: killsAtEvents },
  { name: 'C14: kills in a truncation', needs: '', run: killsInTruncation },
]

function print(line) {
  process.stdout.write(`${line}\n`)
}

async function main() {
  const mounts = enterOwnMounts()
  const has = { '': true, mounts: mounts !== 'nothing', devices: mounts === 'devices' }
  const disk = args.disk || (has.devices ? 'ext4' : 'tmpfs')
  print(`disk: seed ${args.seed}, ${args.rounds} rounds of each kill, small file systems of ${disk}`)
  let passed = 0
  let failed = 0
  const missed = []
  for (const { name, needs, run } of PARTS.filter((part) => part.name.includes(args.only))) {
    if (!has[needs]) {
      missed.push(`${name} (${needs === 'devices' ? 'no loop devices' : 'no mounts'} here)`)
      continue
    }
    const directory = temporaryDirectory('zoowarden-disk', args.keep)
    const startedAt = Date.now()
    try {
      const test = { directory, disk, server: args.server, rounds: args.rounds, random: seededRandom(args.seed) }
      const what = await run(test)
      passed++
      print(`${name}: ${what}; ${Math.round((Date.now() - startedAt) / 1000)} s: ok`)
    } catch (error) {
      failed++
      keepDirectory(directory)
      print(`${name}: FAILED\n    ${(error.stack ?? String(error)).replace(/\n/g, '\n    ')}`)
      print(`    data and logs are kept in ${directory}`)
    }
  }
  for (const name of missed) print(`not done: ${name}`)
  print(`${passed} passed, ${failed} failed, ${missed.length} not done; seed ${args.seed}`)
  process.exit(failed > 0 ? 1 : 0)
}

await main()
