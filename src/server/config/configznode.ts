/** The znode /zookeeper/config, which holds the text of the configuration in force. */

import type { StateMachine } from '../../datatree/apply.ts'
import { StorageError } from '../../jute/errors.ts'
import { decodeText, textToBytes } from '../../jute/text.ts'
import type { Quorum } from '../../zab/types.ts'
import { sameBytes } from '../requests/paths.ts'

const CONFIG_PATH = textToBytes('/zookeeper/config')

/** Null where it is empty. */
export function readConfigZnode({ tree }: StateMachine): string | null {
  const node = tree.find(CONFIG_PATH, 0, CONFIG_PATH.length)
  const data = node === 0 ? null : tree.dataOf(node)
  return data === null || data.length === 0 ? null : decodeText(data, 0, data.length)
}

/** As Java's members write it, each for itself: no transaction, no watch. */
export function writeConfigZnode({ tree }: StateMachine, quorum: Quorum, wallMs: number): void {
  const node = tree.find(CONFIG_PATH, 0, CONFIG_PATH.length)
  if (node === 0) throw new StorageError('the tree has no /zookeeper/config')
  const text = textToBytes(quorum.text)
  const before = tree.dataOf(node)
  if (tree.mzxid(node) === quorum.version && before !== null && sameBytes(before, 0, before.length, text)) return
  tree.setData(node, text, 0, text.length, -1, quorum.version, wallMs)
}
