/**
 * The settings of an ensemble: membership (in zoo.cfg or in its dynamic file), limits, and whether this process is a
 * member of one at all. Part of config.ts. Java: QuorumPeerConfig.setupQuorumPeerConfig, parseDynamicConfig.
 */

import { basename } from 'node:path'
import type { JaasFile } from '../sasl/jaas.ts'
import { NO_PROTECTION, type QuorumProtection, readProtection } from './configprotection.ts'
import {
  isMembershipKey,
  type Membership,
  NO_MEMBERSHIP,
  observersOf,
  parseMembership,
  parseRole,
  participantsOf,
  type Role,
  versionFromFileName,
} from './members.ts'
import { ConfigError, readEntries, type Setting, type Settings } from './settings.ts'

/** The content of a file besides zoo.cfg (ISO-8859-1 text), or null when it does not exist. */
export type ReadFile = (path: string) => string | null

/** How a member of an ensemble behaves beyond its membership; names as in zab/types.ts where the core takes them. */
export interface EnsembleTuning {
  readonly multiAddressEnabled: boolean
  readonly quorumListenOnAllIPs: boolean
  readonly cnxTimeoutMs: number
  /** 0 tries for ever. */
  readonly electionPortBindRetry: number
  readonly tcpKeepAlive: boolean
  readonly notificationMinMs: number
  readonly notificationMaxMs: number
  readonly epochWaitMs: number
  readonly connectDelayMs: number
  readonly observerDelayMs: number
  readonly observerSyncs: boolean
  readonly forceSnapshotSync: boolean
  /** Log bytes sent to a learner, as a fraction of the newest snapshot's size; 0 no limit, negative: never from the log. */
  readonly snapshotSizeFactor: number
  readonly snapSyncsMax: number
  readonly diffSyncsMax: number
  readonly leaderServes: boolean
  readonly localSessionsEnabled: boolean
  readonly localSessionsUpgradingEnabled: boolean
  /** For the TLS handshake, the hello and SASL of a connection to an election port; -1: as long as syncLimit. */
  readonly handshakeTimeoutMs: number
  /** 0: none. */
  readonly observerMasterPort: number
  /** Damaged history is set aside at a start, and the leader sends everything. Ours; Java has nothing of that kind. */
  readonly autoRepair: boolean
}

export interface QuorumConfig extends EnsembleTuning {
  readonly membership: Membership
  readonly dynamicConfigFile: string | null
  /** More than one voter, or one voter with standaloneEnabled=false: this server must run as a member. */
  readonly distributed: boolean
  readonly standaloneEnabled: boolean
  readonly reconfigEnabled: boolean
  readonly peerType: Role
  readonly initLimitTicks: number
  readonly syncLimitTicks: number
  readonly connectToLearnerMasterLimitTicks: number
  /** TLS and SASL between members. */
  readonly protection: QuorumProtection
}

export function readQuorum(
  s: Settings,
  readFile: ReadFile,
  serverId: number | null,
  jaas: JaasFile | null,
): QuorumConfig {
  const standaloneEnabled = s.boolean('standaloneEnabled', true)
  const algorithm = s.int('electionAlg', 3)
  if (algorithm !== 3) throw s.refuse(s.find('electionAlg'), `electionAlg=${algorithm}: only 3 exists`)
  const membership = readMembership(s, readFile)
  const limits = {
    initLimitTicks: s.int('initLimit', 0),
    syncLimitTicks: s.int('syncLimit', 0),
    connectToLearnerMasterLimitTicks: s.int('connectToLearnerMasterLimit', 0),
  }
  const voters = participantsOf(membership).length
  const observers = observersOf(membership).length
  if (voters === 0 && !standaloneEnabled) {
    throw s.refuse(s.find('standaloneEnabled'), 'standaloneEnabled=false needs at least one participant')
  }
  if (observers > 0 && (voters === 0 || (voters === 1 && standaloneEnabled))) {
    throw new ConfigError(`${s.fileName}: observers without a quorum of participants`)
  }
  const distributed = voters > 1 || (voters === 1 && !standaloneEnabled)
  if (distributed) {
    if (limits.initLimitTicks === 0) throw s.refuse(s.find('initLimit'), 'initLimit is not set')
    if (limits.syncLimitTicks === 0) throw s.refuse(s.find('syncLimit'), 'syncLimit is not set')
    if (serverId === null) throw new ConfigError(`${s.text('dataDir')}/myid is missing`)
    warnOfVoterCount(s, voters)
  }
  return {
    membership,
    dynamicConfigFile: s.text('dynamicConfigFile'),
    distributed,
    standaloneEnabled,
    reconfigEnabled: s.boolean('reconfigEnabled', false),
    peerType: readPeerType(s, membership, serverId),
    ...limits,
    ...readTuning(s),
    protection: distributed ? readProtection(s, jaas, readFile) : NO_PROTECTION,
  }
}

