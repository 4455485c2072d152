/**
 * The files of a configuration that changes while the ensemble runs, beside `zoo.cfg` and in Java's formats:
 *
 *   zoo.cfg.dynamic.next       a configuration that was proposed and is not known to be committed, version line included
 *   zoo.cfg.dynamic.<hex>      the committed one; the version is in the name only
 *   zoo.cfg                    names the committed one as dynamicConfigFile, and has no membership of its own any more
 *   zoo.cfg.bak                zoo.cfg as it was when the membership moved out of it
 *
 * Order: the new dynamic file is durable before zoo.cfg names it, and `.next` goes last. A crash in between leaves a
 * server that starts with the configuration before and offers the newer one to its next leader, which finishes it.
 *
 * Java writes zoo.cfg anew from its properties; here the lines that stay, comments among them, stay as they are.
 * With `reconfigEnabled` off, nothing is written and nothing read.
 * Java: QuorumPeer.setQuorumVerifier and setLastSeenQuorumVerifier, QuorumPeerConfig.writeDynamicConfig and
 * editStaticConfig.
 */

import { dirname, resolve } from 'node:path'
import { StorageError } from '../../jute/errors.ts'
import { type Disk, laterDone, readSmallFile, removeIfThere, writeSmallFile } from '../../txnlog/disk.ts'
import { ConfigError, readEntries } from '../config/settings.ts'

export interface ConfigFilesOptions {
  readonly serverId: number
  readonly reconfigEnabled: boolean
}

export class ConfigFiles {
  private readonly disk: Disk
  /** Null where the server was started without a file: then there is nothing to keep. */
  private readonly path: string | null
  private readonly options: ConfigFilesOptions
  /** One change at a time, in the order they were asked for. */
  private last: Promise<void>

  constructor(disk: Disk, zooCfgPath: string | null, options: ConfigFilesOptions) {
    this.disk = disk
    this.path = zooCfgPath === null || !options.reconfigEnabled ? null : resolve(zooCfgPath)
    this.options = options
    this.last = Promise.resolve()
  }

  /** A configuration was proposed. Durable when it resolves; rejects with StorageError. */
  saveLastSeen(text: string): Promise<void> {
    const { path } = this
    if (path === null) return Promise.resolve()
    return this.inOrder(() => this.write(`${path}.dynamic.next`, dynamicFileText(text, 'with version')))
  }

  /** A configuration is in force: the files lead to it when it resolves. Rejects with StorageError. */
  activate(text: string): Promise<void> {
    const { path } = this
    if (path === null) return Promise.resolve()
    return this.inOrder(async () => {
      const version = versionOf(text)
      const dynamicPath = `${path}.dynamic.${version.toString(16)}`
      await this.write(dynamicPath, dynamicFileText(text, 'without version'))
      const before = await this.read(path)
      if (before === null) throw new StorageError('the configuration file is gone', path)
      if (!hasKey(before, 'dynamicConfigFile')) await this.write(`${path}.bak`, before)
      const after = staticFileText(before, dynamicPath, statesClientAddress(text, this.options.serverId))
      if (after !== before) await this.write(path, after)
      await this.dropNext(version)
    })
  }

  /** The text of a configuration that was proposed and, for all this server knows, not committed; null: none. */
  async readLastSeen(): Promise<string | null> {
    return this.path === null ? null : this.read(`${this.path}.dynamic.next`)
  }

  /** `.next` goes, unless it has been written for a proposal that came later. */
  private async dropNext(version: number): Promise<void> {
    const path = `${this.path}.dynamic.next`
    const next = await this.read(path)
    if (next === null || versionOf(next) > version) return
    await named(path, 'cannot remove', async () => {
      await removeIfThere(this.disk, path)
      await laterDone((done) => this.disk.syncDir(dirname(path), done))
    })
  }

  private read(path: string): Promise<string | null> {
    return named(path, 'cannot read', async () => {
      const bytes = await readSmallFile(this.disk, path)
      return bytes === null ? null : Buffer.from(bytes).toString('latin1')
    })
  }

