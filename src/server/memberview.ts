/** What the text interfaces see of an ensemble's member besides what every server has. */

import type { Config } from './config.ts'
import type { ConfView } from './fourletter.ts'
import type { Member } from './member.ts'
import type { Metrics } from './metrics.ts'

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
  /** Figures that only some roles have, under Java's names. */
  gauges(): Iterable<readonly [string, number]>
}

export function memberView(config: Config, member: Member, metrics: Metrics, nowMs: () => number): EnsembleView {
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
    *gauges() {
      yield ['damage_repaired_count', metrics.damageRepairedCount]
      if (zab.role === 'looking') return
      yield ['quorum_size', zab.committed.voters.length]
      const learners = zab.learners()
      const observers = learners.filter(({ observer, synced }) => observer && synced).length
      const serves = zab.role === 'following' && config.quorum.observerMasterPort > 0
      if (leads() || serves) yield ['synced_observers', observers]
      if (!leads()) return
      const voters = learners.filter(({ sid, observer }) => !observer && zab.committed.isVoter(sid))
      yield ['learners', learners.length]
      yield ['synced_followers', voters.filter(({ synced }) => synced).length]
      yield [
        'synced_non_voting_followers',
        learners.filter((learner) => !learner.observer && learner.synced && !zab.committed.isVoter(learner.sid)).length,
      ]
      yield ['pending_syncs', 0]
      yield ['leader_uptime', Math.floor(nowMs() - member.establishedMs)]
      yield ['last_proposal_size', member.proposalSizes.last]
      yield ['max_proposal_size', member.proposalSizes.max]
      yield ['min_proposal_size', member.proposalSizes.min]
    },
  }
}
