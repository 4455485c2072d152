/**
 * Plans a change of the ensemble's membership: from the request to the configuration's new text, or the reason why not.
 *
 * The checks come in Java's order and end in Java's codes. Its two kinds of refusal are told apart here as well: what it
 * recognises as wrong is BADARGUMENTS, what it stumbles over (a number that is none, an impossible port) is
 * MARSHALLINGERROR. Names of hosts are compared as they are written; nothing is resolved.
 *
 * Pure. Java: PrepRequestProcessor.pRequest2Txn (reconfig), QuorumPeerConfig.parseDynamicConfig, QuorumPeer.QuorumServer,
 * QuorumMaj, QuorumHierarchical.
 */

import { Err } from '../../jute/codes.ts'
import { textToBytes } from '../../jute/text.ts'
import type { Zxid } from '../../jute/zxid.ts'
import {
  formatMembership,
  type Member,
  type Membership,
  observersOf,
  parseMembership,
  parseRole,
  participantsOf,
} from '../config/members.ts'
import { PropertySyntaxError, parseProperties } from '../config/properties.ts'
import { ConfigError, parseJavaInteger, type Setting } from '../config/settings.ts'
import type { ReconfigRequest } from './writeop.ts'

export interface Reconfigurer {
  /** `zxid` becomes the new configuration's version. `text` is its canonical form, owned by the caller. */
  plan(request: ReconfigRequest, zxid: Zxid): { readonly err: number } | { readonly text: Uint8Array }
}

/** The ensemble as its leader sees it. */
export interface ReconfigView {
  committed(): Membership
  /** The newest configuration that was proposed; differs from the committed one while a reconfiguration is on its way. */
  lastSeen(): Membership
  /** Would the servers that are in sync now be a quorum of this membership? */
  hasSyncedQuorum(membership: Membership): boolean
  readonly standaloneEnabled: boolean
  readonly multiAddressEnabled: boolean
}

/** A membership, or the code that refuses it. */
type Planned = Membership | number

export class ReconfigPlanner implements Reconfigurer {
  private readonly view: ReconfigView

  constructor(view: ReconfigView) {
    this.view = view
  }

  plan(request: ReconfigRequest, zxid: Zxid): { readonly err: number } | { readonly text: Uint8Array } {
    const { view } = this
    const current = view.lastSeen()
    if (current.version !== view.committed().version) return { err: Err.reconfigInProgress }
    const { curConfigId } = request
    if (curConfigId !== -1 && curConfigId !== current.version) return { err: Err.badVersion }
    const planned =
      request.newMembers === null
        ? this.changed(current, request)
        : this.replaced(request.newMembers.replaceAll(',', '\n'))
    if (typeof planned === 'number') return { err: planned }
    const voters = participantsOf(planned).length
    if (voters < (view.standaloneEnabled ? 2 : 1)) return { err: Err.badArguments }
    const next = { ...planned, version: zxid }
    if (!view.hasSyncedQuorum(next)) return { err: Err.newConfigNoQuorum }
    return { text: textToBytes(formatMembership(next)) }
  }

  /** Some leave, then some join. Only where every voter counts the same. */
  private changed(current: Membership, { joining, leaving }: ReconfigRequest): Planned {
    if (current.groups.size > 0 || current.weights.size > 0) return Err.badArguments
    const next = new Map(current.members.map((member) => [member.id, member]))
    for (const text of words(leaving, ',')) {
      const id = parseJavaInteger(text, false)
      if (id === null) return Err.marshallingError
      next.delete(id)
    }
    for (const text of words(joining, ',')) {
      const joiner = this.joiner(text)
      if (typeof joiner === 'number') return joiner
      for (const other of next.values()) if (other.id !== joiner.id && clash(joiner, other)) return Err.badArguments
      next.set(joiner.id, joiner)
    }
    const members = [...next.values()].sort((a, b) => a.id - b.id)
    return { members, groups: new Map(), weights: new Map(), version: 0 }
  }

  /** `server.<id>=<spec>`, of which only the digits behind the last dot are looked at; the client's port is a must. */
  private joiner(text: string): Member | number {
    const parts = words(text, '=')
    if (parts.length !== 2) return Err.badArguments
    const [key, spec] = parts as [string, string]
    const id = parseJavaInteger(key.slice(key.lastIndexOf('.') + 1), false)
    if (id === null) return Err.marshallingError
    const fault = specFault(spec, this.view.multiAddressEnabled)
    if (fault !== Err.ok) return fault
    const membership = this.parse(new Map([[`server.${id}`, spec]]))
    if (typeof membership === 'number') return membership
    const member = membership.members[0]!
    return member.client === null ? Err.badArguments : member
  }

  /** A whole new membership, as the lines of a configuration. */
  private replaced(text: string): Planned {
    const lines = new Map<string, string>()
    try {
      for (const { key, value } of parseProperties(text)) lines.set(key, value)
    } catch (err) {
      if (err instanceof PropertySyntaxError) return Err.marshallingError
      throw err
    }
    for (const key of lines.keys()) {
      const known = key.startsWith('server.') || isWeighing(key) || key === 'version'
      if (!known) return Err.badArguments
    }
    const weighs = [...lines.keys()].some(isWeighing)
    for (const [key, value] of lines) {
      const fault = this.lineFault(key, value)
      if (fault !== Err.ok) return fault
    }
    const membership = this.parse(lines)
    if (typeof membership === 'number') return membership
    if (weighs && !allWeigh(membership)) return Err.marshallingError
    const voters = participantsOf(membership).length
    const observers = observersOf(membership).length
    if (voters === 0 && (!this.view.standaloneEnabled || observers > 0)) return Err.marshallingError
    if (voters === 1 && this.view.standaloneEnabled && observers > 0) return Err.marshallingError
    return membership
  }