  private write(path: string, text: string): Promise<void> {
    return named(path, 'cannot write', () =>
      writeSmallFile(this.disk, path, `${path}.tmp`, new Uint8Array(Buffer.from(text, 'latin1'))),
    )
  }

  private inOrder(run: () => Promise<void>): Promise<void> {
    const done = this.last.then(run)
    this.last = done.catch(() => {}) // who asked is told; the next one is on its own
    return done
  }
}

/** The lines of a configuration as a dynamic file has them: sorted as text, so that 10 comes before 2. */
export function dynamicFileText(configText: string, versionLine: 'with version' | 'without version'): string {
  const lines = new Map<string, string>()
  for (const { key, value } of readEntries(configText, 'configuration')) {
    if (versionLine === 'without version' && key.startsWith('version')) continue
    lines.set(key, `${key}=${value.trim()}`)
  }
  return [...lines.values()].sort().join('\n')
}

/**
 * zoo.cfg without membership and with `dynamicConfigFile` naming the file that has it now. `withoutClientAddress`: the
 * membership states the address for clients of this server, so the one that stands here goes.
 */
export function staticFileText(text: string, dynamicPath: string, withoutClientAddress: boolean): string {
  const lines = text.split(/(?<=\r\n|\n|\r(?!\n))/)
  const dropped = new Set<number>()
  for (const { key, line } of readEntries(text, 'zoo.cfg')) {
    if (!moves(key.trim(), withoutClientAddress)) continue
    let at = line - 1
    dropped.add(at)
    while (joinsNext(lines[at]!) && at + 1 < lines.length) dropped.add(++at)
  }
  const kept = lines.filter((_, at) => !dropped.has(at))
  const last = kept.at(-1) ?? '\n'
  if (!/[\r\n]$/.test(last)) kept.push('\n')
  if (joinsNext(last)) kept.push('\n') // or our line would be more of that one
  return `${kept.join('')}dynamicConfigFile=${escaped(dynamicPath)}\n`
}

/**
 * Java goes by these prefixes. With the client's address it also takes clientPortListenBacklog, by accident, and the
 * next start has the system's default; that one stays here.
 */
function moves(key: string, withoutClientAddress: boolean): boolean {
  if (['server.', 'group', 'weight', 'dynamicConfigFile', 'peerType'].some((prefix) => key.startsWith(prefix))) {
    return true
  }
  return withoutClientAddress && (key === 'clientPort' || key === 'clientPortAddress')
}

/** Is there a backslash at its end that joins the next line to it? */
function joinsNext(line: string): boolean {
  return /\\*$/.exec(line.replace(/[\r\n]+$/, ''))![0].length % 2 === 1
}

/** A path as the value of a property, whatever is in it. */
function escaped(path: string): string {
  let text = ''
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i)
    if (unit === 0x5c) text += '\\\\'
    else if (unit > 0x7e || unit < 0x20) text += `\\u${unit.toString(16).padStart(4, '0')}`
    else text += path[i]
  }
  return text
}

function hasKey(text: string, wanted: string): boolean {
  return readEntries(text, 'zoo.cfg').some(({ key }) => key.trim() === wanted)
}

function versionOf(configText: string): number {
  const line = readEntries(configText, 'configuration').findLast(({ key }) => key === 'version')
  const version = line === undefined ? 0 : Number.parseInt(line.value, 16)
  if (Number.isNaN(version)) throw new ConfigError(`configuration: version=${line?.value} is not hexadecimal`)
  return version
}

/** Does this server's own line say where clients find it? It does not if only zoo.cfg does. */
function statesClientAddress(configText: string, serverId: number): boolean {
  const own = readEntries(configText, 'configuration').findLast(({ key }) => key === `server.${serverId}`)
  return own?.value.includes(';') ?? false
}

/** Every failure names its file. */
async function named<T>(path: string, what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (err) {
    if (!(err instanceof Error) || err instanceof StorageError) throw err
    throw new StorageError(`${what} a configuration file: ${err.message}`, path, null, err)
  }
}
