/**
 * Keeps two processes out of one data folder.
 *
 * The holder listens on a Unix socket inside the folder, `zoowarden.lock.<pid>.<random>`. Who wants in makes its own
 * first, and then asks every other one it finds: one that accepts a connection has a living owner, and the newcomer
 * withdraws; one that refuses is the remains of a killed process and is removed. The kernel answers for the owner, so
 * nothing is ever stuck after kill -9, also across containers and reused pids, and a stopped process still holds.
 *
 * Two that come at the same moment see each other, since each listens before it looks (the socket gets its name only
 * when it listens): both may withdraw, never both stay. Names are never used again, so removing a dead one cannot hit
 * a living one. The Java server ignores such files, and nothing keeps it out.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { errorCode } from './disk.ts'

const PREFIX = 'zoowarden.lock.'
/** Of a socket's address, in bytes, with some to spare. */
const ADDRESS_BYTES_MAX = 100
/** What bind says on file systems that have no sockets. */
const UNSUPPORTED = ['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'ENOPROTOOPT']

export interface FolderLock {
  release(): void
}

/**
 * Takes the folders (each once, although named twice). Rejects with StorageError where another living process has one
 * of them. `report` is told where a file system has no sockets and the folder goes unguarded.
 */
export async function lockFolders(folders: readonly string[], report: (message: string) => void): Promise<FolderLock> {
  const held: FolderLock[] = []
  const release = (): void => {
    for (const lock of held) lock.release()
  }
  try {
    for (const folder of new Set(folders)) held.push(await lockFolder(folder, report))
  } catch (err) {
    release()
    throw err
  }
  return { release }
}

async function lockFolder(folder: string, report: (message: string) => void): Promise<FolderLock> {
  const name = `${PREFIX}${process.pid}.${randomBytes(6).toString('hex')}`
  const base = shortFolder(folder)
  let server: Server
  try {
    server = await listen(join(base.path, `new.${name}`))
    renameSync(join(folder, `new.${name}`), join(folder, name))
  } catch (err) {
    base.close()
    if (UNSUPPORTED.includes(errorCode(err))) {
      report(`${folder} cannot be locked against other processes: ${errorCode(err)}`)
      return { release() {} }
    }
    throw new StorageError(
      `cannot lock the data folder: ${err instanceof Error ? err.message : err}`,
      folder,
      null,
      err,
    )
  }
  const release = (): void => {
    server.close()
    rmSync(join(folder, name), { force: true })
    base.close()
  }
  try {
    for (const other of readdirSync(folder)) {
      if (!other.startsWith(PREFIX) || other === name) continue
      const answer = await ask(join(base.path, other))
      if (answer === 'dead') rmSync(join(folder, other), { force: true })
      else if (answer !== 'gone') throw new StorageError(`the data folder is in use by process ${pidOf(other)}`, folder)
    }
  } catch (err) {
    release()
    throw err
  }
  return { release }
}

/** The processes that hold a folder at this moment, by their ids; changes nothing. */
export async function folderHolders(folder: string): Promise<string[]> {
  const base = shortFolder(folder)
  const held: string[] = []
  try {
    for (const name of readdirSync(folder)) {
      if (name.startsWith(PREFIX) && (await ask(join(base.path, name))) === 'alive') held.push(pidOf(name))
    }
  } finally {
    base.close()
  }
  return held
}

/** The folder under a name short enough for a socket's address. */
function shortFolder(folder: string): { path: string; close(): void } {
  const longest = Buffer.byteLength(join(folder, `new.${PREFIX}${process.pid}.123456789012`))
  if (longest <= ADDRESS_BYTES_MAX || !existsSync('/proc/self/fd')) return { path: folder, close() {} }
  const handle = openSync(folder, 'r')
  let open = true
  return {
    path: `/proc/self/fd/${handle}`,
    close() {
      if (open) closeSync(handle)
      open = false
    },
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      server.on('error', () => {})
      resolve(server)
    })
  })
}

/** 'gone': the name is not there any more. Whatever cannot be asked counts as alive. */
function ask(path: string): Promise<'alive' | 'dead' | 'gone'> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve('alive')
    })
    socket.once('error', (err) => {
      const code = errorCode(err)
      resolve(code === 'ECONNREFUSED' ? 'dead' : code === 'ENOENT' ? 'gone' : 'alive')
    })
  })
}

function pidOf(name: string): string {
  return name.slice(PREFIX.length).split('.')[0]!
}