function readTuning(s: Settings): EnsembleTuning {
  const factor = s.decimal('snapshotSizeFactor', 0.33)
  return {
    multiAddressEnabled: readMultiAddress(s),
    quorumListenOnAllIPs: s.boolean('quorumListenOnAllIPs', false),
    cnxTimeoutMs: s.int('cnxTimeout', 5000, { min: 1 }),
    electionPortBindRetry: s.int('electionPortBindRetry', 3, { min: 0 }),
    tcpKeepAlive: s.boolean('tcpKeepAlive', false),
    notificationMinMs: s.int('fastleader.minNotificationInterval', 200, { min: 1 }),
    notificationMaxMs: s.int('fastleader.maxNotificationInterval', 60_000, { min: 1 }),
    epochWaitMs: s.int('leader.maxTimeToWaitForEpoch', -1),
    connectDelayMs: s.int('leaderConnectDelayDuringRetryMs', 100, { min: 0 }),
    observerDelayMs: s.int('observer.election.DelayMs', 200, { min: 0 }),
    observerSyncs: s.boolean('syncEnabled', s.boolean('observer.syncEnabled', true)),
    forceSnapshotSync: s.boolean('forceSnapshotSync', false),
    // Above 1 Java takes its default (LearnerHandler, ZKDatabase).
    snapshotSizeFactor: factor > 1 ? 0.33 : factor,
    snapSyncsMax: s.int('leader.maxConcurrentSnapSyncs', 10, { min: 1 }),
    diffSyncsMax: s.int('leader.maxConcurrentDiffSyncs', 100, { min: 1 }),
    leaderServes: s.word('leaderServes', 'no', 'yes', true),
    localSessionsEnabled: s.boolean('localSessionsEnabled', false),
    localSessionsUpgradingEnabled: s.boolean('localSessionsUpgradingEnabled', false),
    handshakeTimeoutMs: s.int('quorumCnxnTimeoutMs', -1),
    observerMasterPort: s.int('observerMasterPort', 0, { min: 0, max: 65_535 }),
    autoRepair: s.boolean('autoRepair', false),
  }
}

function readMembership(s: Settings, readFile: ReadFile): Membership {
  const lines = new Map<string, Setting>()
  for (const prefix of ['server.', 'group', 'weight', 'version']) {
    for (const [key, setting] of s.family(prefix, 'file')) if (isMembershipKey(key)) lines.set(key, setting)
  }
  const multiAddressEnabled = readMultiAddress(s)
  const dynamic = s.find('dynamicConfigFile')
  if (dynamic === null) return lines.size === 0 ? NO_MEMBERSHIP : parseMembership(lines, multiAddressEnabled)
  for (const [key, setting] of lines) {
    if (key !== 'version') throw s.refuse(setting, `${key} must be in the dynamic configuration file ${dynamic.value}`)
  }
  const text = readFile(dynamic.value)
  if (text === null) throw s.refuse(dynamic, `dynamicConfigFile ${dynamic.value} does not exist`)
  const dynamicLines = new Map<string, Setting>()
  for (const entry of readEntries(text, basename(dynamic.value))) {
    const setting = { value: entry.value.trim(), where: `${basename(dynamic.value)}:${entry.line}` }
    const key = entry.key.trim()
    if (key === 'version') throw s.refuse(setting, 'a dynamic file has its version in its name, not inside')
    if (!isMembershipKey(key)) throw s.refuse(setting, `${key} does not belong into a dynamic configuration file`)
    dynamicLines.set(key, setting)
  }
  return { ...parseMembership(dynamicLines, multiAddressEnabled), version: versionFromFileName(dynamic.value) }
}

/** Java reads it once from -D, and the file may override that. */
function readMultiAddress(s: Settings): boolean {
  if (s.find('multiAddress.enabled') !== null) return s.boolean('multiAddress.enabled', false)
  return s.find('multiAddress.enabled', 'property')?.value.toLowerCase() === 'true'
}

function warnOfVoterCount(s: Settings, voters: number): void {
  if (voters <= 2) s.warn(s.fileName, `${voters} voters: no server failure will be tolerated, at least 3 are needed`)
  else if (voters % 2 === 0) s.warn(s.fileName, `${voters} voters tolerate no more failures than ${voters - 1}`)
}

function readPeerType(s: Settings, membership: Membership, serverId: number | null): Role {
  const setting = s.find('peerType')
  const stated = setting === null ? 'participant' : parseRole(setting.value)
  if (stated === null) throw s.refuse(setting, `peerType=${setting!.value} is neither participant nor observer`)
  const listed = observersOf(membership).some((member) => member.id === serverId) ? 'observer' : 'participant'
  if (listed !== stated) {
    s.warn(
      setting?.where ?? s.fileName,
      `peerType ${stated} differs from the server list, which says ${listed} and counts`,
    )
  }
  return listed
}
