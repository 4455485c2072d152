/**
 * Recordings of servers of Apache ZooKeeper (recordquorum.mjs) in which our core takes the place of one after the other,
 * in all roles, and has to say what the Java server said there, byte for byte and in the same order.
 *
 * What is different, and said so below: a leader that has written nothing yet sends its empty tree to whoever comes late
 * (Java), or DIFF (ours, sync.ts); and the order in which a tree's nodes, ACLs and sessions are sent.
 */

import { describe, expect, it } from 'vitest'
import { type Play, type Played, type PlayOptions, play } from './quorumplayer.ts'
import { type Event, readRecording, readTree, type Said, tell } from './quorumrecording.ts'

const broadcast = readRecording('broadcast')
const rejoin = readRecording('rejoin')
const reconfig = readRecording('reconfig')
const RECONFIG: PlayOptions = { reconfigEnabled: true }
/** So little in memory that a learner without data needs the tree. */
const REJOIN: PlayOptions = { commitLogCount: 4 }

const ours = ({ member, link }: Played): Said[] => member.sent.get(link) ?? []
const linkOf = ({ links }: Play, link: number): Played => links.find((played) => played.link === link)!

/** What was said; of a tree only that there was one. */
function texts(packets: Said[]): string[] {
  return packets.map((said) => (said.name === 'TREE' ? 'TREE' : tell(said)))
}

function expectSame(played: Played): void {
  expect(texts(ours(played))).toEqual(texts(played.theirs))
}

/** Java's leader sent its tree, of which there is nothing yet, and ours says that there is nothing to send. */
function expectSameBehindSync(played: Played): void {
  const withoutPings = (packets: Said[]) => texts(packets).filter((text) => !text.startsWith('PING'))
  const [leaderInfo, snap, tree, ...rest] = withoutPings(played.theirs)
  expect([snap, tree]).toEqual(['SNAP 100000000', 'TREE'])
  expect(withoutPings(ours(played))).toEqual([leaderInfo, 'DIFF 0', ...rest])
}

/** The log entries that a leader sent, and those that it committed, in order; the packets taken by their words. */
function toldTo(packets: Said[]): { logged: string[]; committed: number[] } {
  const entryOf = ({ name, data }: Said) => (name === 'INFORMANDACTIVATE' ? data!.subarray(8) : data!).toString('hex')
  const entries = packets.filter(({ name }) => name === 'PROPOSAL' || name.startsWith('INFORM'))
  const commits = packets.filter(({ name }) => name.startsWith('COMMIT') || name.startsWith('INFORM'))
  return { logged: entries.map(entryOf), committed: commits.map(({ zxid }) => zxid) }
}

