/**
 * Plans a change of the ensemble's membership: from the request to the configuration's new text, or the reason why not.
 *
 * Pure. Java: PrepRequestProcessor.pRequest2Txn (reconfig), QuorumPeerConfig.parseDynamicConfig.
 */

import type { Zxid } from '../jute/zxid.ts'
import type { ReconfigRequest } from './writeop.ts'

export interface Reconfigurer {
  /** `zxid` becomes the new configuration's version. `text` is its canonical form, owned by the caller. */
  plan(request: ReconfigRequest, zxid: Zxid): { readonly err: number } | { readonly text: Uint8Array }
}
