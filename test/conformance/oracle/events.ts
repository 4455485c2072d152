/**
 * Which reply watch events belong to: a transaction's events come ahead of its reply. Where one server takes a request and
 * the other refuses it, one side has events and the other its reply already: the two replies are what is to be compared.
 */
import { readHeader } from './replies.ts'
import type { Message } from './side.ts'

/** Index of the reply whose transaction set off all of the events from `at` on; `at` where that is not what is there. */
export function replyBehindEvents(received: readonly Message[], at: number, end: number): number {
  let i = at
  while (i < end && received[i]!.kind === 'event') i++
  const reply = received[i]
  if (i === at || i >= end || reply?.kind !== 'reply') return at
  const { zxid } = readHeader(reply.bytes)
  for (const event of received.slice(at, i)) {
    if (event.kind !== 'event' || readHeader(event.bytes).zxid !== zxid) return at
  }
  return i
}
