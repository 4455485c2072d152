import { describe, expect, it } from 'vitest'
import { packet } from '../zab/lone.ts'
import { Alone, TREE_LINK } from './alone.ts'

describe('a member', () => {
  it('E11, N3: gives a leader up that stops in the middle of its snapshot, after initLimit, and says so', async () => {
    const alone = new Alone()
    await alone.member.start(null)
    await alone.follow(1)
    expect(alone.member.zab.role).toBe('following')
    alone.receive(TREE_LINK, packet('SNAP', 2 ** 32 + 5))
    alone.now += 9000
    alone.receive(TREE_LINK, new Uint8Array([0, 0, 0]))
    alone.now += 9999
    alone.member.clockFirst()
    expect(alone.closed).not.toContain(TREE_LINK)
    alone.now += 1
    expect(alone.member.nextDeadlineMs()).toBeLessThanOrEqual(alone.now)
    alone.member.clockFirst()
    expect(alone.closed).toContain(TREE_LINK)
    expect(alone.member.zab.role).toBe('looking')
    expect(alone.warnings).toContain('no more of the tree came from the leader for initLimit')
  })
})
