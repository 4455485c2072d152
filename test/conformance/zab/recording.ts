/**
 * A recorded stay of our election among servers of Apache ZooKeeper: every input with its time, and what we did.
 *
 * One line per event: milliseconds, a word, and its arguments; bytes are hex. Inputs are `accept`, `open`, `failed`,
 * `bytes`, `closed`, `deadline`, `look` and `settle`; outputs are `dial`, `send`, `close` and `elected`. The election is
 * deterministic, so the inputs alone bring forth the outputs again; that Java went along with them is in the bytes that
 * it sent back.
 */

import { makeQuorum } from '../../../src/zab/quorum.ts'
import { type ParseQuorum, type Role, type Vote, ZAB_DEFAULTS, type ZabOptions } from '../../../src/zab/types.ts'

/** Enough of a parser for the configurations of these recordings: one host, one address each, IPv4. */
export const parseQuorum: ParseQuorum = (text) => {
  const members = [...text.matchAll(/^server\.(\d+)=([^:\n]+):(\d+):(\d+):(\w+)/gm)].map(
    ([, sid, host, quorumPort, electionPort, role]) => ({
      sid: Number(sid),
      voter: role === 'participant',
      quorumAddresses: [`${host}:${quorumPort}`],
      electionAddresses: [`${host}:${electionPort}`],
    }),
  )
  const version = Number.parseInt(/version=(\w+)$/.exec(text)![1]!, 16)
  return makeQuorum({ members, groups: new Map(), weights: new Map(), version, text })
}

export const OPTIONS: ZabOptions = {
  ...ZAB_DEFAULTS,
  sid: 2,
  tickMs: 2000,
  initLimitTicks: 10,
  syncLimitTicks: 5,
}

export function formatVote({ leader, zxid, electionEpoch, peerEpoch }: Vote): string {
  return `${leader} ${zxid} ${electionEpoch} ${peerEpoch}`
}

export function parseVote(words: readonly string[]): Vote {
  const [leader, zxid, electionEpoch, peerEpoch] = words.map(Number)
  return { leader: leader!, zxid: zxid!, electionEpoch: electionEpoch!, peerEpoch: peerEpoch! }
}

export function parseRole(word: string): Role {
  if (word === 'following' || word === 'leading' || word === 'observing') return word
  return 'looking'
}
