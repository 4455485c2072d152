/** What the text interfaces see of an ensemble's member besides what every server has. */

import type { LearnerView, LinkId } from '../../zab/types.ts'
import type { Config } from '../config/config.ts'
import type { ConfView } from '../report/fourletter.ts'
import type { Metrics } from '../report/metrics.ts'
import type { Member } from './member.ts'

export interface EnsembleView {
  readonly serverId: number
  /** leader, follower, observer or read-only (Java: ServerStats.Provider.getState). */
  mode(): string
  /** Of a leader; null elsewhere. */
  proposalSizes(): { readonly last: number; readonly min: number; readonly max: number } | null
  /** Lines of `mntr` behind the server's state. */
  monitorValues(): Iterable<readonly [string, string]>
  conf(): NonNullable<ConfView['quorum']>
  /** Sessions are the leader's to expire, and all that is known here is their table. */
  leavesSessions(): boolean
  /** Null while it looks for a leader. */
  status(): MemberStatus | null
  /** What it is about while it does not serve, for people. */
  reason(): string
  /** Figures that only some roles have, under Java's names. */
  gauges(): Iterable<readonly [string, number]>
}

/** What the admin server says of a member. Addresses are `host:port`. */
export interface MemberStatus {
  readonly leads: boolean
  readonly leader: number
  readonly leaderHost: string
  /** It is one of the voters. */
  readonly voting: boolean
  readonly quorumAddresses: readonly string[]
  readonly electionAddresses: readonly string[]
  readonly clientAddress: string
  /** discovery, synchronization or broadcast. */
  readonly phase: string
  readonly voters: readonly VoterView[]
  /** Who learns from this server without a vote; null where it does not tell. */
  readonly observers: readonly LearnerFigures[] | null
  resetObservers(): void
}

export interface VoterView {
  readonly sid: number
  readonly quorumAddresses: readonly string[]
  readonly electionAddresses: readonly string[]
  /** Empty where it is not known. */
  readonly clientAddress: string
}

export interface LearnerFigures {
  readonly sid: number
  readonly remote: string
  readonly establishedMs: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly requests: number
  readonly lastZxid: number
}

export interface MemberViewHost {
  nowMs(): number
  wallMs(): number
  /** The other end of a link, as `host:port`; empty where there is none. */
  remoteOf(link: LinkId): string
}

export function memberView(config: Config, member: Member, metrics: Metrics, host: MemberViewHost): EnsembleView {
  const { zab } = member
  const leads = (): boolean => zab.role === 'leading'
  const own = config.quorum.membership.members.find(({ id }) => id === config.serverId)
  return {
    serverId: config.serverId!,
    mode() {
      if (zab.role === 'leading') return 'leader'
      if (zab.role === 'following') return 'follower'
      return zab.role === 'observing' ? 'observer' : 'read-only'
    },
    leavesSessions: () => !leads(),
    proposalSizes: () => (leads() ? member.proposalSizes : null),
    *monitorValues() {
      if (zab.role === 'looking') return
      yield ['peer_state', zab.established ? `${zab.role} - broadcast` : zab.role]
      if (zab.role === 'observing') yield ['observer_master_id', String(zab.master ?? -1)]
    },
    conf: () => ({
      initLimitTicks: config.quorum.initLimitTicks,
      syncLimitTicks: config.quorum.syncLimitTicks,
      electionAlg: 3,
      electionPort: own?.addresses[0]?.electionPort ?? -1,
      quorumPort: own?.addresses[0]?.quorumPort ?? -1,
      peerType: zab.committed.isVoter(config.serverId!) || !zab.committed.isMember(config.serverId!) ? 0 : 1,
      membership: zab.role === 'looking' ? null : zab.committed.text,
    }),
    status() {
      if (zab.role === 'looking' || zab.leader === null) return null
      return memberStatus(config, member, zab.leader, host)
    },
    reason() {
      if (zab.role === 'looking') return 'looking for a leader: no quorum'
      return zab.established
        ? 'leads, and serves no clients: leaderServes=no'
        : `${zab.role} server ${zab.leader}: not in sync yet`
    },
    *gauges() {
      yield ['damage_repaired_count', metrics.damageRepairedCount]
      if (zab.role === 'looking') return
      yield ['quorum_size', zab.committed.voters.length]
      const learners = zab.learners()
      const observers = learners.filter(({ observer, synced }) => observer && synced).length
      const serves = zab.role === 'following' && config.quorum.observerMasterPort > 0
      // Java's follower that serves no observers has a null there, which its provider for Prometheus makes a zero.
      const zero = zab.role === 'following' && config.metricsProvider.kind === 'prometheus'
      if (leads() || serves || zero) yield ['synced_observers', observers]
      if (!leads()) return
      const voters = learners.filter(({ sid, observer }) => !observer && zab.committed.isVoter(sid))
      yield ['learners', learners.length]
      yield ['synced_followers', voters.filter(({ synced }) => synced).length]
      yield [
        'synced_non_voting_followers',
        learners.filter((learner) => !learner.observer && learner.synced && !zab.committed.isVoter(learner.sid)).length,
      ]
      yield ['pending_syncs', 0]
      yield ['leader_uptime', Math.floor(host.nowMs() - member.establishedMs)]
      yield ['last_proposal_size', member.proposalSizes.last]
      yield ['max_proposal_size', member.proposalSizes.max]
      yield ['min_proposal_size', member.proposalSizes.min]
    },
  }
}

