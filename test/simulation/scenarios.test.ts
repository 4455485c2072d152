import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { playScenario } from './scenario.ts'
import { loadScenarios } from './scenarios.ts'

const folder = fileURLToPath(new URL('scenarios', import.meta.url))

describe('scenarios', () => {
  for (const scenario of loadScenarios(folder)) {
    it(scenario.title, async () => {
      const { printed, failure } = await playScenario(scenario, false)
      expect(printed).toBe(scenario.expected)
      expect(failure).toBeNull()
    })
  }
})
