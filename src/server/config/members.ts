/**
 * Membership of an ensemble: the `server.N`, `group.G`, `weight.N` and `version` lines of a configuration, and their
 * canonical text (the content of /zookeeper/config, and of the `conf` word).
 *
 *   server.<id>=<host>:<quorumPort>:<electionPort>[:participant|:observer][|<further address>...][;[<host>:]<clientPort>]
 *
 * Answers to Java's QuorumPeer.QuorumServer, QuorumMaj and QuorumHierarchical (their reading and printing; the counting
 * of votes is in zab/quorum.ts). Pure: refusals are ConfigErrors that carry the place of the line.
 */

import { makeQuorum } from '../../zab/quorum.ts'
import type { Quorum } from '../../zab/types.ts'
import { ConfigError, parseJavaInteger, readEntries, type Setting } from './settings.ts'

export type Role = 'participant' | 'observer'

export interface MemberAddress {
  readonly host: string
  readonly quorumPort: number
  readonly electionPort: number
}

export interface Member {
  readonly id: number
  readonly addresses: readonly MemberAddress[]
  readonly role: Role
  /** Null when the line names none; the static clientPort then holds and is not printed. */
  readonly client: { readonly host: string; readonly port: number } | null
}

export interface Membership {
  /** Ordered by id. */
  readonly members: readonly Member[]
  /** Group id to the ids of its servers; empty for plain majorities. */
  readonly groups: ReadonlyMap<number, readonly number[]>
  /** Server id to weight, for every participant, when there are groups. */
  readonly weights: ReadonlyMap<number, number>
  /** The zxid of the reconfiguration that made it; 0 for a configuration from a file. */
  readonly version: number
}

export const NO_MEMBERSHIP: Membership = { members: [], groups: new Map(), weights: new Map(), version: 0 }

/** Is this key one of a membership, rather than of the static configuration? Java looks at prefixes, so do we. */
export function isMembershipKey(key: string): boolean {
  return key.startsWith('server.') || key.startsWith('group') || key.startsWith('weight') || key === 'version'
}

export function parseMembership(lines: ReadonlyMap<string, Setting>, multiAddressEnabled: boolean): Membership {
  const members: Member[] = []
  const groups = new Map<number, number[]>()
  const weights = new Map<number, number>()
  const groupOf = new Map<number, number>()
  let version = 0
  for (const [key, setting] of lines) {
    if (key.startsWith('server.')) {
      members.push(parseMember(idOf(key, setting), setting, multiAddressEnabled))
    } else if (key.startsWith('group')) {
      const group = idOf(key, setting)
      const ids = setting.value.split(':').map((word) => {
        const id = parseJavaInteger(word.trim(), false)
        if (id === null) throw refuse(setting, `${key} lists '${word}', which is not a server id`)
        if (groupOf.has(id)) throw refuse(setting, `server ${id} is in more than one group`)
        groupOf.set(id, group)
        return id
      })
      groups.set(group, ids)
    } else if (key.startsWith('weight')) {
      const weight = parseJavaInteger(setting.value, false)
      if (weight === null || weight < 0) throw refuse(setting, `${key}=${setting.value} is not a weight`)
      weights.set(idOf(key, setting), weight)
    } else if (key === 'version') {
      if (!/^[0-9a-fA-F]+$/.test(setting.value)) throw refuse(setting, `version=${setting.value} is not hexadecimal`)
      version = Number.parseInt(setting.value, 16)
    }
  }
  members.sort((a, b) => a.id - b.id)
  if (groups.size > 0 || weights.size > 0) {
    for (const member of members) {
      if (member.role === 'observer') continue
      if (!groupOf.has(member.id)) {
        throw refuse(lines.get(`server.${member.id}`)!, `server ${member.id} is in no group, although groups are used`)
      }
      if (!weights.has(member.id)) weights.set(member.id, 1)
    }
  }
  return { members, groups, weights, version }
}

/**
 * A configuration's text, with its version line, as members send it to each other and as it stands in /zookeeper/config
 * and in a `.dynamic.next` file. Throws ConfigError for everything else. Java: QuorumPeer.configFromString.
 */
export function parseConfigText(text: string, multiAddressEnabled: boolean): Membership {
  const lines = new Map<string, Setting>()
  for (const entry of readEntries(text, 'configuration')) {
    const key = entry.key.trim()
    const setting = { value: entry.value.trim(), where: `configuration:${entry.line}` }
    if (!isMembershipKey(key)) throw refuse(setting, `${key} does not belong into a configuration`)
    lines.set(key, setting)
  }
  const membership = parseMembership(lines, multiAddressEnabled)
  if (!Number.isSafeInteger(membership.version)) {
    throw refuse(lines.get('version')!, `version=${lines.get('version')!.value} is no zxid`)
  }
  if (participantsOf(membership).length === 0) throw new ConfigError('configuration: no participants')
  return membership
}

/** The same as zab knows it: members, and which of them may decide. Its text is the canonical one. */
export function parseQuorumText(text: string, multiAddressEnabled: boolean): Quorum {
  return quorumOf(parseConfigText(text, multiAddressEnabled))
}

export function quorumOf(membership: Membership): Quorum {
  const { groups, weights, version } = membership
  return makeQuorum({
    members: membership.members.map(({ id, role, addresses }) => ({
      sid: id,
      voter: role === 'participant',
      quorumAddresses: addresses.map((a) => `${bracketed(a.host)}:${a.quorumPort}`),
      electionAddresses: addresses.map((a) => `${bracketed(a.host)}:${a.electionPort}`),
    })),
    groups,
    weights,
    version,
    text: formatMembership(membership),
  })
}