  private lineFault(key: string, value: string): number {
    if (key === 'version') return isHexLong(value) ? Err.ok : Err.marshallingError
    if (parseJavaInteger(key.slice(key.indexOf('.') + 1), false) === null) return Err.marshallingError
    if (key.startsWith('server.')) return specFault(value, this.view.multiAddressEnabled)
    const numbers = key.startsWith('group') ? javaSplit(value, ':') : [value]
    return numbers.every((word) => parseJavaInteger(word, false) !== null) ? Err.ok : Err.marshallingError
  }

  private parse(lines: ReadonlyMap<string, string>): Planned {
    const settings = new Map<string, Setting>()
    for (const [key, value] of lines) if (key !== 'version') settings.set(key, { value, where: 'reconfig' })
    try {
      return parseMembership(settings, this.view.multiAddressEnabled)
    } catch (err) {
      if (err instanceof ConfigError) return Err.badArguments
      throw err
    }
  }
}

function isWeighing(key: string): boolean {
  return key.startsWith('group') || key.startsWith('weight')
}

/** Java adds up the weights of a group's servers, and stumbles over one that has none: a stranger, or an observer. */
function allWeigh({ groups, weights }: Membership): boolean {
  return [...groups.values()].every((ids) => ids.every((id) => weights.has(id)))
}

/** What Java says of `host:port:port[:role][|...][;[host:]port]`. */
function specFault(spec: string, multiAddressEnabled: boolean): number {
  const halves = javaSplit(spec, ';')
  if (halves.length === 0) return Err.marshallingError
  if (halves.length === 2) {
    const client = hostAndPorts(halves[1]!)
    if (client === null || client.length > 2) return Err.badArguments
    if (client.length === 0) return Err.marshallingError
    const fault = portFault(client[client.length - 1]!)
    if (fault !== Err.ok) return fault
  }
  const addresses = javaSplit(halves[0]!, '|')
  if (addresses.length > 1 && !multiAddressEnabled) return Err.badArguments
  let role: string | null = null
  for (const address of addresses) {
    const parts = hostAndPorts(address)
    if (parts === null || halves.length > 2 || parts.length < 3 || parts.length > 4) return Err.badArguments
    const [, quorum, election, roleText] = parts as [string, string, string, string?]
    const fault = portFault(quorum) || portFault(election)
    if (fault !== Err.ok) return fault
    if (Number(quorum) === Number(election)) return Err.badArguments
    if (roleText === undefined) continue
    const stated = parseRole(roleText)
    if (stated === null || (role !== null && role !== stated)) return Err.badArguments
    role = stated
  }
  return Err.ok
}

function portFault(text: string): number {
  const port = parseJavaInteger(text, false)
  if (port === null || port < -0x8000_0000 || port > 0x7fff_ffff) return Err.badArguments
  return port < 0 || port > 0xffff ? Err.marshallingError : Err.ok
}

/** `host:port...` in words; null where a bracket is not closed, or nothing follows it but a colon. */
function hostAndPorts(text: string): string[] | null {
  if (!text.startsWith('[')) return javaSplit(text, ':')
  const close = text.indexOf(']')
  if (close < 0 || close + 2 === text.length) return null
  if (close + 2 > text.length) return [text.slice(1, close)]
  return [text.slice(1, close), ...javaSplit(text.slice(close + 2), ':')]
}

function isHexLong(text: string): boolean {
  return /^[+-]?[0-9a-fA-F]+$/.test(text) && text.replace(/^[+-]?0*/, '').length <= 16
}

/** Do two servers claim the same address? Addresses that mean every host, or the own one, do not count. */
function clash(a: Member, b: Member): boolean {
  const others = new Set(claims(b))
  return claims(a).some((claim) => others.has(claim))
}

function claims({ addresses, client }: Member): string[] {
  const all = addresses.flatMap(({ host, quorumPort, electionPort }) => [
    { host, port: quorumPort },
    { host, port: electionPort },
  ])
  if (client !== null) all.push({ host: client.host, port: client.port })
  return all.filter(({ host }) => !isSpecialHost(host)).map(({ host, port }) => `${host.toLowerCase()} ${port}`)
}

function isSpecialHost(host: string): boolean {
  const name = host.toLowerCase()
  if (name === '' || name === 'localhost' || /^127(\.\d+){3}$/.test(name)) return true
  return name === '0.0.0.0' || /^[0:]*:[0:]*[01]?$/.test(name) // ::, ::1 and their long forms
}

/** Trimmed, without empty ones. Java: StringUtils.split. */
function words(text: string | null, separator: string): string[] {
  if (text === null) return []
  return text
    .split(separator)
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** String.split of Java: empty words at the end do not count. */
function javaSplit(text: string, separator: string): string[] {
  if (text === '') return ['']
  const parts = text.split(separator)
  while (parts.length > 0 && parts[parts.length - 1] === '') parts.pop()
  return parts
}
