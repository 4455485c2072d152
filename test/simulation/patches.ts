/**
 * Changes to the compiled copy of the server that a campaign runs: small pages for its many short-lived trees, small
 * slices, short epochs, and the deliberate faults of `--mutant` (mutants.ts). A text that does not occur exactly once is
 * an error: the patch is out of date.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  readonly what: string
  readonly patches: readonly Patch[]
}

/** A tree takes 4 MiB and more from its first znode on; dozens come and go in each run. */
const SMALL_PAGES: readonly Patch[] = [
  { file: 'src/datatree/node.js', find: 'const RECORDS_PER_PAGE = 32_768;', replace: 'const RECORDS_PER_PAGE = 256;' },
  { file: 'src/datatree/node.js', find: 'const PAGE_SHIFT = 15;', replace: 'const PAGE_SHIFT = 8;' },
  { file: 'src/datatree/blobs.js', find: 'const PAGE_BYTES = 1 << 20;', replace: 'const PAGE_BYTES = 1 << 16;' },
  { file: 'src/datatree/blobs.js', find: 'const PAGE_SHIFT = 16;', replace: 'const PAGE_SHIFT = 12;' },
  { file: 'src/datatree/blobs.js', find: 'const UNIT_MASK = 0xffff;', replace: 'const UNIT_MASK = 0xfff;' },
]

/** Trees are small: in slices of the usual size no snapshot would ever be taken in the middle of anything. */
const SMALL_SLICES: readonly Patch[] = [
  { file: 'src/txnlog/filestore.js', find: 'const STEP_BYTES = 32 * 1024;', replace: 'const STEP_BYTES = 300;' },
  {
    file: 'src/txnlog/filestore.js',
    find: 'const SLICE_BYTES_MAX = 1024 * 1024;',
    replace: 'const SLICE_BYTES_MAX = 300;',
  },
  // Nothing in a simulated world waits for the loop: each slice goes to the disk, and takes its time there.
  { file: 'src/txnlog/filestore.js', find: 'setImmediate(resolve);', replace: 'resolve();' },
  {
    file: 'src/server/member/snapshotlinks.js',
    find: 'const SLICE_BYTES = 128 * 1024;',
    replace: 'const SLICE_BYTES = 300;',
  },
]

/** Nobody writes four billion transactions: the counter of an epoch ends early (E10). */
const SMALL_EPOCHS: readonly Patch[] = [
  {
    file: 'src/server/requests/proposer.js',
    find: 'const COUNTER_LAST = 0xffff_fffe;',
    replace: 'const COUNTER_LAST = 250;',
  },
]

/** Applies patches below `root`, the folder of the compiled copy. */
export function apply(root: string, patches: readonly Patch[]): void {
  for (const { file, find, replace } of patches) {
    const path = join(root, file)
    const text = readFileSync(path, 'utf8')
    const count = text.split(find).length - 1
    if (count !== 1) throw new Error(`'${find}' occurs ${count} times in ${file}: bring the patch up to date`)
    writeFileSync(
      path,
      text.replace(find, () => replace),
    )
  }
}

/** Once per compilation; a copy that has them already stays as it is. */
export function shrinkPages(root: string): void {
  once(root, SMALL_PAGES)
}

/** For seeded runs: scenarios are what `npm test` plays. */
export function shrinkSlices(root: string): void {
  once(root, SMALL_SLICES)
  once(root, SMALL_EPOCHS)
}

function once(root: string, patches: readonly Patch[]): void {
  const { file, replace } = patches[0]!
  if (!readFileSync(join(root, file), 'utf8').includes(replace)) apply(root, patches)
}