/** Could the others decide without this server? */
export function canSpare(quorum: Quorum, sid: number): boolean {
  return quorum.containsQuorum(new Set(quorum.voters.filter((voter) => voter !== sid)))
}

/** Every server's addresses, as the identity of a data folder has them. */
export function serversOf(quorum: Quorum): Map<number, string[]> {
  return new Map(quorum.members.map((sid) => [sid, [...quorum.quorumAddresses(sid), ...quorum.electionAddresses(sid)]]))
}

/** As they are written: names, or IP addresses without brackets. */
export function hostsOf(membership: Membership): string[] {
  return membership.members.flatMap(({ addresses }) => addresses.map(({ host }) => host))
}

export function participantsOf(membership: Membership): Member[] {
  return membership.members.filter((member) => member.role === 'participant')
}

export function observersOf(membership: Membership): Member[] {
  return membership.members.filter((member) => member.role === 'observer')
}

/** The canonical text: one line per server, then groups and weights, then `version=<hex>` without a line end. */
export function formatMembership(membership: Membership): string {
  let text = ''
  for (const member of membership.members) text += `server.${member.id}=${formatMember(member)}\n`
  for (const [group, ids] of membership.groups) text += `group.${group}=${ids.join(':')}\n`
  for (const [id, weight] of membership.weights) text += `weight.${id}=${weight}\n`
  return `${text}version=${membership.version.toString(16)}`
}

export function formatMember(member: Member): string {
  const addresses = [...member.addresses].sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0))
  const text = addresses.map((a) => `${bracketed(a.host)}:${a.quorumPort}:${a.electionPort}`).join('|')
  const client = member.client === null ? '' : `;${bracketed(member.client.host)}:${member.client.port}`
  return `${text}:${member.role}${client}`
}

/** `version` of a dynamic configuration file: the hexadecimal end of its name, 0 when it has none. */
export function versionFromFileName(fileName: string): number {
  const suffix = /\.([0-9a-fA-F]+)$/.exec(fileName)
  return suffix === null ? 0 : Number.parseInt(suffix[1]!, 16)
}

function parseMember(id: number, setting: Setting, multiAddressEnabled: boolean): Member {
  const parts = setting.value.split(';')
  if (parts.length > 2) throw refuse(setting, `${formOf(setting)}: more than one ';'`)
  const texts = parts[0]!.split('|')
  if (texts.length > 1 && !multiAddressEnabled) {
    throw refuse(setting, `server ${id} has several addresses, which needs multiAddress.enabled=true`)
  }
  const addresses: MemberAddress[] = []
  let role: Role | null = null
  for (const text of texts) {
    const words = splitHostAndPorts(text.trim(), setting)
    if (words.length < 3 || words.length > 4) throw refuse(setting, formOf(setting))
    const [host, quorum, election, roleText] = words
    const quorumPort = portOf(quorum!, setting)
    const electionPort = portOf(election!, setting)
    if (quorumPort === electionPort) {
      throw refuse(setting, `server ${id} uses port ${quorumPort} both for the quorum and for elections`)
    }
    if (roleText !== undefined) {
      const stated = parseRole(roleText)
      if (stated === null) throw refuse(setting, `'${roleText}' is not a role: participant or observer`)
      if (role !== null && role !== stated) throw refuse(setting, `addresses of server ${id} state different roles`)
      role = stated
    }
    addresses.push({ host: host!, quorumPort, electionPort })
  }
  const client = parts.length === 2 ? parseClient(parts[1]!.trim(), setting) : null
  return { id, addresses, role: role ?? 'participant', client }
}

export function parseRole(text: string): Role | null {
  const lower = text.trim().toLowerCase()
  return lower === 'participant' || lower === 'observer' ? lower : null
}

function parseClient(text: string, setting: Setting): { host: string; port: number } {
  const words = splitHostAndPorts(text, setting)
  if (words.length > 2) throw refuse(setting, formOf(setting))
  return { host: words.length === 2 ? words[0]! : '0.0.0.0', port: portOf(words[words.length - 1]!, setting) }
}

/** `host:port:...` into its words; a host in brackets (IPv6) may hold colons and loses the brackets. */
function splitHostAndPorts(text: string, setting: Setting): string[] {
  if (!text.startsWith('[')) return text.split(':')
  const close = text.indexOf(']')
  if (close === -1) throw refuse(setting, `'${text}' opens a bracket that it does not close`)
  const host = text.slice(1, close)
  if (close + 1 === text.length) return [host]
  if (text[close + 1] !== ':' || close + 2 === text.length)
    throw refuse(setting, `'${text}' has no port after the bracket`)
  return [host, ...text.slice(close + 2).split(':')]
}

function portOf(text: string, setting: Setting): number {
  const port = parseJavaInteger(text.trim(), false)
  if (port === null || port < 0 || port > 65535) throw refuse(setting, `'${text}' is not a port`)
  return port
}

function idOf(key: string, setting: Setting): number {
  const text = key.slice(key.indexOf('.') + 1)
  const id = parseJavaInteger(text, false)
  if (id === null || !Number.isSafeInteger(id)) throw refuse(setting, `'${text}' in ${key} is not a number`)
  return id
}

function formOf(setting: Setting): string {
  return `'${setting.value}' does not have the form host:port:port[:role][|...][;[host:]clientPort]`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function refuse(setting: Setting, message: string): ConfigError {
  return new ConfigError(`${setting.where}: ${message}`)
}
