/** X3, X4, X5: what a stranger learns about a znode that is not for him. The reference beside it: oracle case acl-attacks. */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../../src/jute/codes.ts'
import { Input } from '../../../../src/jute/input.ts'
import type { Output } from '../../../../src/jute/output.ts'
import { acl, bool, create, data, Harness, int, path, type TestClient } from '../harness.ts'

/** Nobody here is at that address. */
const OTHERS = acl([31, 'ip', '10.0.0.1'])
/** Everybody reads, one user administers; the hash is what must not be seen. */
const READABLE = acl([1, 'world', 'anyone'], [31, 'digest', 'admin:c2VjcmV0'])

interface Scene {
  harness: Harness
  owner: TestClient
  stranger: TestClient
  ask(type: number, write: (out: Output) => void): number
}

function scene(options: ConstructorParameters<typeof Harness>[0] = {}): Scene {
  const harness = new Harness(options)
  const owner = harness.client()
  const stranger = harness.client()
  owner.send(OpCode.create, create('/open'))
  owner.send(OpCode.create, create('/open/secret', 0, 'x', OTHERS))
  owner.send(OpCode.create, create('/readable', 0, 'x', READABLE))
  harness.settle()
  return {
    harness,
    owner,
    stranger,
    ask: (type, write) => {
      stranger.send(type, write)
      harness.flush()
      return stranger.last.err
    },
  }
}

const eventsOf = ({ replies }: TestClient): string[] =>
  replies
    .filter(({ xid }) => xid === -1)
    .map(({ body }) => {
      const input = new Input(body)
      const type = input.int()
      input.int()
      return `${type} ${input.string()}`
    })

const setWatches = (...lists: string[][]): ((out: Output) => void) => {
  return (out) => {
    out.long(0)
    for (const list of lists) {
      out.int(list.length)
      for (const each of list) out.string(each)
    }
  }
}

describe('X3: getACL', () => {
  it('needs READ or ADMIN', () => {
    expect(scene().ask(OpCode.getACL, path('/open/secret'))).toBe(Err.noAuth)
  })

  it('shows a reader without ADMIN that there is a user, and not the digest', () => {
    const { ask, stranger } = scene()
    expect(ask(OpCode.getACL, path('/readable'))).toBe(Err.ok)
    const text = Buffer.from(stranger.last.body).toString('latin1')
    expect(text).toContain('admin:x')
    expect(text).not.toContain('c2VjcmV0')
  })
})

describe('X5: exists', () => {
  it('tells who may not read a znode nothing about it, but that it is not to be read', () => {
    const { ask, stranger } = scene()
    expect(ask(OpCode.exists, path('/open/secret', bool(false)))).toBe(Err.noAuth)
    expect(stranger.last.body).toHaveLength(0)
    expect(ask(OpCode.exists, path('/open/other', bool(false)))).toBe(Err.noNode)
  })
})

describe('X4: watches', () => {
  it('persistent and recursive ones tell of each event only who may read the znode then', () => {
    const { harness, owner, stranger, ask } = scene()
    ask(OpCode.addWatch, path('/open', int(1)))
    ask(OpCode.addWatch, path('/open/secret', int(0)))
    owner.send(OpCode.create, create('/open/hidden', 0, 'x', OTHERS))
    owner.send(OpCode.create, create('/open/shown'))
    harness.settle()
    expect(eventsOf(stranger)).toEqual(['1 /open/shown'])
    // A watch from before does not outlive the right to read.
    owner.send(OpCode.setACL, path('/open/shown', acl([31, 'ip', '10.0.0.1'], [2, 'world', 'anyone']), int(-1)))
    owner.send(OpCode.setData, path('/open/shown', data('secret'), int(-1)))
    harness.settle()
    expect(owner.last.err).toBe(Err.ok)
    expect(eventsOf(stranger)).toEqual(['1 /open/shown'])
  })

  it('put back after a reconnect, they do not tell of what the client may not read either', () => {
    const { ask, stranger } = scene()
    expect(ask(OpCode.setWatches, setWatches(['/open/secret'], ['/open/secret'], ['/open/secret']))).toBe(Err.ok)
    expect(eventsOf(stranger)).toEqual([])
    expect(ask(OpCode.setWatches2, setWatches(['/readable'], ['/open/secret'], [], [], []))).toBe(Err.ok)
    expect(eventsOf(stranger)).toEqual(['3 /readable'])
  })

  it('compat.missedEvents=true tells of them, as the reference does', () => {
    const { ask, stranger } = scene({ compat: { missedEvents: true } })
    ask(OpCode.setWatches, setWatches(['/open/secret'], [], []))
    expect(eventsOf(stranger)).toEqual(['3 /open/secret'])
  })
})
