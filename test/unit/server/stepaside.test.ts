/** Full disks: what is one, when a server comes back, and what it does in between. */

import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import { Lives } from '../../../src/server/life/lives.ts'
import { fullReason, isFull, StepAside } from '../../../src/server/life/stepaside.ts'
import type { Room } from '../../../src/txnlog/disk.ts'

const MIB = 1024 * 1024

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: something, write`), { code })
}

function failedLog(code: string): StorageError {
  return new StorageError('cannot write the log', '/data/version-2/log.1', 16, systemError(code))
}

function room(freeMib: number, totalMib = 100_000): Room {
  return { freeBytes: freeMib * MIB, totalBytes: totalMib * MIB }
}

describe('what is done about a failing disk', () => {
  it('D1: no room, and no more of a quota, is a reason to step aside, however deep it lies', () => {
    expect(isFull(systemError('ENOSPC'))).toBe(true)
    expect(isFull(failedLog('EDQUOT'))).toBe(true)
    expect(isFull(new Error('cannot start', { cause: failedLog('ENOSPC') }))).toBe(true)
  })

  it('D2: any other failure is not', () => {
    for (const err of [failedLog('EIO'), failedLog('EROFS'), new StorageError('damaged'), new Error('ENOSPC'), null]) {
      expect(isFull(err)).toBe(false)
    }
  })

  it('D1: the reason names the file', () => {
    expect(fullReason(failedLog('ENOSPC'))).toBe('no room on the disk of /data/version-2/log.1')
    expect(fullReason(systemError('ENOSPC'))).toBe('no room on the disk')
  })
})

describe('when to come back', () => {
  it('D1: with 64 MiB, or a twentieth of a file system that small, or what the operator says', () => {
    expect(new StepAside(null).bytesWanted(room(0))).toBe(64 * MIB)
    expect(new StepAside(null).bytesWanted(room(0, 100))).toBe(5 * MIB)
    expect(new StepAside(1000).bytesWanted(room(0))).toBe(1000)
  })

  it('D1: looks every second while there is too little', () => {
    const aside = new StepAside(null)
    aside.onFull(10_000)
    expect(aside.nextLookMs).toBe(11_000)
    expect(aside.onLook(11_000, room(63))).toBe(false)
    expect(aside.nextLookMs).toBe(12_000)
    expect(aside.onLook(12_000, room(64))).toBe(true)
    expect(aside.nextLookMs).toBe(Number.POSITIVE_INFINITY)
  })

  it('D1: waits twice as long, up to a minute, each time it was in vain; no more once it stayed for a minute', () => {
    const aside = new StepAside(null)
    let nowMs = 0
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) {
      aside.onFull(nowMs)
      pauses.push(aside.nextLookMs - nowMs)
      nowMs = aside.nextLookMs
      expect(aside.onLook(nowMs, null)).toBe(true) // a quota: only trying can tell
      nowMs += 100
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
    aside.onFull(nowMs + 60_000)
    expect(aside.nextLookMs).toBe(nowMs + 61_000)
  })
})

class Stage {
  readonly told: string[] = []
  nowMs = 0
  free: Room | null = room(0)
  /** How the next lives begin. */
  readonly begins: (Error | null)[] = []
  fail: (err: Error) => void = () => {}
  private due: { atMs: number; run: () => void } | null = null
  readonly lives = new Lives(
    {
      nowMs: () => this.nowMs,
      after: (ms, run) => {
        const due = { atMs: this.nowMs + ms, run }
        this.due = due
        return () => {
          if (this.due === due) this.due = null
        }
      },
      begin: async (failed) => {
        this.told.push('begin')
        this.fail = failed
        const err = this.begins.shift() ?? null
        if (err !== null) throw err
      },
      end: async () => {
        this.told.push('end')
      },
      room: async () => this.free,
      aside: () => this.told.push('aside'),
      failed: (err) => this.told.push(`failed: ${err.message}`),
      log: (level, _fields, message) => this.told.push(`${level} ${message}`),
    },
    null,
  )

  /** Time goes on, and all that is due happens. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms
    await settle()
    while (this.due !== null && this.due.atMs <= endMs) {
      this.nowMs = this.due.atMs
      const { run } = this.due
      this.due = null
      run()
      await settle()
    }
    this.nowMs = endMs
  }

  take(): string[] {
    return this.told.splice(0)
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

const ASIDE = 'warn no room on the disk of /data/version-2/log.1: stepped aside until there is'
const BACK = 'info there is room again: back'

describe('lives', () => {
  it('D1: a full disk ends a life, and room begins another', async () => {
    const stage = new Stage()
    await stage.lives.start()
    expect(stage.lives.asideFor).toBe(null)
    stage.fail(failedLog('ENOSPC'))
    expect(stage.lives.asideFor).toBe('no room on the disk of /data/version-2/log.1')
    await stage.pass(5000)
    expect(stage.take()).toEqual(['begin', 'end', ASIDE, 'aside'])
    stage.free = room(1000)
    await stage.pass(1000)
    expect(stage.take()).toEqual(['begin', BACK])
    expect(stage.lives.asideFor).toBe(null)
  })

  it('D1: a start without room is no end of the process', async () => {
    const stage = new Stage()
    stage.begins.push(failedLog('ENOSPC'))
    await stage.lives.start()
    expect(stage.take()).toEqual(['begin', 'end', ASIDE, 'aside'])
    stage.free = room(1000)
    await stage.pass(1000)
    expect(stage.take()).toEqual(['begin', BACK])
  })

  it('D1: a return in vain is followed by another step aside', async () => {
    const stage = new Stage()
    await stage.lives.start()
    stage.free = null
    stage.begins.push(failedLog('EDQUOT'))
    stage.fail(failedLog('EDQUOT'))
    await stage.pass(2999)
    expect(stage.take()).toEqual(['begin', 'end', ASIDE, 'aside', 'begin', 'end', ASIDE, 'aside'])
    expect(stage.lives.asideFor).not.toBe(null)
    await stage.pass(1)
    expect(stage.take()).toEqual(['begin', BACK])
  })

  it('D2: any other failure is told, once at most for each life, and the start that fails so rejects', async () => {
    const stage = new Stage()
    await stage.lives.start()
    stage.fail(failedLog('EIO'))
    await stage.pass(100_000)
    expect(stage.take()).toEqual(['begin', 'failed: cannot write the log (/data/version-2/log.1 at byte 16)'])
    const other = new Stage()
    other.begins.push(failedLog('EIO'))
    await expect(other.lives.start()).rejects.toThrow(/cannot write the log/)
    expect(other.take()).toEqual(['begin', 'end'])
  })

  it('D2: a return that fails otherwise ends the process', async () => {
    const stage = new Stage()
    await stage.lives.start()
    stage.free = null
    stage.begins.push(failedLog('EIO'))
    stage.fail(failedLog('ENOSPC'))
    await stage.pass(100_000)
    expect(stage.take().at(-1)).toMatch(/^failed: cannot write the log/)
  })

  it('what is heard of a life that is over does not count', async () => {
    const stage = new Stage()
    await stage.lives.start()
    const { fail } = stage
    stage.free = room(1000)
    fail(failedLog('ENOSPC'))
    fail(failedLog('ENOSPC'))
    await stage.pass(1000)
    fail(failedLog('EIO'))
    await stage.pass(1000)
    expect(stage.take()).toEqual(['begin', 'end', ASIDE, 'aside', 'begin', BACK])
  })

  it('closed while aside it never comes back', async () => {
    const stage = new Stage()
    await stage.lives.start()
    stage.fail(failedLog('ENOSPC'))
    await stage.pass(0)
    stage.take()
    await stage.lives.close()
    stage.free = room(1000)
    await stage.pass(100_000)
    expect(stage.take()).toEqual(['end'])
  })
})
