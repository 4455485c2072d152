/** Session passwords that follow from a secret of the ensemble: HMAC-SHA256 over the session's id, cut to 16 bytes. */

import { createHmac } from 'node:crypto'
import type { SecurityRules } from '../config/securityrules.ts'
import {
  JAVA_PASSWORDS,
  PASSWORD_BYTES,
  type SessionPasswords,
  type WritePassword,
  writeJavaPassword,
} from './sessionpasswords.ts'

/** Keys are for one purpose: another one made from the same secret would have another name here. */
const PURPOSE = 'zoowarden session password 1\0'

export function sessionPasswords({ sessionPassword, sessionKey }: SecurityRules): SessionPasswords {
  if (sessionKey === null) return JAVA_PASSWORDS
  const keyed = keyedPasswords(sessionKey.reveal())
  if (sessionPassword === 'keyed') return { write: keyed, accepted: [keyed] }
  const accepted = [keyed, writeJavaPassword]
  return { write: sessionPassword === 'java' ? writeJavaPassword : keyed, accepted }
}

export function keyedPasswords(secret: string): WritePassword {
  const id = new Uint8Array(8)
  const view = new DataView(id.buffer)
  return (hi, lo, into, at) => {
    view.setInt32(0, hi)
    view.setInt32(4, lo)
    const hash = createHmac('sha256', secret).update(PURPOSE).update(id).digest()
    into.set(hash.subarray(0, PASSWORD_BYTES), at)
  }
}
