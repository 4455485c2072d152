/** N9: what clients do not read is bounded, for each and for all. */

import { expect, it } from 'vitest'
import { Unsent } from '../../../src/server/clients/unsent.ts'

const MB = 1024 * 1024
const client = (megabytes: number) => ({ socket: { writableLength: megabytes * MB } })

it('the client that goes beyond its own limit is the one to be cut', () => {
  const unsent = new Unsent(64 * MB, 1000 * MB)
  const [slow, other] = [client(64), client(10)]
  expect([unsent.note(slow), unsent.note(other)]).toEqual([null, null])
  slow.socket.writableLength++
  expect(unsent.note(slow)).toBe(slow)
})

it('beyond the limit of all, the one with most is cut, whoever has written last', () => {
  const unsent = new Unsent(64 * MB, 100 * MB)
  const [most, less, last] = [client(50), client(40), client(20)]
  expect([unsent.note(most), unsent.note(less)]).toEqual([null, null])
  expect(unsent.note(last)).toBe(most)
  unsent.forget(most)
  expect(unsent.note(last)).toBeNull()
})

it('nobody is cut for what has been read meanwhile', () => {
  const unsent = new Unsent(64 * MB, 100 * MB)
  const clients = Array.from({ length: 10 }, () => client(10))
  for (const each of clients) {
    expect(unsent.note(each)).toBeNull()
    each.socket.writableLength = 0
  }
  expect(unsent.note(client(60))).toBeNull()
  for (const each of clients) {
    each.socket.writableLength = 5 * MB
    unsent.note(each)
  }
  expect(unsent.note(client(10))).not.toBeNull()
})
