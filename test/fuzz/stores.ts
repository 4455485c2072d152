/** Damaged key and trust stores: read, or refused by a StoreError, and soon: a store may ask for any number of rounds. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readStore } from '../../src/server/tls/store.ts'
import { StoreError } from '../../src/server/tls/storeerror.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'
import type { Sample } from './samples.ts'

/** Of every store there that has one. */
const PASSWORD = 'secret word'
/** The most rounds that are believed take less. */
const SLOW_MS = 10_000

export function storeSamples(folder: string): Sample[] {
  return readdirSync(folder)
    .filter((name) => /\.(pem|p12|jks)$/.test(name))
    .sort()
    .map((name) => {
      const bytes = Uint8Array.from(readFileSync(join(folder, name)))
      return { name, bytes, marks: name.endsWith('.pem') ? [] : lengthsOf(bytes) }
    })
}

/** Where DER has a tag and a length, and JKS a count: what everything behind depends on. */
function lengthsOf(bytes: Uint8Array): number[] {
  const marks: number[] = []
  for (let i = 0; i + 2 < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === 0x30 || byte === 0x04 || byte === 0x02 || (byte === 0 && bytes[i + 1] === 0)) marks.push(i)
  }
  return marks
}

export function judgeStore(each: Case): Verdict {
  const startMs = performance.now()
  let refusals = 0
  for (const password of [PASSWORD, null, 'another one']) {
    try {
      readStore(each.bytes, password)
    } catch (err) {
      if (!(err instanceof StoreError)) throw err
      if (err.message.includes(PASSWORD)) return { outcome: 'refused', problem: `tells the password: ${err.message}` }
      refusals++
    }
  }
  const ms = performance.now() - startMs
  const problem = ms > SLOW_MS ? `${Math.round(ms)} ms for one store` : null
  return { outcome: refusals === 3 ? 'refused' : 'started', problem }
}
