/** No shell, no eval, no code named by a configuration: nothing in the sources could do it. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const SRC = fileURLToPath(new URL('../../../../src', import.meta.url))
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))

function placesOf(pattern: RegExp): string[] {
  return files.flatMap((name) => {
    const lines = readFileSync(join(SRC, name), 'utf8').split('\n')
    return lines.flatMap((line, i) => (pattern.test(line) && !/^\s*(\*|\/)/.test(line) ? [`${name}:${i + 1}`] : []))
  })
}

const fileOf = (place: string): string => place.split(':')[0]!

describe('the sources', () => {
  it('make no code out of text', () => {
    expect(files.length).toBeGreaterThan(100)
    expect(placesOf(/\beval\(|new Function\b|node:vm\b|createRequire|\brequire\(/)).toEqual([])
  })

  it('load modules by names that stand there, but for the optional package of checkpoints', () => {
    const places = placesOf(/\bimport\((?!')/)
    expect(places.map(fileOf)).toEqual(['txnlog/levelkv.ts'])
    expect(readFileSync(join(SRC, 'txnlog/levelkv.ts'), 'utf8')).toContain("const PACKAGE: string = 'level'")
  })

  it('start processes nowhere but where the command line runs servers of its own, and never by a shell', () => {
    expect(
      placesOf(/node:child_process/)
        .map(fileOf)
        .sort(),
    ).toEqual(['cli/bench/command.ts', 'cli/ensemble.ts'])
    expect(placesOf(/shell: true|\bexec(File)?(Sync)?\('/)).toEqual([])
    for (const place of placesOf(/\bspawn\(/)) {
      const [name, line] = place.split(':') as [string, string]
      expect(readFileSync(join(SRC, name), 'utf8').split('\n')[Number(line) - 1]).toContain('spawn(process.execPath,')
    }
  })
})
