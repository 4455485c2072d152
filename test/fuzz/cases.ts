/** What is tried: one file of one folder, damaged; drawn from a seed, or kept from an earlier find. */

import { Random } from '../simulation/random.ts'
import type { Base } from './bases.ts'
import { type Checkpoint, checkpointCase } from './checkpoint.ts'
import { damage } from './damage.ts'
import { gunzip, gzip, recordsOf, resealLog, resealSnapshot, snappyOf } from './formats.ts'
import type { Sample } from './samples.ts'

/** `epoch`: these and the other small files. `tools`: the programs for files, on damaged logs
 * and snapshots. */
export const KINDS = [
  'log',
  'snapshot',
  'epoch',
  'config',
  'tools',
  'archive',
  'checkpoint',
  'keystore',
  'login',
  'quorum',
  'http',
] as const
export type Kind = (typeof KINDS)[number]

export interface Case {
  kind: Kind
  /** The folder's name. */
  base: string
  /** The file's name in version-2. */
  file: string
  bytes: Uint8Array
  /** Checksums were made to fit: what the file says now cannot be told from the truth. */
  sealed: boolean
  /** What was done, in a few words. */
  what: string
}

const EPOCH_FILES = ['acceptedEpoch', 'currentEpoch']
/** The other small files of a folder, by name. */
const MARKS: Readonly<Record<string, string>> = {
  identity: 'myid=2\nserver.1=zk1:2888 zk1:3888\nserver.2=zk2:2888 zk2:3888\n',
  resync: 'aside=damaged.20261125T140000Z\nkeep=snapshot.2a\n',
}
/** What the epoch files hold, in folders of ours. */
export const EPOCH_TEXT = '2'

/** What cases are drawn from, and compared with. */
export interface Material {
  bases: readonly Base[]
  /** The bytes of a good backup, for its kind of case. */
  archive: Uint8Array | null
  /** For its kind of case. */
  checkpoint: Checkpoint | null
  /** For the kinds without a folder. */
  samples: readonly Sample[]
}

export function caseOf(kind: Kind, seed: number, { bases, archive, checkpoint, samples }: Material): Case {
  const random = new Random(seed).fork(kind)
  switch (kind) {
    case 'log':
      return logCase(random, random.pick(bases))
    case 'snapshot':
      return snapshotCase(random, random.pick(bases), random.pick(bases))
    case 'epoch':
      return epochCase(random, random.pick(bases))
    case 'tools': {
      const base = random.pick(bases)
      return { ...(random.chance(0.5) ? logCase(random, base) : snapshotCase(random, base, random.pick(bases))), kind }
    }
    case 'archive':
      return archiveCase(archive!, random)
    case 'checkpoint':
      return checkpointCase(seed, checkpoint!)
    default:
      return sampleCase(kind, random.pick(samples), random.pick(samples), random)
  }
}

function logCase(random: Random, base: Base): Case {
  // The last file is where a crash is allowed to leave traces: half of all cases.
  const file = random.chance(0.5) ? base.logs.at(-1)! : random.pick(base.logs)
  const donor = base.files.get(random.pick(base.logs))!
  const original = base.files.get(file)!
  const marks = recordsOf(original).map(({ off }) => off)
  const { bytes, kinds } = damage(original, marks, donor, random)
  const sealed = random.chance(0.35)
  if (sealed) resealLog(bytes)
  return { kind: 'log', base: base.name, file, bytes, sealed, what: kinds.join(' ') }
}

function snapshotCase(random: Random, base: Base, other: Base): Case {
  const file = random.chance(0.6) ? base.snapshots[0]! : random.pick(base.snapshots)
  const donorName = random.pick(other.snapshots)
  const stored = base.files.get(file)!
  const compression = file.split('.')[2] ?? ''
  // The compressed bytes themselves, or what is in them.
  const inside = compression !== '' && random.chance(0.6)
  const original = inside ? base.plain.get(file)! : stored
  const donor = (inside ? other.plain : other.files).get(donorName)!
  const { bytes, kinds } = damage(original, marksOf(original), donor, random)
  const sealed = (inside || compression === '') && random.chance(0.5)
  if (sealed) resealSnapshot(bytes, base.trailers)
  const packed = !inside ? bytes : compression === 'gz' ? gzip(bytes) : snappyOf(bytes)
  const what = `${kinds.join(' ')}${inside ? ' inside' : ''}`
  return { kind: 'snapshot', base: base.name, file, bytes: packed, sealed, what }
}

/** Both ends, where counts and seals are, and wherever a small number stands in four bytes: a length or a count. */
function marksOf(bytes: Uint8Array): number[] {
  const marks = [0, 4, 8, 16, bytes.length - 13, bytes.length - 34, bytes.length - 67]
  for (let at = 16; at + 4 < bytes.length && marks.length < 200; at++) {
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3]! > 0) marks.push(at)
  }
  return marks.filter((mark) => mark >= 0)
}

function epochCase(random: Random, base: Base): Case {
  const file = random.pick([...EPOCH_FILES, ...EPOCH_FILES, ...Object.keys(MARKS)])
  const mark = MARKS[file]
  if (mark !== undefined) {
    return { ...bytesCase('epoch', file, new TextEncoder().encode(mark), random), base: base.name }
  }
  const text = random.chance(0.5)
    ? EPOCH_TEXT
    : random.pick([
        '0',
        '1',
        '9',
        '1000',
        '2097151',
        '2097152',
        '4294967296',
        '+2',
        '-1',
        '2\n',
        '2\r\n',
        ' 2',
        '0x2',
        '2 ',
        '٢',
        '1e1',
        '',
      ])
  const original = new TextEncoder().encode(text)
  const donor = base.files.get(random.pick(base.logs))!.subarray(0, 40)
  const { bytes, kinds } = random.chance(0.1) ? { bytes: original, kinds: [] } : damage(original, [], donor, random)
  return { kind: 'epoch', base: base.name, file, bytes, sealed: false, what: kinds.join(' ') }
}

function archiveCase(archive: Uint8Array, random: Random): Case {
  if (random.chance(0.3)) return bytesCase('archive', 'backup', archive, random)
  const { bytes, ...rest } = bytesCase('archive', 'backup', gunzip(archive), random)
  return { ...rest, bytes: random.chance(0.5) ? bytes : gzip(bytes), what: `${rest.what} inside` }
}

function bytesCase(kind: Kind, file: string, original: Uint8Array, random: Random): Case {
  const { bytes, kinds } = damage(original, [], original, random)
  return { kind, base: '', file, bytes, sealed: false, what: kinds.join(' ') }
}

function sampleCase(kind: Kind, { name, bytes: original, marks }: Sample, donor: Sample, random: Random): Case {
  const { bytes, kinds } = damage(original, marks, donor.bytes, random)
  return { kind, base: '', file: name, bytes, sealed: false, what: kinds.join(' ') }
}

/** A case as it is kept in a file. */
export function caseText(each: Case): string {
  const { bytes, ...rest } = each
  return `${JSON.stringify({ ...rest, bytes: Buffer.from(bytes).toString('base64') }, null, 2)}\n`
}

export function parseCase(text: string): Case {
  const { bytes, ...rest } = JSON.parse(text) as Omit<Case, 'bytes'> & { bytes: string }
  return { ...rest, bytes: Uint8Array.from(Buffer.from(bytes, 'base64')) }
}
