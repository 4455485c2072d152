/**
 * What must hold when all is quiet: every member has delivered all that is committed and has the very tree and sessions
 * that the committed transactions make (I1, I2, I7, I8), and no session lives but those that clients hold.
 */

import { id64Hex } from '../../../src/jute/id64.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'
import { law } from '../failure.ts'
import type { Machine } from '../machine.ts'
import type { Model } from '../model.ts'

/** Znodes that every tree has from the beginning: the root, /zookeeper and its config and quota. */
const BUILT_IN = 4
const NOTHING = new Uint8Array(0)

export function checkMember(machine: Machine, model: Model): void {
  const { state } = machine.member!
  const { tree } = state
  const who = machine.name
  let count = BUILT_IN
  for (const path of model.livePaths()) {
    count++
    const node = model.node(path)!
    const bytes = textToBytes(path)
    const found = tree.find(bytes, 0, bytes.length)
    law(found > 0, 'I1', () => `${who} lacks ${path}, committed at ${zxidHex(node.czxid)}`)
    law(
      node.data === null || Buffer.compare(tree.dataOf(found) ?? NOTHING, node.data) === 0,
      'I3',
      () => `${who} has other data in ${path}`,
    )
    law(tree.mzxid(found) === node.mzxid, 'I3', () => `${who} has another mzxid for ${path}`)
    if (node.owner !== '') {
      const session = model.sessions.get(node.owner)
      law(session?.closedZxid === null, 'I7', () => `${who} has ${path} of session ${node.owner}, which is over`)
    }
  }
  law(tree.nodeCount === count, 'I2', () => `${who} has ${tree.nodeCount} znodes, ${count} are committed`)
  const sessions = new Set<string>()
  state.sessions.forEach((_timeout, hi, lo) => {
    sessions.add(id64Hex(hi, lo))
  })
  const live = model.liveSessions()
  law(
    sessions.size === live.length && live.every((id) => sessions.has(id)),
    'I7',
    () => `${who} has sessions ${[...sessions].sort().join(' ')}, live are ${live.join(' ')}`,
  )
}
