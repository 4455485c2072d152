/**
 * Whose data a folder holds: `version-2/identity`, which a member of an ensemble writes at its first start and whenever
 * the ensemble's membership has changed. Apache's servers look at names that begin with `log` or `snapshot` only.
 *
 *   myid=2
 *   server.1=zk1:2888 zk1:3888
 *   server.2=zk2:2888 zk2:3888
 *   refused=...        only where the data turned out to be another ensemble's, see `refuse`
 *
 * A copied folder, a mixed-up myid or a disk of another ensemble would otherwise vote with a history that this server
 * never acknowledged (E12). The rules are such that nothing right is refused: a server's id never changes, and of an
 * ensemble that moves one server at a time some address is always known from before, also where another program has
 * run on the folder meanwhile. A folder without the file is taken as it is. Servers that run alone neither write nor
 * read it, so a folder may go from one into an ensemble and back.
 */

import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { type Disk, laterDone, readSmallFile, removeIfThere, writeSmallFile } from './disk.ts'

export interface Identity {
  readonly serverId: number
  /** The addresses of every server as `host:port`, those for the quorum and those for elections, by its id. */
  readonly servers: ReadonlyMap<number, readonly string[]>
  /** Why nobody may start from this folder any more; null: nothing of that kind. */
  readonly refused: string | null
}

export const IDENTITY_NAME = 'identity'

/** Null where there is none. Rejects with StorageError for a file that is not one. */
export async function readIdentity(disk: Disk, snapDir: string): Promise<Identity | null> {
  const path = join(snapDir, IDENTITY_NAME)
  const bytes = await readSmallFile(disk, path)
  return bytes === null ? null : parseIdentity(new TextDecoder().decode(bytes), path)
}

/** Durable when it resolves. */
export async function writeIdentity(disk: Disk, snapDir: string, identity: Identity): Promise<void> {
  const path = join(snapDir, IDENTITY_NAME)
  try {
    await writeSmallFile(disk, path, `${path}.tmp`, new TextEncoder().encode(formatIdentity(identity)))
  } catch (err) {
    if (!(err instanceof Error)) throw err
    throw new StorageError(`cannot write whose data this is: ${err.message}`, path, null, err)
  }
}

/** Nobody's any more: the next member that starts takes the folder for its own. False where it was nobody's. */
export async function removeIdentity(disk: Disk, snapDir: string): Promise<boolean> {
  const there = await removeIfThere(disk, join(snapDir, IDENTITY_NAME))
  if (there) await laterDone((done) => disk.syncDir(snapDir, done))
  return there
}

/**
 * Why a server may not start from what `recorded` says of its folder; null: it may. A tool that knows no servers passes
 * none, and one that knows no id null.
 */
export function identityConflict(
  recorded: Identity,
  serverId: number | null,
  servers: ReadonlyMap<number, readonly string[]>,
): string | null {
  if (recorded.refused !== null) return recorded.refused
  if (serverId !== null && serverId !== recorded.serverId) {
    return `this is the data of server ${recorded.serverId}, but myid says ${serverId}: myid is wrong, or the folder is a copy`
  }
  const known = addressesOf(recorded.servers)
  const configured = addressesOf(servers)
  if (known.size === 0 || configured.size === 0 || [...configured].some((address) => known.has(address))) return null
  return `this is the data of another ensemble: it was written among ${[...known].join(' ')}, none of which is configured now`
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return formatIdentity(a) === formatIdentity(b)
}

function addressesOf(servers: ReadonlyMap<number, readonly string[]>): Set<string> {
  return new Set([...servers.values()].flat().map((address) => address.toLowerCase()))
}

function formatIdentity({ serverId, servers, refused }: Identity): string {
  const lines = [`myid=${serverId}`]
  for (const [sid, addresses] of servers) lines.push(`server.${sid}=${addresses.join(' ')}`)
  if (refused !== null) lines.push(`refused=${refused.replaceAll('\n', ' ')}`)
  return `${lines.join('\n')}\n`
}

function parseIdentity(text: string, path: string): Identity {
  let serverId: number | null = null
  let refused: string | null = null
  const servers = new Map<number, readonly string[]>()
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=')
    const key = line.slice(0, Math.max(0, equals))
    const value = line.slice(equals + 1)
    if (key === 'myid' && /^-?\d{1,16}$/.test(value)) serverId = Number(value)
    else if (key === 'refused') refused = value
    else if (/^server\.-?\d{1,16}$/.test(key)) {
      const words = value.split(' ').filter((word) => word !== '')
      servers.set(Number(key.slice('server.'.length)), words)
    } else if (line !== '') throw new StorageError(`not an identity: ${JSON.stringify(line.slice(0, 40))}`, path, 0)
  }
  if (serverId === null) throw new StorageError('not an identity: it names no server', path, 0)
  return { serverId, servers, refused }
}
