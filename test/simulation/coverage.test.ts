/** Every fault that a server of this kind is to survive has something that plays it, and says so by its id. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const TESTS = join(import.meta.dirname, '..')

const FAULTS: readonly string[] = Object.entries({ C: 16, D: 11, E: 14, N: 9, S: 9, T: 5 }).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
)

/** Titles of tests and of text scenarios, what durability tests say of themselves, and the list of situations. */
function titles(): string[] {
  const found: string[] = []
  for (const entry of readdirSync(TESTS, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.parentPath.includes('.build')) continue
    const path = join(entry.parentPath, entry.name)
    if (entry.name.endsWith('.test.ts'))
      found.push(...(readFileSync(path, 'utf8').match(/\b(?:it|test|describe)\(\s*['"`].*/g) ?? []))
    else if (path.includes('scenarios') && entry.name.endsWith('.txt'))
      found.push(...(readFileSync(path, 'utf8').match(/^#.*/gm) ?? []))
    else if (entry.name.endsWith('.mjs') || ['coverage.ts', 'faults.ts'].includes(entry.name))
      found.push(readFileSync(path, 'utf8'))
  }
  return found
}

it('names every fault of the list, in a test, a scenario, or a situation of the seeded runs', () => {
  const text = titles().join('\n')
  const named = (id: string): boolean => {
    if (new RegExp(`\\b${id}\\b`).test(text)) return true
    const [letter, number] = [id[0], Number(id.slice(1))]
    // "C1 to C6" and "S4-S6" name what lies between, too.
    for (const [, first, last] of text.matchAll(new RegExp(`\\b${letter}(\\d+)(?: to |-)${letter}(\\d+)\\b`, 'g'))) {
      if (number >= Number(first) && number <= Number(last)) return true
    }
    return false
  }
  expect(FAULTS.filter((id) => !named(id))).toEqual([])
})
