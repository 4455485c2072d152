/** Damaged input of section 10 of the list of faults: logins, key stores, packets between members, the admin server (test/fuzz has the cases). */

import { describe, expect, it } from 'vitest'
import type { Case, Kind } from '../../../fuzz/cases.ts'
import { judge } from '../../../fuzz/judge.ts'
import { makeMaterial, run } from '../../../fuzz/run.ts'
import { FIXTURES } from '../../txnlog/states.ts'

describe('samples that are not damaged', () => {
  // Else the damaged ones would be refused for something else, early.
  it.each(['config', 'login', 'quorum', 'http'] as const)('of %s are taken to their end', async (kind: Kind) => {
    const material = await makeMaterial(kind, FIXTURES)
    expect(material.samples.length).toBeGreaterThan(1)
    // But for those that are not meant to be right.
    for (const { name, bytes } of material.samples.filter((sample) => !/^(odd|POST|OPTIONS) /.test(sample.name))) {
      const each: Case = { kind, base: '', file: name, bytes, sealed: false, what: 'nothing' }
      expect([name, await judge(each, material)]).toEqual([name, { outcome: 'started', problem: null }])
    }
  })
})

describe('damaged input', () => {
  for (const [kind, count] of [
    ['keystore', 60],
    ['login', 500],
    ['quorum', 50],
    ['http', 150],
  ] as const) {
    it(`${kind}: an error of ours or a right outcome for ${count} seeded mutations`, async () => {
      const { cases, failures } = await run({ kind, seed: 1_000_000, count, limitMs: 0, fixtures: FIXTURES })
      expect(failures.map(({ seed, problem }) => `--kind ${kind} --seed ${seed}: ${problem}`)).toEqual([])
      expect(cases).toBe(count)
    })
  }
})
