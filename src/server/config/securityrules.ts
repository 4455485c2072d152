/**
 * How careful this server is to be: `security=strict` refuses to start with a door open that nobody should open by
 * accident (opendoors.ts has them), unless `security.allow` has its word; `sessionPassword` says how sessions are
 * guarded. All of it is ours. Part of config.ts.
 *
 *   security=strict
 *   security.allow=skipACL,forceSync
 *   sessionPassword=java | migrate | keyed
 *   sessionPassword.keyFile=/etc/zookeeper/session.key
 */

import type { ReadFile } from './configquorum.ts'
import { Secret, type Settings } from './settings.ts'

/**
 * Given and taken: `java` gives Java's and, with a key, takes both; `migrate` gives keyed ones and takes both; `keyed`
 * gives and takes keyed ones only.
 */
export type SessionPasswordMode = 'java' | 'migrate' | 'keyed'

export interface SecurityRules {
  readonly strict: boolean
  /** Words of doors that may be open all the same. */
  readonly allowed: ReadonlySet<string>
  readonly sessionPassword: SessionPasswordMode
  /** The same on every member; null: there is none, and passwords are Java's. */
  readonly sessionKey: Secret | null
}

const MODES: readonly string[] = ['java', 'migrate', 'keyed'] satisfies SessionPasswordMode[]
/** 128 bits in hexadecimal; `openssl rand -hex 32` makes twice as many. */
const KEY_CHARS_MIN = 32

export function isStrict(s: Settings): boolean {
  return s.text('security') === 'strict'
}

export function readSecurityRules(s: Settings, readFile: ReadFile): SecurityRules {
  const security = s.find('security')
  if (security !== null && security.value !== 'strict' && security.value !== 'normal') {
    throw s.refuse(security, `security=${security.value}: there are normal and strict`)
  }
  const strict = isStrict(s)
  const allow = s.find('security.allow')
  if (allow !== null && !strict) s.warn(allow.where, 'security.allow has no effect without security=strict')
  const mode = s.find('sessionPassword')
  if (mode !== null && !MODES.includes(mode.value)) {
    throw s.refuse(mode, `sessionPassword=${mode.value}: there are ${MODES.join(', ')}`)
  }
  const sessionKey = readKey(s, readFile)
  const sessionPassword = (mode?.value ?? 'java') as SessionPasswordMode
  if (sessionPassword !== 'java' && sessionKey === null) {
    throw s.refuse(
      mode,
      `sessionPassword=${sessionPassword} needs sessionPassword.keyFile: a file that is the same on every member, ` +
        'as `openssl rand -hex 32` makes one',
    )
  }
  return { strict, allowed: new Set(wordsOf(allow?.value ?? '')), sessionPassword, sessionKey }
}

function readKey(s: Settings, readFile: ReadFile): Secret | null {
  const file = s.find('sessionPassword.keyFile')
  if (file === null) return null
  const text = readFile(file.value)
  if (text === null) throw s.refuse(file, `sessionPassword.keyFile=${file.value}: there is no such file`)
  const key = text.trim()
  if (key.length < KEY_CHARS_MIN) {
    throw s.refuse(file, `sessionPassword.keyFile: a key of ${KEY_CHARS_MIN} characters at least, better more`)
  }
  return new Secret(key)
}

function wordsOf(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
