/**
 * What the configuration leaves open, each with a word of its own: doors that `security=strict` refuses to start with
 * unless `security.allow` has the word, and others that an operator should know of. Every start reports them, health
 * and metrics show them.
 *
 * A door that only this machine can reach is not open.
 */

import type { Config, ListenAddress } from './config.ts'
import { isAdminProtected, isLoopback } from './configadmin.ts'
import { isProtected } from './configprotection.ts'
import { ConfigError, type Settings } from './settings.ts'

export interface OpenDoor {
  /** As `security.allow` has it. */
  readonly word: Word
  /** What is open, and what follows from it. */
  readonly what: string
  /** `security=strict` refuses it. */
  readonly refused: boolean
}

interface Door {
  /** The setting that opens it, or that would close it. */
  readonly key: string
  /** A function: whether this configuration refuses it; where not, it is no more than worth knowing. */
  readonly refused: boolean | ((config: Config) => boolean)
  readonly open: (config: Config) => boolean
  readonly what: string | ((config: Config) => string)
}

/** Words that list whom the server serves and with what, or change what it shows. */
const TELLING_WORDS: readonly string[] = ['cons', 'crst', 'dump', 'srst', 'stat', 'stmk', 'wchc', 'wchp']

const DOORS = {
  quorum: {
    key: 'sslQuorum',
    refused: true,
    open: ({ quorum }) => quorum.distributed && !isProtected(quorum.protection) && !isLocalEnsemble(quorum),
    what:
      'members need neither a certificate nor a password of each other: whoever reaches their ports can join the ' +
      'ensemble and change all data (CVE-2018-8012)',
  },
  skipACL: {
    key: 'skipACL',
    refused: true,
    open: ({ skipACL }) => skipACL,
    what: 'skipACL=yes: every client may read and change everything',
  },
  forceSync: {
    key: 'forceSync',
    refused: true,
    open: ({ forceSync }) => !forceSync,
    what: 'forceSync=no: acknowledged writes are lost when the power is',
  },
  serverOps: {
    key: 'compat.serverOps',
    refused: true,
    open: ({ compat }) => compat.serverOps,
    what: 'compat.serverOps=true: any client may delete any empty znode, past its ACL',
  },
  takeover: {
    key: 'compat.takeover',
    refused: true,
    open: ({ compat }) => compat.takeover,
    what: 'compat.takeover=true: whoever knows the id of a session can cut its connection',
  },
  anySaslUser: {
    key: 'letAnySaslUserDoX',
    refused: true,
    open: ({ sasl }) => sasl.anyUser !== null,
    what: ({ sasl }) => `letAnySaslUserDoX: whoever has logged in by SASL may do what the id ${sasl.anyUser} may`,
  },
  quorumHosts: {
    key: 'ssl.quorum.hostnameVerification',
    refused: false,
    open: ({ quorum }) => quorum.protection.tls?.hostnameVerification === false,
    what: 'ssl.quorum.hostnameVerification=false: any certificate of that authority may be any member',
  },
  admin: {
    key: 'admin.serverAddress',
    refused: ({ security }) => security.strict,
    open: ({ admin }) => !isAdminProtected(admin),
    what: 'the admin server answers whoever reaches its port: see admin.serverAddress, admin.token, admin.needClientAuth',
  },
  plainClients: {
    key: 'secureClientPort',
    refused: false,
    open: ({ clientAddress }) => isReachable(clientAddress),
    what: 'clientPort is not encrypted: the network can read and change what clients send and get',
  },
  anonymousClients: {
    key: 'enforce.auth.enabled',
    refused: false,
    open: (config) =>
      !config.enforceAuthEnabled && (isReachable(config.clientAddress) || isReachable(config.secureClientAddress)),
    what: 'clients need not authenticate: ACLs alone decide what whoever reaches the port may do',
  },
  sessions: {
    key: 'sessionPassword',
    refused: false,
    open: ({ security }) => security.sessionPassword !== 'keyed',
    what: 'session passwords follow from session ids, as in Java: whoever sees an id can take up the session',
  },
  words: {
    key: '4lw.commands.whitelist',
    refused: false,
    open: (config) => isReachable(config.clientAddress) && tellingWords(config).length > 0,
    what: (config) => `four-letter words answer to everybody: ${tellingWords(config).join(' ')}`,
  },
  metrics: {
    key: 'metricsProvider.httpHost',
    refused: false,
    open: ({ metricsProvider: { kind, httpHost } }) => kind === 'prometheus' && !isLoopback(httpHost),
    what: 'metrics are told to whoever reaches the port of metricsProvider.httpPort',
  },
  superUser: {
    key: 'DigestAuthenticationProvider.superDigest',
    refused: false,
    open: ({ superDigest, sasl }) => superDigest !== null || sasl.superPassword !== null || sasl.superUsers.length > 0,
    what: 'there is a super user, whom no ACL stops',
  },
} as const satisfies Readonly<Record<string, Door>>

type Word = keyof typeof DOORS

const WORDS = Object.keys(DOORS) as Word[]

/** In the order of the table: what strict refuses comes first. */
export function openDoors(config: Config): OpenDoor[] {
  return WORDS.filter((word) => door(word).open(config)).map((word) => {
    const { refused, what } = door(word)
    return {
      word,
      refused: typeof refused === 'function' ? refused(config) : refused,
      what: typeof what === 'string' ? what : what(config),
    }
  })
}

/**
 * Warns of the doors that nobody should leave open by accident. Under strict, throws ConfigError for those that are not
 * allowed by their word; a word that is none, or that allows what is shut, is a mistake as well.
 */
export function judgeDoors(s: Settings, config: Config): void {
  const { strict, allowed } = config.security
  const open = openDoors(config).filter(({ refused }) => refused)
  for (const word of allowed) {
    const allow = s.find('security.allow')
    const known = WORDS.filter((each) => door(each).refused)
    if (!known.some((each) => each === word)) {
      throw s.refuse(allow, `security.allow=${word}: there are ${known.join(', ')}`)
    }
    if (strict && open.every((each) => each.word !== word)) {
      s.warn(allow!.where, `security.allow=${word} has no effect: nothing of that kind is open`)
    }
  }
  const shut = open.filter(({ word }) => strict && !allowed.has(word))
  if (shut.length > 0) {
    const where = s.find('security')!.where
    const list = shut.map(({ word, what }) => `\n  ${what} (security.allow=${word} lets it be)`).join('')
    throw new ConfigError(`${where}: security=strict does not start with these doors open:${list}`)
  }
  for (const { word, what } of open) s.warn(s.find(door(word).key)?.where ?? s.fileName, what)
}

function door(word: Word): Door {
  return DOORS[word]
}

function tellingWords({ fourLetterWhitelist }: Config): readonly string[] {
  const words = (fourLetterWhitelist ?? '').split(',').map((word) => word.trim())
  return words.includes('*') ? TELLING_WORDS : TELLING_WORDS.filter((word) => words.includes(word))
}

/** From another machine. */
function isReachable(address: ListenAddress | null): boolean {
  return address !== null && (address.host === null || !isLoopback(address.host))
}

/** All of it on one machine, for a test. */
function isLocalEnsemble({ membership, quorumListenOnAllIPs }: Config['quorum']): boolean {
  const hosts = membership.members.flatMap(({ addresses }) => addresses.map(({ host }) => host))
  return !quorumListenOnAllIPs && hosts.every(isLoopback)
}
