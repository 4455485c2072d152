/** The commands of the installed package, run as processes: what they print, and how they end. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, freePort, type InstalledPackage, installPackage, type Running, run, start } from './package.ts'

let installed: InstalledPackage

beforeAll(() => {
  installed = installPackage()
})

afterAll(() => installed.remove())

function zoowarden(args: readonly string[], env: Record<string, string> = {}) {
  return start(join(installed.bin, 'zoowarden'), args, installed.work, env)
}

async function endOf(args: readonly string[], env: Record<string, string> = {}) {
  const running = zoowarden(args, env)
  running.closeStdin()
  return running.ended
}

function folder(name: string): string {
  const path = join(installed.work, name)
  mkdirSync(path)
  return path
}

describe('zoowarden', () => {
  test('X15: super-password makes the line of zoo.cfg from a password, and nothing from none', async () => {
    const words = [join(installed.bin, 'zoowarden'), 'super-password']
    const made = (...args: string[]) => execFileSync(process.execPath, [...words, ...args], { input: 'pass word\n' })
    const line = String(made('root'))
    expect(line).toMatch(/^DigestAuthenticationProvider\.superDigest=root:\$scrypt\$\S+\n$/)
    expect(line).not.toBe(String(made('root')))
    expect(String(made())).toMatch('=super:$scrypt$')
    expect(await endOf(['super-password'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'No password, no super user.\n',
    })
    expect(await endOf(['super-password', 'a:b'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('version names the ZooKeeper version that scripts look for', async () => {
    const { code, stdout } = await endOf(['version'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^zoowarden \d+\.\d+\.\d+, compatible with Apache ZooKeeper, version 3\.9\.5 \d{4}-\d\d-\d\d \d\d:\d\d UTC\n$/,
    )
  })

  test('help shows the commands, and examples of start', async () => {
    expect((await endOf(['--help'])).stdout).toMatch(/start \[words\.\.\][\s\S]*ask <word>[\s\S]*version/)
    const { code, stdout } = await endOf(['start', '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/Examples:[\s\S]*start conf\/zoo\.cfg/)
  })

  test('a word it does not know, or none, is exit code 2 with the help on stderr', async () => {
    for (const args of [[], ['run'], ['start', '--bogus'], ['start', '--ephemeral', 'zoo.cfg']]) {
      const { code, stdout, stderr } = await endOf(args)
      expect([code, stdout], args.join(' ')).toEqual([2, ''])
      expect(stderr, args.join(' ')).not.toBe('')
    }
  })
})

describe('zoowarden start', () => {
  test('a configuration that cannot be used is one line with its place on stderr, and exit code 2', async () => {
    const dir = folder('bad')
    writeFileSync(join(dir, 'zoo.cfg'), `dataDir=${dir}/data\nclientPort=0\ntickTime=fast\n`)
    expect(await endOf(['start', join(dir, 'zoo.cfg')])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'Invalid config, exiting abnormally: zoo.cfg:3: tickTime=fast is not a number\n',
    })
    expect(existsSync(join(dir, 'data'))).toBe(false)
    expect((await endOf(['start', join(dir, 'none.cfg')])).code).toBe(2)
    expect((await endOf(['start'])).stderr).toContain('neither ./conf/zoo.cfg nor ./zoo.cfg exists')
    expect((await endOf(['start', 'a', 'b', 'c', 'd', 'e'])).code).toBe(2)
  })

  test('X1 an ensemble whose file asks for TLS between members and names no key is refused, not served in the clear', async () => {
    const dir = folder('member')
    const servers = [1, 2, 3].map((id) => `server.${id}=127.0.0.1:${2800 + id}:${3800 + id}`).join('\n')
    writeFileSync(join(dir, 'myid'), '1')
    writeFileSync(
      join(dir, 'zoo.cfg'),
      `dataDir=${dir}\nclientPort=0\ninitLimit=5\nsyncLimit=2\nsslQuorum=true\n${servers}\n`,
    )
    const { code, stdout } = await endOf(['start', join(dir, 'zoo.cfg')])
    expect(code).toBe(2)
    expect(stdout).toContain('ssl.quorum.keyStore.location is not set')
  })

  test('serves what the file says, logs JSON with its warnings, and ends with 0 on SIGTERM', async () => {
    const dir = folder('plain')
    const port = await freePort()
    const lines = [`dataDir=${dir}/data`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1', 'maxClientConnections=5']
    writeFileSync(join(dir, 'zoo.cfg'), lines.join('\n'))
    const server = zoowarden(['start', '-Dzookeeper.4lw.commands.whitelist=ruok, conf', join(dir, 'zoo.cfg')])
    const log = await server.stdoutMatching(/"serving"/)
    const records = log
      .trimEnd()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))
    expect(records.find((record) => record['level'] === 'warn')?.['msg']).toBe(
      'zoo.cfg:4: maxClientConnections is not a known setting and is ignored; did you mean maxClientCnxns?',
    )
    expect(records.at(-1)).toMatchObject({ level: 'info', msg: 'serving', port })
    expect(await ask(port, 'ruok')).toBe('imok')
    expect(await ask(port, 'conf')).toContain(`dataDir=${dir}/data/version-2\n`)
    expect(await ask(port, 'mntr')).toBe('mntr is not executed because it is not in the whitelist.\n')
    server.kill('SIGTERM')
    const { code, stdout, stderr } = await server.ended
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1)!)).toMatchObject({ msg: 'closing' })
  })

  test('X16 says at the start what is open, and with security=strict does not start with what nobody should have open', async () => {
    const dir = folder('open')
    const file = join(dir, 'zoo.cfg')
    const lines = [`dataDir=${dir}/data`, 'clientPort=0', 'clientPortAddress=127.0.0.1', 'skipACL=yes']
    writeFileSync(file, [...lines, 'admin.serverAddress=127.0.0.1', 'admin.serverPort=0'].join('\n'))
    const server = zoowarden(['start', file])
    const log = await server.stdoutMatching(/"serving"/)
    const records = log
      .split('\n')
      .flatMap((line): Record<string, unknown>[] => (line === '' ? [] : [JSON.parse(line)]))
    expect(records[0]).toMatchObject({
      level: 'warn',
      msg: 'zoo.cfg:4: skipACL=yes: every client may read and change everything',
    })
    expect(records.flatMap((record) => record['open'] ?? [])).toEqual(['sessions'])
    expect(records.find(({ msg }) => msg === 'data loaded')).toMatchObject({
      worldWritable: '/ /zookeeper /zookeeper/quota',
    })
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
    writeFileSync(file, [...lines, 'security=strict'].join('\n'))
    const { code, stderr } = await endOf(['start', file])
    expect([code, stderr.split('\n')]).toEqual([
      2,
      [
        'Invalid config, exiting abnormally: zoo.cfg:5: security=strict does not start with these doors open:',
        '  skipACL=yes: every client may read and change everything (security.allow=skipACL lets it be)',
        '',
      ],
    ])
  })

  test('takes port and data directory as words, relative to the current folder', async () => {
    const port = await freePort()
    const server = zoowarden(['start', String(port), 'legacy-data', '1000', '10'])
    await server.stdoutMatching(/"serving"/)
    expect(readdirSync(join(installed.work, 'legacy-data'))).toContain('version-2')
    server.kill('SIGINT')
    expect((await server.ended).code).toBe(0)
  })

  test('D9: a data folder that is in use, missing, or nobody can write in is a fatal line that says so, and exit code 3', async () => {
    const dir = folder('denied')
    const config = async (lines: string): Promise<string> => {
      const file = join(dir, `zoo${Math.random()}.cfg`)
      writeFileSync(file, `clientPort=${await freePort()}\n${lines}\n`)
      return file
    }
    const holder = zoowarden(['start', await config(`dataDir=${dir}/data`)])
    await holder.stdoutMatching(/"serving"/)
    const fatalOf = async (lines: string): Promise<string> => {
      const { code, stdout } = await endOf(['start', await config(lines)])
      expect(code).toBe(3)
      return JSON.parse(stdout.trim().split('\n').at(-1)!).err.message
    }
    expect(await fatalOf(`dataDir=${dir}/data`)).toContain(`in use by process ${holder.pid}`)
    expect(await fatalOf(`dataDir=${dir}/none\ndatadir.autocreate=false`)).toContain(`(${dir}/none/version-2)`)
    mkdirSync(join(dir, 'closed'), { mode: 0o500 })
    // Nothing stops root but a file in the way.
    const root = process.getuid?.() === 0
    if (root) writeFileSync(join(dir, 'closed', 'data'), '')
    const message = await fatalOf(`dataDir=${dir}/closed${root ? '' : '/data'}\ndataLogDir=${dir}/closed/data/logs`)
    expect(message).toContain(join(dir, 'closed'))
    if (!root) expect(message).toMatch(/closed belongs to user \d+ \(mode 0500\), and this process is user \d+/)
    holder.kill('SIGTERM')
    expect((await holder.ended).code).toBe(0)
  })

  test('a port that is taken is a fatal line in the log and exit code 1', async () => {
    const first = zoowarden(['start', '--ephemeral'])
    const port = Number((await first.stdoutMatching(/\n/)).trim().split(':')[1])
    const dir = folder('taken')
    writeFileSync(join(dir, 'zoo.cfg'), `dataDir=${dir}/data\nclientPort=${port}\nclientPortAddress=127.0.0.1\n`)
    const { code, stdout } = await endOf(['start', join(dir, 'zoo.cfg')])
    expect(code).toBe(1)
    expect(stdout).toMatch(/"level":"fatal"[^\n]*EADDRINUSE/)
    first.closeStdin()
    await first.ended
  })
})

describe('zoowarden start --ephemeral', () => {
  test('prints the connect string alone, serves, and leaves nothing when stdin closes', async () => {
    const tmp = folder('tmp')
    const server = zoowarden(['start', '--ephemeral'], { TMPDIR: tmp })
    const line = await server.stdoutMatching(/\n/)
    expect(line).toMatch(/^127\.0\.0\.1:\d+\n$/)
    expect(await ask(Number(line.trim().split(':')[1]), 'ruok')).toBe('imok')
    expect(readdirSync(tmp)).toHaveLength(1)
    server.closeStdin()
    const { code, stdout } = await server.ended
    expect([code, stdout]).toEqual([0, line])
    expect(readdirSync(tmp)).toEqual([])
  })

  test('takes a port, through either way of reading the words, and ends on SIGTERM', async () => {
    for (const definitions of [[], ['-Dzookeeper.snapCount=50']]) {
      const port = await freePort()
      const server = zoowarden(['start', '--ephemeral', '--port', String(port), ...definitions])
      expect(await server.stdoutMatching(/\n/)).toBe(`127.0.0.1:${port}\n`)
      server.kill('SIGTERM')
      expect((await server.ended).code).toBe(0)
    }
  })
})

describe('zoowarden start --ephemeral --ensemble', () => {
  test('prints the addresses of all when they serve, and leaves nothing when stdin closes', async () => {
    const tmp = folder('ensemble-tmp')
    const ensemble = zoowarden(['start', '--ephemeral', '--ensemble', '3'], { TMPDIR: tmp })
    const line = await ensemble.stdoutMatching(/\n/)
    expect(line).toMatch(/^127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\n$/)
    const ports = portsOf(line)
    expect((await modesOf(ports)).sort()).toEqual(['follower', 'follower', 'leader'])
    ensemble.closeStdin()
    const { code, stdout, stderr } = await ensemble.ended
    expect([code, stdout, stderr]).toEqual([0, line, ''])
    expect(readdirSync(tmp)).toEqual([])
    for (const port of ports) await expect(ask(port, 'srvr')).rejects.toThrow(/ECONNREFUSED/)
  })

  test('goes on when a member is killed, ends with an error when the last one is, and its members never outlive it', async () => {
    const ensemble = zoowarden(['start', '--ephemeral', '--ensemble', '3', '--port', String(await freePort())])
    const ports = portsOf(await ensemble.stdoutMatching(/\n/))
    expect(ports).toEqual([ports[0]!, ports[0]! + 1, ports[0]! + 2])
    const pids = membersOf(ensemble)
    expect(pids).toHaveLength(3)
    const modes = await modesOf(ports)
    process.kill(pids[modes.indexOf('leader')]!, 'SIGKILL')
    const left = ports.filter((_, i) => modes[i] !== 'leader')
    await expect.poll(async () => (await modesOf(left)).sort(), { timeout: 20_000 }).toEqual(['follower', 'leader'])
    for (const pid of membersOf(ensemble)) process.kill(pid, 'SIGKILL')
    expect((await ensemble.ended).code).toBe(1)

    const killed = zoowarden(['start', '--ephemeral', '--ensemble', '2'])
    const orphans = portsOf(await killed.stdoutMatching(/\n/))
    killed.kill('SIGKILL')
    await killed.ended
    for (const port of orphans)
      await expect.poll(() => ask(port, 'srvr').catch((err) => err.code), { timeout: 20_000 }).toBe('ECONNREFUSED')
  })

  test('is refused without --ephemeral, with a file, and with a count that makes no ensemble', async () => {
    for (const args of [
      ['--ensemble', '3'],
      ['--ephemeral', '--ensemble', '3', 'zoo.cfg'],
      ['--ephemeral', '--ensemble', '1'],
      ['--ephemeral', '--ensemble', 'x'],
      ['--ephemeral', '--ensemble', '3', '--port', '65535'],
    ]) {
      const { code, stdout, stderr } = await endOf(['start', ...args])
      expect([code, stdout], args.join(' ')).toEqual([2, ''])
      expect(stderr, args.join(' ')).not.toBe('')
    }
  })
})

function portsOf(connectString: string): number[] {
  return connectString
    .trim()
    .split(',')
    .map((address) => Number(address.split(':')[1]))
}

function modesOf(ports: readonly number[]): Promise<string[]> {
  return Promise.all(
    ports.map(async (port) => /^Mode: (\w+)/m.exec(await ask(port, 'srvr').catch(() => ''))?.[1] ?? ''),
  )
}

/** The processes of the members, in the order of their addresses. */
function membersOf(ensemble: Running): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n')
  const children = rows.map((row) => row.trim().split(/\s+/)).filter((words) => words[1] === String(ensemble.pid))
  return children.sort((a, b) => (a.at(-1)! < b.at(-1)! ? -1 : 1)).map((words) => Number(words[0]))
}