function memberStatus(config: Config, member: Member, leader: number, host: MemberViewHost): MemberStatus {
  const { zab } = member
  const sid = config.serverId!
  const quorum = zab.committed
  const observers = (): LearnerView[] => zab.learners().filter(({ observer, synced }) => observer && synced)
  const serves = zab.role === 'leading' || (zab.role === 'following' && config.quorum.observerMasterPort > 0)
  return {
    leads: zab.role === 'leading',
    leader,
    leaderHost: hostOf(quorum.quorumAddresses(leader)[0] ?? ''),
    voting: quorum.isVoter(sid),
    quorumAddresses: quorum.quorumAddresses(sid),
    electionAddresses: quorum.electionAddresses(sid),
    clientAddress: clientAddress(config, quorum.text, sid),
    phase: zab.established ? 'broadcast' : 'synchronization',
    voters: quorum.voters.map((voter) => ({
      sid: voter,
      quorumAddresses: quorum.quorumAddresses(voter),
      electionAddresses: quorum.electionAddresses(voter),
      clientAddress: clientAddress(config, quorum.text, voter),
    })),
    observers: serves ? observers().map((learner) => figuresOf(learner, host)) : null,
    resetObservers() {
      for (const { counts } of observers()) {
        Object.assign(counts, { packetsReceived: 0, packetsSent: 0, requests: 0, zxidLast: -1 })
      }
    },
  }
}

function figuresOf({ sid, link, sinceMs, counts }: LearnerView, host: MemberViewHost): LearnerFigures {
  return {
    sid,
    remote: `/${host.remoteOf(link)}`,
    establishedMs: Math.round(host.wallMs() - host.nowMs() + sinceMs),
    packetsReceived: counts.packetsReceived,
    packetsSent: counts.packetsSent,
    requests: counts.requests,
    lastZxid: counts.zxidLast,
  }
}

/** What a member's line says of its client port; a member's own is known anyway. */
function clientAddress(config: Config, membership: string, sid: number): string {
  const line = new RegExp(`^server\\.${sid}=[^;\n]*;(.+)$`, 'm').exec(membership)
  if (line !== null) return line[1]!.includes(':') ? line[1]! : `0.0.0.0:${line[1]}`
  const own = sid === config.serverId ? config.clientAddress : null
  return own === null ? '' : `${own.host ?? '0.0.0.0'}:${own.port}`
}

function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(':'))).replace(/^\[(.*)\]$/, '$1')
}
