import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import { chopLog, dumpLog, parseZxid, recoverLog } from '../../../src/tools/logtool.ts'
import { UsageError } from '../../../src/tools/terminal.ts'
import { logFileOf } from '../txnlog/entries.ts'
import { createTxn } from '../txnlog/states.ts'
import { disk, failureOf, LENGTH_MAX, RecordingTerminal, tempDir } from './helpers.ts'

const ENTRIES = [1, 2, 3, 4].map((zxid) => createTxn(zxid, `/n${zxid}`))
/** Where each record begins. */
const OFFSETS = ENTRIES.map((_, i) => 16 + ENTRIES.slice(0, i).reduce((sum, entry) => sum + entry.length + 13, 0))

/** A log of four creates, after `change`. */
function logFile(change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): string {
  const path = join(tempDir(), 'log.1')
  writeFileSync(path, change(logFileOf(ENTRIES, 64)))
  return path
}

/** One bit of the checksum of these records is wrong. */
function wrongSums(...which: number[]): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    for (const i of which) bytes[OFFSETS[i]! + 7]! ^= 1
    return bytes
  }
}

function namesBeside(path: string): string[] {
  return readdirSync(join(path, '..')).sort()
}

describe('log dump', () => {
  it('marks a record with a wrong checksum, and goes on', async () => {
    const terminal = new RecordingTerminal()
    expect(await dumpLog(disk, logFile(wrongSums(1)), LENGTH_MAX, terminal)).toBe(0)
    expect(terminal.output.match(/CRC ERROR/g)).toHaveLength(1)
    expect(terminal.output).toMatch(/CRC ERROR - .* zxid 0x2 create \/n2,at 2,/)
    expect(terminal.output).toMatch(/zxid 0x4 create .*\n.*\nEOF reached after 4 txns\.\n$/)
  })

  it('ends where the file stops, wherever that is in a record', async () => {
    const end = OFFSETS[3]!
    for (const bytes of [end, end + 1, end + 11, end + 12, end + 40]) {
      const terminal = new RecordingTerminal()
      await dumpLog(
        disk,
        logFile((log) => log.subarray(0, bytes)),
        LENGTH_MAX,
        terminal,
      )
      expect(terminal.output, `${bytes}`).toContain('EOF reached after 3 txns.')
    }
  })

  it('names file and offset of a missing end mark, of an impossible length, and of what is no transaction', async () => {
    const path = logFile((log) => {
      log[OFFSETS[2]! - 1] = 0x43
      return log
    })
    const partial = await failureOf(dumpLog(disk, path, LENGTH_MAX, new RecordingTerminal()))
    expect(partial).toBeInstanceOf(StorageError)
    expect(partial.message).toBe(`Last transaction was partial. (${path} at byte ${OFFSETS[1]})`)
    const long = logFile((log) => {
      log[OFFSETS[2]! + 8] = 0x7f
      return log
    })
    const length = await failureOf(dumpLog(disk, long, LENGTH_MAX, new RecordingTerminal()))
    expect(length.message).toMatch(/a record claims 2130706\d+ bytes/)
    expect(length).toMatchObject({ offset: OFFSETS[2] })
    const strange = logFile((log) => {
      log[OFFSETS[0]! + 12 + 31] = 99
      return log
    })
    expect(await failureOf(dumpLog(disk, strange, LENGTH_MAX, new RecordingTerminal()))).toMatchObject({ offset: 16 })
    const missing = await failureOf(dumpLog(disk, '/nowhere/log.1', LENGTH_MAX, new RecordingTerminal()))
    expect(missing.message).toContain("File doesn't exist or not readable: /nowhere/log.1")
  })
})

