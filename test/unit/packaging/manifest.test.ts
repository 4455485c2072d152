/** What comes along with an installation: few packages, locked, of known licences, that run nothing when installed. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

interface Locked {
  readonly version: string
  readonly license?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
}

const root = (file: string): URL => new URL(`../../../${file}`, import.meta.url)
const read = (file: string): string => readFileSync(fileURLToPath(root(file)), 'utf8')
const manifest: Record<string, Record<string, string>> = JSON.parse(read('package.json'))
const lock: { packages: Record<string, Locked> } = JSON.parse(read('package-lock.json'))

/** Each allows to be shipped with a work under the Apache licence. */
const LICENCES = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD', 'BlueOak-1.0.0', 'Unlicense']

/** Optional, and loaded on demand; their scripts only build what is not there prebuilt. */
const MAY_HAVE_SCRIPTS = ['node_modules/classic-level', 'node_modules/kerberos']

const all = Object.entries(lock.packages).filter(([path]) => path !== '')
const shipped = all.filter(([, each]) => each.dev !== true)

describe('X: few runtime dependencies, locked, with licence check; no install scripts needed', () => {
  test('every dependency of ours is named with a version that npm ci takes from the lock, with its hash', () => {
    expect(shipped.length).toBeGreaterThan(10)
    for (const [path, each] of all) expect(each.integrity, path).toMatch(/^sha512-/)
    const hosts = all.flatMap(([, { resolved }]) => (resolved === undefined ? [] : [new URL(resolved).host]))
    expect([...new Set(hosts)].length).toBeLessThanOrEqual(1)
  })

  test('every package that is shipped has a licence that lets it be', () => {
    const offending = shipped.filter(([, { license }]) => !allowed(license ?? 'none'))
    expect(offending.map(([path, { license }]) => `${path}: ${license}`)).toEqual([])
  })

  test('no package that is shipped needs to run a script when it is installed', () => {
    const scripted = shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true)
    for (const [path, each] of scripted) {
      expect(MAY_HAVE_SCRIPTS, path).toContain(path)
      expect(each.optional, path).toBe(true)
    }
    const own = Object.keys(manifest['scripts'] ?? {})
    expect(own.filter((name) => ['preinstall', 'install', 'postinstall'].includes(name))).toEqual([])
  })

  test('there are at most a hundred of them, those of the optional ones included', () => {
    expect(shipped.length).toBeLessThanOrEqual(100)
  })
})

/** `MIT`, or `(MIT OR GPL-3.0)`: one of them will do. */
function allowed(expression: string): boolean {
  const choices = expression.replace(/^\(|\)$/g, '').split(' OR ')
  return choices.some((choice) => choice.split(' AND ').every((each) => LICENCES.includes(each.trim())))
}
