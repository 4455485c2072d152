/** The commands for files and Apache's scripts, run as processes of the installed package. */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FIXTURES } from '../txnlog/states.ts'
import { type InstalledPackage, installPackage, start } from './package.ts'

const SCRIPTS = [
  'zkCleanup.sh',
  'zkSnapShotToolkit.sh',
  'zkSnapshotComparer.sh',
  'zkSnapshotRecursiveSummaryToolkit.sh',
  'zkTxnLogToolkit.sh',
]

let installed: InstalledPackage

beforeAll(() => {
  installed = installPackage()
  for (const name of SCRIPTS) symlinkSync(join('..', 'zoowarden', 'bin', name), join(installed.bin, name))
})

afterAll(() => installed.remove())

async function run(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const running = start(join(installed.bin, command), args, installed.work, env)
  running.closeStdin()
  return running.ended
}

/** A data folder with a real server's files; its zoo.cfg in a folder of its own. */
function data(name: string): { dir: string; file(name: string): string; conf: string } {
  const dir = join(installed.work, name)
  const conf = join(installed.work, `${name}-conf`)
  mkdirSync(dir)
  mkdirSync(conf)
  cpSync(join(FIXTURES, 'plain', 'version-2'), join(dir, 'version-2'), { recursive: true })
  writeFileSync(join(conf, 'zoo.cfg'), `dataDir=${dir}\nclientPort=2181\n`)
  return { dir, conf, file: (each) => join(dir, 'version-2', each) }
}