/** A process that only learned has logged what it was sent, and delivered what was committed, no more and no less. */
function expectLearned({ links, members }: Play): void {
  for (const member of members) {
    const its = links.filter((played) => played.member === member)
    if (its.some(({ role }) => role === 'leader')) continue
    const { logged, committed } = toldTo(its.flatMap(({ heard }) => heard))
    expect(member.delivered).toEqual(committed)
    expect(member.appended.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(logged)
  }
}

/** Every transaction carries the digest that the Java leader's tree had behind it. */
function expectDigests({ members }: Play): void {
  for (const { digestMismatches } of members) expect(digestMismatches).toEqual([])
}

function treeOf(played: Play): ReturnType<typeof readTree> {
  return readTree(played.members.at(-1)!.writeTree())
}

describe('a first start and all kinds of requests, recorded among servers of Apache ZooKeeper', () => {
  it('our follower says what the Java follower said, logs what it was sent and delivers what was committed', () => {
    const played = play(broadcast, 1)
    expect(played.links.map(({ role }) => role)).toEqual(['learner'])
    expectSame(played.links[0]!)
    expectLearned(played)
    expectDigests(played)
    expect(played.members[0]!.delivered).toHaveLength(0x17)
  })

  it("the requests in it are of all kinds, and the follower's client came back to it", () => {
    const said = linkOf(play(broadcast, 1), 1).theirs
    const types = said.filter(({ name }) => name === 'REQUEST').map(({ data }) => data!.readInt32BE(12))
    expect([...new Set(types)].sort((a, b) => a - b)).toEqual([-11, -10, 2, 5, 7, 9, 14, 15, 19, 21])
    expect(said.filter(({ name }) => name === 'REVALIDATE')).toHaveLength(3)
  })

  it('our follower hears whether a session goes on, and that a sync is answered', () => {
    const { member } = linkOf(play(broadcast, 1), 1)
    expect(
      member.lines.filter((line) => /^revalidated|^synced/.test(line)).map((line) => line.split(' ').at(-1)),
    ).toEqual(['synced', 'synced', 'true', 'true', 'false'])
  })

  it('our observer takes the tree, says what the Java observer said, and delivers what it was informed of', () => {
    const played = play(broadcast, 4)
    expectSame(linkOf(played, 2))
    expectLearned(played)
    expectDigests(played)
  })

  it('our leader says what the Java leader said, in the same order', () => {
    const played = play(broadcast, 2)
    expectSame(linkOf(played, 1))
    expectSameBehindSync(linkOf(played, 2))
    expectDigests(played)
    expect(played.members[0]!.revalidations.map((line) => line.split(' ')[0])).toEqual(['1', '1', '1'])
  })

  it('the trees of all three are the same at the end', () => {
    const trees = [1, 2, 4].map((sid) => treeOf(play(broadcast, sid)))
    expect(trees[1]).toEqual(trees[0])
    expect(trees[2]).toEqual(trees[0])
    expect([...trees[0]!.nodes.keys()]).toContain('/leader/sequence-0000000000')
  })
})

describe('members that come back, recorded among servers of Apache ZooKeeper', () => {
  const ops = (sid: number, link: number) => {
    const { heard } = linkOf(play(rejoin, sid, REJOIN), link)
    return texts(heard).filter((text) => /^(DIFF|TRUNC|SNAP)/.test(text))
  }

  it.each([1, 2, 3])(
    'server %i, if it is ours, says what the Java server said in each of its roles and lives',
    (sid) => {
      const played = play(rejoin, sid, REJOIN)
      for (const one of played.links) {
        if (one.role === 'leader' && one.link === 2) expectSameBehindSync(one)
        else expectSame(one)
      }
      expectLearned(played)
      expectDigests(played)
    },
  )

  it('E2: DIFF, SNAP and TRUNC are all in it, and are decided alike by our leader', () => {
    expect(ops(1, 3)).toEqual(['DIFF 100000008'])
    expect(ops(1, 4)).toEqual(['SNAP 100000009'])
    expect(ops(3, 6)).toEqual(['TRUNC 10000000a'])
    const sent = (sid: number, link: number) => texts(ours(linkOf(play(rejoin, sid, REJOIN), link)))
    expect(sent(3, 3)).toContain('DIFF 100000008')
    expect(sent(3, 4)).toContain('SNAP 100000009')
    expect(sent(2, 6)).toContain('TRUNC 10000000a')
  })

  it('E3: TRUNC takes from our log, and from the tree, what only a Java leader that died had', () => {
    const [leading, cut] = play(rejoin, 3, REJOIN).members
    expect(leading!.delivered.at(-1)).toBe(0x1_0000_000a)
    expect(cut!.disk.log.map(({ zxid }) => zxid).slice(9, 12)).toEqual([0x1_0000_000a, 0x2_0000_0001, 0x2_0000_0002])
    expect([...readTree(cut!.writeTree()).nodes.keys()].filter((path) => path.startsWith('/lost'))).toEqual([])
  })

  it("Java's tree is read to its signature, and ours of the same transactions is the same but for the order of nodes", () => {
    const { trees } = play(rejoin, 3, REJOIN)
    expect(trees).toHaveLength(2)
    for (const { theirs, ours } of trees) {
      expect(readTree(ours)).toEqual(readTree(theirs))
      expect(ours.length).toBe(theirs.length)
    }
    const loaded = play(rejoin, 1, REJOIN).members[2]!.disk.snapshot!
    expect(loaded.zxid).toBe(0x1_0000_0009)
    expect(loaded.bytes).toEqual(trees[1]!.theirs)
  })

  it('the trees of all three are the same at the end', () => {
    const trees = [1, 2, 3].map((sid) => treeOf(play(rejoin, sid, REJOIN)))
    expect(trees[1]).toEqual(trees[0])
    expect(trees[2]).toEqual(trees[0])
  })
})

describe('reconfigurations, recorded among servers of Apache ZooKeeper', () => {
  it.each([1, 2, 3, 4])('server %i, if it is ours, says what the Java server said in each of its roles', (sid) => {
    const played = play(reconfig, sid, RECONFIG)
    for (const one of played.links) {
      if (one.role === 'leader' && (one.link === 2 || one.link === 3)) expectSameBehindSync(one)
      else expectSame(one)
    }
    expectLearned(played)
    expectDigests(played)
    expect(played.members[0]!.peer.committed.version).toBe(0x1_0000_0007)
  })

  it('roles and leaders change without an election where a reconfiguration says so', () => {
    const told = linkOf(play(reconfig, 3, RECONFIG), 1).theirs.filter(({ name }) => name === 'COMMITANDACTIVATE')
    const leaders = told.map(({ data }) => Number(data!.readBigInt64BE(0)))
    expect(leaders.slice(0, 2)).toEqual([3, 3])
    const next = leaders[2]!
    expect(next).not.toBe(3)
    for (const sid of [1, 2, 3, 4]) expect(play(reconfig, sid, RECONFIG).members[0]!.elected).toEqual([3])
    expect(play(reconfig, next, RECONFIG).links.map(({ role }) => role)).toEqual(['learner', 'leader', 'leader'])
    const observer = play(reconfig, 4, RECONFIG)
    expect(observer.links.map((one) => ours(one)[0]!.name).slice(0, 2)).toEqual(['OBSERVERINFO', 'FOLLOWERINFO'])
  })
})

describe('N5: bytes that come in other pieces', () => {
  /** Wherever a piece may end, it does in one of the runs. */
  const STRIDE = 61
  const cases: [string, readonly Event[], number, PlayOptions][] = [
    ['a follower', broadcast, 1, {}],
    ['an observer that takes the tree', broadcast, 4, {}],
    ['a leader', broadcast, 2, {}],
    ['a member of three lives', rejoin, 1, REJOIN],
    ['a server in all roles', reconfig, 1, RECONFIG],
  ]
  const said = (played: Play) => played.links.map((one) => texts(ours(one)))

  it.each(cases)('%s does the same, byte by byte', (_who, events, sid, options) => {
    expect(said(play(events, sid, { ...options, cuts: () => true }))).toEqual(said(play(events, sid, options)))
  })

  it.each(cases.slice(0, 2))('%s does the same, cut at every offset', (_who, events, sid, options) => {
    const whole = said(play(events, sid, options))
    for (let at = 0; at < STRIDE; at++) {
      expect(said(play(events, sid, { ...options, cuts: (offset) => offset % STRIDE === at }))).toEqual(whole)
    }
  })
})
