/**
 * What must hold when all is quiet: every member has delivered all that is committed and has the very tree and sessions
 * that the committed transactions make, to the last field (I1, I2, I7, I8).
 */

import { id64Hex } from '../../../src/jute/id64.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import * as records from '../../../src/jute/records.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'
import { law } from '../failure.ts'
import type { Machine } from '../machine.ts'
import type { Model } from '../model.ts'
import { checkStat, sameBytes } from './replies.ts'

/** Znodes that every tree has from the beginning: the root, /zookeeper and its config and quota. */
const BUILT_IN = 4

export function checkMember(machine: Machine, model: Model): void {
  const { state } = machine.member!
  const { tree } = state
  const who = machine.name
  const out = new Output(128)
  let count = BUILT_IN
  for (const path of model.livePaths()) {
    count++
    const node = model.node(path)!
    const bytes = textToBytes(path)
    const found = tree.find(bytes, 0, bytes.length)
    law(found > 0, 'I1', () => `${who} lacks ${path}, committed at ${zxidHex(node.czxid)}`)
    law(sameBytes(tree.dataOf(found), node.data), 'I3', () => `${who} has other data in ${path}`)
    out.clear()
    tree.writeStat(found, out)
    checkStat(() => `${who} has ${path}`, records.readStat(new Input(out.bytes())), node)
  }
  law(tree.nodeCount === count, 'I2', () => `${who} has ${tree.nodeCount} znodes, ${count} are committed`)
  const sessions: string[] = []
  state.sessions.forEach((timeoutMs, hi, lo) => {
    sessions.push(`${id64Hex(hi, lo)} of ${timeoutMs} ms`)
  })
  const live = model.liveSessions().map((id) => `${id} of ${model.sessions.get(id)!.timeoutMs} ms`)
  law(
    sessions.sort().join() === live.join(),
    'I7',
    () => `${who} has sessions ${sessions.join(', ')}, live are ${live.join(', ')}`,
  )
  // By owner, as the end of a session finds them.
  const owned: string[] = []
  tree.forEachEphemeralSession((hi, lo) => {
    tree.forEachEphemeral(hi, lo, (node) => owned.push(`${id64Hex(hi, lo)} ${textOf(tree.pathOf(node))}`))
  })
  const due = model.liveSessions().flatMap((id) => model.ephemeralsOf(id).map((path) => `${id} ${path}`))
  law(
    owned.sort().join() === due.sort().join(),
    'I7',
    () => `${who} has ephemerals ${owned.join(', ')}, those of live sessions are ${due.join(', ')}`,
  )
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