describe('log recover', () => {
  it('writes a log with every checksum mended, and leaves the old one', async () => {
    const path = logFile(wrongSums(0, 2))
    const before = readFileSync(path)
    const terminal = new RecordingTerminal()
    expect(await recoverLog(disk, path, LENGTH_MAX, { yes: true, verbose: false }, terminal)).toBe(0)
    expect(terminal.output.match(/^CRC FIXED - /gm)).toHaveLength(2)
    expect(terminal.output).toContain(`Recovery file ${path}.fixed has been written with 2 fixed CRC error(s)\n`)
    const fixed = readFileSync(`${path}.fixed`)
    expect(fixed.length).toBe(16 + 64 * 1024 * 1024)
    const whole = Buffer.from(logFileOf(ENTRIES))
    expect(fixed.subarray(0, whole.length).equals(whole)).toBe(true)
    expect(readFileSync(path).equals(before)).toBe(true)
    const again = await failureOf(recoverLog(disk, path, LENGTH_MAX, { yes: true, verbose: false }, terminal))
    expect(again.message).toBe(`Recovery file ${path}.fixed already exists or not writable`)
  })

  it('asks for each until the answer is yes, no or abort; an abort leaves no file', async () => {
    const path = logFile(wrongSums(0, 2))
    const terminal = new RecordingTerminal('perhaps', 'yes', 'Abort')
    expect(await recoverLog(disk, path, LENGTH_MAX, { yes: false, verbose: false }, terminal)).toBe(0)
    expect(terminal.output.match(/Would you like to fix it \(Yes\/No\/Abort\) \? /g)).toHaveLength(3)
    expect(terminal.errors).toEqual(['Recovery aborted.'])
    expect(namesBeside(path)).toEqual(['log.1'])
    const silent = new RecordingTerminal()
    await recoverLog(disk, path, LENGTH_MAX, { yes: false, verbose: false }, silent)
    expect(silent.errors).toEqual(['Recovery aborted.'])
  })
})

describe('log chop', () => {
  it('writes the log up to a zxid that is in it', async () => {
    const path = logFile()
    const terminal = new RecordingTerminal()
    expect(await chopLog(disk, path, 2, LENGTH_MAX, terminal)).toBe(0)
    expect(terminal.output).toContain('Chopping at 2 new log has 2 records\n')
    expect(readFileSync(`${path}.chopped2`).equals(Buffer.from(logFileOf(ENTRIES.slice(0, 2))))).toBe(true)
  })

  it('also where what stands behind it is damaged', async () => {
    const path = logFile(wrongSums(2))
    const terminal = new RecordingTerminal()
    expect(await chopLog(disk, path, 2, LENGTH_MAX, terminal)).toBe(0)
    expect(readFileSync(`${path}.chopped2`).equals(Buffer.from(logFileOf(ENTRIES.slice(0, 2))))).toBe(true)
    expect(terminal.errors[0]).toContain(`checksum mismatch (${path} at byte ${OFFSETS[2]})`)
  })

  it('fails, and leaves no file, where the zxid is not in the log, is its last, or stands behind damage', async () => {
    for (const zxid of [0, 4, 9]) {
      const path = logFile()
      const terminal = new RecordingTerminal()
      expect(await chopLog(disk, path, zxid, LENGTH_MAX, terminal)).toBe(1)
      expect(terminal.output).toMatch(/Got exception: Failed to chop log\.1\n$/)
      expect(namesBeside(path)).toEqual(['log.1'])
    }
    const path = logFile(wrongSums(1))
    expect(await failureOf(chopLog(disk, path, 3, LENGTH_MAX, new RecordingTerminal()))).toMatchObject({
      file: path,
      offset: OFFSETS[1],
    })
    expect(existsSync(`${path}.chopped3`)).toBe(false)
  })

  it('takes a zxid as Java does', () => {
    expect(['0x1f', '0X1F', '#1f', '31', '037'].map(parseZxid)).toEqual([31, 31, 31, 31, 31])
    for (const text of ['', 'x', '-1', '0xg', '0xffffffffffffffff']) {
      expect(() => parseZxid(text), text).toThrow(UsageError)
    }
  })
})