describe("Apache's scripts", () => {
  test('and the subcommands print the same', async () => {
    const { file } = data('same')
    const [log, left, right] = [file('log.17'), file('snapshot.15'), file('snapshot.36')]
    const timeless = (text: string) => text.replace(/"timestamp":\d+/, '').replace(/in \d+\.\d+ seconds/g, '')
    const pairs: [script: string, words: string[], command: string[]][] = [
      ['zkTxnLogToolkit.sh', ['-d', log], ['log', 'dump', log]],
      ['zkTxnLogToolkit.sh', ['-c', '-z', '0x9999', log], ['log', 'chop', '-z', '0x9999', log]],
      ['zkSnapShotToolkit.sh', ['-d', right], ['snapshot', 'show', '--data', right]],
      ['zkSnapShotToolkit.sh', ['-json', right], ['snapshot', 'json', right]],
      [
        'zkSnapshotComparer.sh',
        ['-l', left, '-r', right, '-b', '1', '-n', '2'],
        ['snapshot', 'compare', left, right, '-b', '1', '-n', '2'],
      ],
      ['zkSnapshotRecursiveSummaryToolkit.sh', [right, '/plain', '1'], ['snapshot', 'summary', right, '/plain', '1']],
    ]
    for (const [script, words, command] of pairs) {
      const [theirs, ours] = [await run(script, words), await run('zoowarden', command)]
      expect({ ...ours, stdout: timeless(ours.stdout) }, command.join(' ')).toEqual({
        ...theirs,
        stdout: timeless(theirs.stdout),
      })
      expect(theirs.stdout).not.toBe('')
    }
  })

  test('end with 2 and their usage where the command line cannot be meant', async () => {
    const { file } = data('usage')
    const wrong: [script: string, words: string[]][] = [
      ['zkTxnLogToolkit.sh', []],
      ['zkTxnLogToolkit.sh', ['--bogus', file('log.1')]],
      ['zkTxnLogToolkit.sh', ['-c', '-z', 'many', file('log.1')]],
      ['zkSnapShotToolkit.sh', []],
      ['zkSnapShotToolkit.sh', ['-d', '-json', file('snapshot.15')]],
      ['zkSnapShotToolkit.sh', ['/nowhere/snapshot.1']],
      ['zkSnapshotComparer.sh', ['-l', file('snapshot.15')]],
      ['zkSnapshotRecursiveSummaryToolkit.sh', [file('snapshot.15'), '/']],
      ['zkCleanup.sh', ['-n', '2']],
    ]
    for (const [script, words] of wrong) {
      const { code, stdout, stderr } = await run(script, words)
      expect([code, stdout], `${script} ${words}`).toEqual([2, ''])
      expect(stderr, script).not.toBe('')
    }
    expect((await run('zkTxnLogToolkit.sh', ['-h'])).stdout).toContain('usage: TxnLogToolkit')
  })

  test('clean up what zoo.cfg names', async () => {
    const { dir, conf } = data('cleanup')
    cpSync(join(FIXTURES, 'gz', 'version-2'), join(dir, 'version-2'), { recursive: true })
    const { code, stdout } = await run('zkCleanup.sh', ['--config', conf, '-n', '3'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^(Removing file: .*\n)+$/)
    const left = readdirSync(join(dir, 'version-2')).filter((name) => name.startsWith('snapshot.'))
    expect(left.sort()).toEqual(['snapshot.36', 'snapshot.41.gz', 'snapshot.68.gz'])
  })
})

describe('zoowarden', () => {
  test('backs up and restores, and the doctor finds the result fine', async () => {
    const { conf } = data('backup')
    const archive = join(installed.work, 'b.tgz')
    const made = await run('zoowarden', ['backup', join(conf, 'zoo.cfg'), archive])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(made.stdout).toMatch(/b\.tgz: .* zxid 0x36 to 0x41, \d+ znodes, digest 0x[0-9a-f]+\n$/)
    const target = join(installed.work, 'restored')
    const back = await run('zoowarden', ['restore', archive, target, '--zxid', '0x3a', '--no-sessions'])
    expect(back.stdout).toMatch(/restored\/version-2\/snapshot\.3a: zxid 0x3a, .* 0 sessions, 0 ephemerals/)
    const { code, stdout } = await run('zoowarden', ['doctor', target])
    expect([code, stdout.includes('start    at zxid 0x3a')]).toEqual([0, true])
    const json = await run('zoowarden', ['doctor', '--json', target])
    expect(JSON.parse(json.stdout)).toMatchObject({ verdict: 'fine', start: { zxid: '0x3a', sessions: 0 } })
    expect((await run('zoowarden', ['restore', archive, target])).code).toBe(1)
    expect((await run('zoowarden', ['restore', archive, join(installed.work, 'no'), '--zxid', '1'])).code).toBe(2)
    expect((await run('zoowarden', ['doctor', join(installed.work, 'nowhere')])).code).toBe(2)
  })

  test('repairs a damaged directory of a server that runs alone, up to what it is told to keep', async () => {
    const { conf, dir, file } = data('repair')
    const bytes = readFileSync(file('log.38'))
    bytes[bytes.length - 200]! ^= 0xff
    writeFileSync(file('log.38'), bytes)
    const refused = await run('zoowarden', ['repair', join(conf, 'zoo.cfg')])
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--keep longest')])
    const words = ['repair', '--keep', '0x39', join(conf, 'zoo.cfg')]
    const dry = await run('zoowarden', [...words, '--dry-run'])
    expect(dry.stdout).toMatch(/would set aside .*log\.38\n/)
    const { code, stdout } = await run('zoowarden', words)
    expect([code, stdout]).toEqual([0, expect.stringMatching(/snapshot\.39 is what a server starts from now\n$/)])
    const left = readdirSync(join(dir, 'version-2')).sort()
    expect(left).toEqual([expect.stringMatching(/^damaged\.\d{8}T\d{6}Z$/), 'snapshot.39'])
    expect((await run('zoowarden', ['repair', '--adopt', '--keep', '1', dir])).code).toBe(2)
  })

  test('ends quietly when the reader of a long output has seen enough', () => {
    const { file } = data('head')
    const command = `'${join(installed.bin, 'zoowarden')}' snapshot show '${file('snapshot.36')}' | head -n 1`
    expect(execFileSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' })).toMatch(/^ZNode Details/)
  })
})
