/**
 * Headers of a tar archive in the ustar format (POSIX 1003.1), as much of it as plain files need. Pure.
 *
 *   name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type 1 | link 100 | "ustar" 0 "00" | ... 512
 *
 * Numbers are octal text; a size of 8 GiB or more is binary, with the top bit of its field set (GNU, and bsdtar reads
 * it). A file's bytes follow, filled up with zeros to 512; two blocks of zeros end the archive.
 */

import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'

export const BLOCK_BYTES = 512
export const END_BLOCKS = 2

const NAME_BYTES_MAX = 100
const SIZE_OFF = 124
const SIZE_BYTES = 12
const CHECKSUM_OFF = 148
const CHECKSUM_BYTES = 8
const OCTAL_SIZE_LIMIT = 8 ** 11
const TYPE_FILE = 0x30

export interface TarEntry {
  readonly name: string
  readonly bytes: number
}

/** `name` is ASCII, of 100 characters at most. */
export function tarHeader({ name, bytes }: TarEntry, mtimeMs: number): Uint8Array {
  assert(name.length <= NAME_BYTES_MAX && /^[ -~]+$/.test(name), 'a name that needs no extension')
  const block = new Uint8Array(BLOCK_BYTES)
  putText(block, 0, name)
  putText(block, 100, '0000600\0')
  putText(block, 108, '0000000\0')
  putText(block, 116, '0000000\0')
  putSize(block, bytes)
  putText(
    block,
    136,
    `${Math.floor(mtimeMs / 1000)
      .toString(8)
      .padStart(11, '0')}\0`,
  )
  block[156] = TYPE_FILE
  putText(block, 257, 'ustar\x0000')
  putText(block, CHECKSUM_OFF, `${checksum(block).toString(8).padStart(6, '0')}\0 `)
  return block
}

/** The entry that a block announces; null for a block of zeros. Throws StorageError for anything else. */
export function readTarHeader(block: Uint8Array): TarEntry | null {
  if (block.every((byte) => byte === 0)) return null
  if (octal(block, CHECKSUM_OFF, CHECKSUM_BYTES) !== checksum(block)) throw new StorageError('not a tar header')
  if (block[156] !== TYPE_FILE && block[156] !== 0) throw new StorageError('an entry that is no plain file')
  return { name: textAt(block, 0, NAME_BYTES_MAX), bytes: sizeOf(block) }
}

/** Zeros that follow that many bytes. */
export function paddingBytes(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES
}

function putText(block: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) block[at + i] = text.charCodeAt(i)
}

function putSize(block: Uint8Array, bytes: number): void {
  if (bytes < OCTAL_SIZE_LIMIT) {
    putText(block, SIZE_OFF, `${bytes.toString(8).padStart(11, '0')}\0`)
    return
  }
  let left = bytes
  for (let i = SIZE_BYTES - 1; i > 0; i--) {
    block[SIZE_OFF + i] = left % 256
    left = Math.floor(left / 256)
  }
  block[SIZE_OFF] = 0x80
}

function sizeOf(block: Uint8Array): number {
  if ((block[SIZE_OFF]! & 0x80) === 0) return octal(block, SIZE_OFF, SIZE_BYTES)
  let bytes = 0
  for (let i = 1; i < SIZE_BYTES; i++) bytes = bytes * 256 + block[SIZE_OFF + i]!
  return bytes
}

/** The sum of all bytes, those of the checksum taken as blanks. */
function checksum(block: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const inChecksum = i >= CHECKSUM_OFF && i < CHECKSUM_OFF + CHECKSUM_BYTES
    sum += inChecksum ? 0x20 : block[i]!
  }
  return sum
}

function octal(block: Uint8Array, at: number, bytes: number): number {
  const text = textAt(block, at, bytes).trim()
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : -1
}

function textAt(block: Uint8Array, at: number, bytes: number): string {
  let text = ''
  for (let i = at; i < at + bytes && block[i] !== 0; i++) text += String.fromCharCode(block[i]!)
  return text
}
