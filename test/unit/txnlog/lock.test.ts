import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockFolders } from '../../../src/txnlog/lock.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'))
})

afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true })
})

const never = (message: string): void => {
  throw new Error(message)
}

describe('lock of a data folder', () => {
  it('D9, C12: two never share a folder, and the error names the holder', async () => {
    const lock = await lockFolders([folder, folder], never)
    await expect(lockFolders([folder], never)).rejects.toThrow(`in use by process ${process.pid}`)
    expect(readdirSync(folder)).toHaveLength(1)
    lock.release()
    expect(readdirSync(folder)).toEqual([])
    const next = await lockFolders([folder], never)
    next.release()
  })

  it('D9: of many that come at once at most one stays', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolders([folder], never)))
    const locks = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(locks.length).toBeLessThanOrEqual(1)
    for (const lock of locks) lock.release()
    const lock = await lockFolders([folder], never)
    lock.release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('D9: kill -9 leaves nothing stuck, and a stopped process still holds', async () => {
    // The holder as any process would be: a listening socket under the name.
    const name = join(folder, 'zoowarden.lock.1234.abcdef')
    const script = `require('net').createServer().listen(${JSON.stringify(name)}, () => console.log('ready'))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await expect(lockFolders([folder], never)).rejects.toThrow('in use by process 1234')
    child.kill('SIGSTOP')
    await expect(lockFolders([folder], never)).rejects.toThrow('in use by process 1234')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(readdirSync(folder)).toEqual(['zoowarden.lock.1234.abcdef'])
    const lock = await lockFolders([folder], never)
    expect(readdirSync(folder)).toHaveLength(1)
    lock.release()
  })

  it('works in a folder whose path is longer than a socket’s address may be', async () => {
    const deep = join(folder, 'a'.repeat(100), 'b'.repeat(100))
    mkdirSync(deep, { recursive: true })
    const lock = await lockFolders([deep], never)
    await expect(lockFolders([deep], never)).rejects.toThrow(/in use/)
    lock.release()
    expect(readdirSync(deep)).toEqual([])
  })

  it('D9: a missing folder is a clear error', async () => {
    await expect(lockFolders([join(folder, 'none')], never)).rejects.toThrow(/cannot lock the data folder/)
  })
})