describe('zoowarden ask', () => {
  test('prints the answer of a server, and says on stderr when there is none', async () => {
    const server = zoowarden(['start', '--ephemeral'])
    const port = (await server.stdoutMatching(/\n/)).trim().split(':')[1]!
    expect(await endOf(['ask', 'ruok', '127.0.0.1', port])).toMatchObject({ code: 0, stdout: 'imok' })
    server.closeStdin()
    await server.ended
    const { code, stderr } = await endOf(['ask', 'ruok', '127.0.0.1', port])
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}: `)
  })
})

describe('the sample configuration', () => {
  test('starts without a warning, with its data below the current folder', async () => {
    const dir = folder('sample')
    const port = await freePort()
    const sample = readFileSync(new URL('../../../conf/zoo.cfg', import.meta.url), 'utf8')
    mkdirSync(join(dir, 'conf'))
    writeFileSync(join(dir, 'conf', 'zoo.cfg'), sample.replace('clientPort=2181', `clientPort=${port}`))
    const server = start(join(installed.bin, 'zoowarden'), ['start'], dir)
    const log = await server.stdoutMatching(/"serving"/)
    expect(log).not.toContain('zoo.cfg:')
    expect(readdirSync(join(dir, 'data'))).toContain('version-2')
    server.kill('SIGTERM')
    await server.ended
  })

  test('every line that is commented out works once its mark is removed', async () => {
    const sample = readFileSync(new URL('../../../conf/zoo.cfg', import.meta.url), 'utf8')
    const dir = folder('sample-all')
    writeFileSync(
      join(dir, 'zoo.cfg'),
      sample
        .replace(/^#(\w\S*=)/gm, '$1')
        .replace(/^dataLogDir=.*$/m, 'dataLogDir=./log')
        .replace('clientPort=2181', `clientPort=${await freePort()}`),
    )
    const server = start(join(installed.bin, 'zoowarden'), ['start'], dir)
    expect(await server.stdoutMatching(/"serving"/)).not.toContain('zoo.cfg:')
    expect(readdirSync(dir).sort()).toEqual(['data', 'log', 'zoo.cfg'])
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  })
})

test('commands are run through the links that npm makes', async () => {
  expect((await run(join(installed.bin, 'zkServer.sh'), ['version'], installed.work)).stdout).toContain('version 3.9.5')
})
