/** What cases of the kinds without a folder are made from: bytes as they should be, by name. */

import { join } from 'node:path'
import type { Kind } from './cases.ts'
import { configSamples } from './configs.ts'
import { httpSamples } from './http.ts'
import { loginSamples } from './logins.ts'
import { quorumSamples } from './quorum.ts'
import { storeSamples } from './stores.ts'

export interface Sample {
  name: string
  bytes: Uint8Array
  /** Offsets where something counts. */
  marks: readonly number[]
}

/** `fixtures`: the recorded data folders; the other fixtures are where they are from there. */
export async function makeSamples(kind: Kind, fixtures: string): Promise<readonly Sample[]> {
  const tests = join(fixtures, '../../..')
  switch (kind) {
    case 'config':
      return configSamples()
    case 'http':
      return httpSamples()
    case 'keystore':
      return storeSamples(join(tests, 'unit/server/tls/fixtures'))
    case 'login':
      return loginSamples(join(tests, 'unit/server/sasl/fixtures'))
    case 'quorum':
      return quorumSamples()
    default:
      return []
  }
}
