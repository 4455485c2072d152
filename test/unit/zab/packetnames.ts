/** Packets of the quorum protocol by the number they have on the wire, as Java's Leader and Learner name them. */

export const PACKET_NAMES: readonly string[] = [
  '',
  'REQUEST',
  'PROPOSAL',
  'ACK',
  'COMMIT',
  'PING',
  'REVALIDATE',
  'SYNC',
  'INFORM',
  'COMMITANDACTIVATE',
  'NEWLEADER',
  'FOLLOWERINFO',
  'UPTODATE',
  'DIFF',
  'TRUNC',
  'SNAP',
  'OBSERVERINFO',
  'LEADERINFO',
  'ACKEPOCH',
  'INFORMANDACTIVATE',
]
