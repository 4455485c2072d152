/** zkCli.sh as a process of the installed package: streams, exit codes, and lines from a pipe. */

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type InstalledPackage, installPackage, type Running, start } from '../package.ts'

let installed: InstalledPackage
let server: Running
let address: string

beforeAll(async () => {
  installed = installPackage()
  server = start(join(installed.bin, 'zoowarden'), ['start', '--ephemeral'], installed.work)
  address = (await server.stdoutMatching(/^127\.0\.0\.1:\d+\n/)).trim()
}, 60_000)

afterAll(async () => {
  server.kill('SIGTERM')
  await server.ended
  installed.remove()
})

function zkCli(args: readonly string[], input = '') {
  const env = { TZ: 'Europe/Berlin', ZKCLI_HISTORY: '' }
  const running = start(join(installed.bin, 'zkCli.sh'), args, installed.work, env)
  running.type(input)
  return running.ended
}

describe('one command', () => {
  test('prints its answer to stdout, what is said beside it to stderr, and ends with 0', async () => {
    const created = await zkCli(['-server', address, 'create', '/one', 'hello'])
    expect(created).toMatchObject({ code: 0, stderr: 'Created /one\n' })
    const { code, stdout, stderr } = await zkCli(['-server', address, 'get', '-s', '/one'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^Connecting to 127\.0\.0\.1:\d+\n\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\nhello\ncZxid = 0x/,
    )
    expect(stdout).toMatch(/\nctime = [A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d CES?T \d{4}\n/)
  })

  test('that fails ends with 1, an unknown one with 127 and the usage on stderr', async () => {
    const missing = await zkCli(['-server', address, 'get', '/none'])
    expect(missing).toMatchObject({ code: 1, stderr: 'Node does not exist: /none\n' })
    const unknown = await zkCli(['-server', address, 'bogus'])
    expect(unknown.code).toBe(127)
    expect(unknown.stderr).toMatch(/^ZooKeeper -server host:port .*\n\taddWatch /)
    expect(unknown.stderr).toMatch(/\nCommand not found: Command not found bogus\n$/)
  })

  test('without a server ends with 1 and says why there is no connection', async () => {
    const nobody = `127.0.0.1:${await freePort()}`
    const { code, stderr } = await zkCli(['-server', nobody, '-timeout', '2000', 'ls', '/'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^KeeperErrorCode = ConnectionLoss for \/\n127\.0\.0\.1:\d+: .*ECONNREFUSED/)
    const waiting = await zkCli(['-server', nobody, '-timeout', '300', '-waitforconnection', 'ls', '/'])
    expect(waiting.code).toBe(1)
    expect(waiting.stderr).toMatch(/no connection to 127\.0\.0\.1:\d+ in 300 ms \(127\.0\.0\.1:\d+: .*ECONNREFUSED/)
  })

  test('with words that cannot be meant ends with an error, and no stack trace', async () => {
    for (const [args, code, message] of [
      [['-server', `${address}/bad/`, 'ls', '/'], 1, 'Path must not end with / character\n'],
      [['-server', address, '-timeout', 'soon', 'ls', '/'], 1, 'For input string: "soon"\n'],
      [['-server', address, '-client-configuration', '/none', 'ls', '/'], 2, 'Error while processing /none: '],
    ] as const) {
      const ended = await zkCli(args)
      expect(ended.code, args.join(' ')).toBe(code)
      expect(ended.stderr.startsWith(message), ended.stderr).toBe(true)
      expect(ended.stderr.trim().split('\n')).toHaveLength(1)
    }
  })

  test('with --json prints one value and nothing else', async () => {
    const { code, stdout, stderr } = await zkCli(['--json', '-server', address, 'ls', '/'])
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toMatchObject({
      command: 'ls',
      path: '/',
      children: expect.arrayContaining(['zookeeper']),
    })
  })
})

describe('lines from a pipe', () => {
  test('are answered between prompts; the last one says how it ends', async () => {
    const lines = 'create /piped x\nget /piped\n\ndelete /piped\nget /piped\n'
    const { code, stdout, stderr } = await zkCli(['-server', address, '-waitforconnection'], lines)
    expect(code).toBe(1)
    expect(stderr).toBe('Created /piped\nNode does not exist: /piped\n')
    const prompts = [0, 1, 2, 2, 3, 4].map((count) => `[zk: ${address}(CONNECTED) ${count}] `)
    const answers = `${prompts[0]}${prompts[1]}x\n${prompts.slice(2, 5).join('')}${prompts[5]}`
    expect(
      stdout.endsWith(`Welcome to ZooKeeper!\nJLine support is enabled\n${answers}JLine support is disabled\n`),
    ).toBe(true)
  })

  test('behind quit are not read', async () => {
    const { code, stdout } = await zkCli(['-server', address], 'version\nquit\nbogus\n')
    expect(code).toBe(0)
    expect(stdout).toContain('ZooKeeper CLI version: 3.9.5-')
    expect(stdout.endsWith('state:Closed type:None path:null zxid: -1\n')).toBe(true)
  })

  test('with --json are answered by one value each', async () => {
    const { stdout } = await zkCli(['--json', '-server', address], 'ls /\nget /none\nhistory\n')
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).command),
    ).toEqual(['ls', 'get', 'history'])
  })
})
