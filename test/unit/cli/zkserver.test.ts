/** zkServer.sh: verbs, messages, files and exit codes of Apache's script, against the installed package. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, type Ended, freePort, type InstalledPackage, installPackage, run } from './package.ts'

let installed: InstalledPackage
const pidFiles: string[] = []

beforeAll(() => {
  installed = installPackage()
})

afterEach(() => {
  for (const file of pidFiles.splice(0)) {
    if (!existsSync(file)) continue
    try {
      process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL')
    } catch {
      // it went by itself
    }
  }
})

afterAll(() => installed.remove())

interface Site {
  readonly dir: string
  readonly conf: string
  readonly port: number
  readonly pidFile: string
  zkServer(args: readonly string[], env?: Record<string, string>): Promise<Ended>
}

/** A configuration folder, a data folder and a log folder of their own. */
async function site(name: string, extra = ''): Promise<Site> {
  const dir = join(installed.work, name)
  const conf = join(dir, 'conf')
  mkdirSync(conf, { recursive: true })
  const port = await freePort()
  const lines = [`dataDir=${dir}/data`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1', 'preAllocSize=64', extra]
  writeFileSync(join(conf, 'zoo.cfg'), lines.join('\n'))
  const pidFile = join(dir, 'data', 'zookeeper_server.pid')
  pidFiles.push(pidFile)
  const env = { ZOO_LOG_DIR: join(dir, 'logs'), USER: 'zk', HOSTNAME: 'host' }
  return {
    dir,
    conf,
    port,
    pidFile,
    zkServer: (args, more = {}) => run(join(installed.bin, 'zkServer.sh'), args, dir, { ...env, ...more }),
  }
}

/** The three files of the example as they are, but for their ports and shorter ticks; myid as README makes it. */
async function example(name: string) {
  const dir = join(installed.work, name)
  const conf = join(installed.work, '..', 'node_modules', 'zoowarden', 'conf', 'ensemble-example')
  mkdirSync(dir)
  const ports = new Map<string, number>()
  for (const n of [1, 2, 3])
    for (const port of [2180 + n, 2890 + n, 3890 + n]) ports.set(String(port), await freePort())
  const members = [1, 2, 3].map((n) => {
    const dataDir = join(dir, 'data', `server${n}`)
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(join(dataDir, 'myid'), `${n}\n`)
    const text = readFileSync(join(conf, `zoo${n}.cfg`), 'utf8')
    const file = `./zoo${n}.cfg`
    const changed = text.replace(/\b\d{4}\b/g, (port) => String(ports.get(port) ?? port))
    writeFileSync(join(dir, file), changed.replace('tickTime=2000', 'tickTime=200'))
    const pidFile = join(dataDir, 'zookeeper_server.pid')
    pidFiles.push(pidFile)
    return { file, pidFile, port: ports.get(String(2180 + n))! }
  })
  const env = { ZOO_LOG_DIR: join(dir, 'logs'), USER: 'zk', HOSTNAME: 'host' }
  return {
    dir,
    members,
    zkServer: (args: readonly string[]) => run(join(installed.bin, 'zkServer.sh'), args, dir, env),
    modes: () =>
      Promise.all(
        members.map(async ({ port }) => /^Mode: (\w+)/m.exec(await ask(port, 'srvr').catch(() => ''))?.[1] ?? ''),
      ),
  }
}

describe('zkServer.sh', () => {
  test('start, status, restart and stop, with the messages and exit codes of Apache', async () => {
    const { conf, port, pidFile, dir, zkServer } = await site('life')
    const begin = ['--config', conf]
    expect(await zkServer([...begin, 'start'])).toEqual({
      code: 0,
      stdout: 'Starting zookeeper ... STARTED\n',
      stderr: `Using config: ${conf}/zoo.cfg\n`,
    })
    const pid = readFileSync(pidFile, 'utf8')
    expect(pid).toMatch(/^\d+$/)
    expect(readFileSync(join(dir, 'logs', 'zookeeper-zk-server-host.out'), 'utf8')).toContain('"serving"')

    const again = await zkServer([...begin, 'start'])
    expect(again.code).toBe(1)
    expect(again.stdout).toMatch(new RegExp(`^Starting zookeeper \\.\\.\\. .*already running as process ${pid}\\.\n$`))

    const status = await zkServer([...begin, 'status'])
    expect(status).toMatchObject({
      code: 0,
      stdout: `Client port found: ${port}. Client address: 127.0.0.1. Client SSL: false.\nMode: standalone\n`,
    })

    expect((await zkServer([...begin, 'restart'])).stdout).toBe(
      'Stopping zookeeper ... STOPPED\nStarting zookeeper ... STARTED\n',
    )
    expect(readFileSync(pidFile, 'utf8')).not.toBe(pid)
    expect(await ask(port, 'srvr')).toContain('Mode: standalone\n')

    expect(await zkServer([...begin, 'stop'])).toMatchObject({ code: 0, stdout: 'Stopping zookeeper ... STOPPED\n' })
    expect(existsSync(pidFile)).toBe(false)
    expect(await zkServer([...begin, 'stop'])).toMatchObject({
      code: 0,
      stdout: `Stopping zookeeper ... no zookeeper to stop (could not find file ${pidFile})\n`,
    })
    const gone = await zkServer([...begin, 'status'])
    expect(gone.code).toBe(1)
    expect(gone.stdout).toMatch(/\nError contacting service\. It is probably not running\.\n$/)
  })

  test('a configuration that cannot be used fails to start, and the reason is in the .out file', async () => {
    const { conf, dir, zkServer } = await site('broken', 'tickTime=fast')
    expect(await zkServer(['--config', conf, 'start'])).toMatchObject({
      code: 1,
      stdout: 'Starting zookeeper ... FAILED TO START\n',
    })
    expect(readFileSync(join(dir, 'logs', 'zookeeper-zk-server-host.out'), 'utf8')).toContain(
      'zoo.cfg:5: tickTime=fast',
    )
  })

  test('ZOOCFGDIR, ZOOCFG, a bare file name and a path choose the configuration', async () => {
    const { conf, dir, zkServer } = await site('choose')
    const second = join(conf, 'second.cfg')
    writeFileSync(second, `dataDir=${dir}/second\nclientPort=1\n`)
    const configOf = async (args: readonly string[], env: Record<string, string>) =>
      (await zkServer(['print-cmd', ...args], env)).stderr
    expect(await configOf([], { ZOOCFGDIR: conf })).toBe(`Using config: ${conf}/zoo.cfg\n`)
    expect(await configOf([], { ZOOCFGDIR: conf, ZOOCFG: 'second.cfg' })).toBe(`Using config: ${second}\n`)
    expect(await configOf(['second.cfg'], { ZOOCFGDIR: conf })).toBe(`Using config: ${second}\n`)
    expect(await configOf(['./conf/second.cfg'], {})).toBe('Using config: ./conf/second.cfg\n')
    expect(await zkServer(['start', 'none.cfg'], { ZOOCFGDIR: conf })).toMatchObject({ code: 1, stdout: '' })
  })

  test('zookeeper-env.sh and java.env are read, and their flags reach the server without being exported', async () => {
    const { conf, port, dir, zkServer } = await site('env')
    const logDir = join(dir, 'other-logs')
    const pidFile = join(dir, 'run', 'zk.pid')
    pidFiles.push(pidFile)
    writeFileSync(join(conf, 'zookeeper-env.sh'), `ZOO_LOG_DIR=${logDir}\nZOOPIDFILE=${pidFile}\n`)
    writeFileSync(join(conf, 'java.env'), 'SERVER_JVMFLAGS="-Xmx100m -Dzookeeper.4lw.commands.whitelist=ruok"\n')
    expect((await zkServer(['--config', conf, 'start'])).stdout).toBe('Starting zookeeper ... STARTED\n')
    expect(existsSync(join(logDir, 'zookeeper-zk-server-host.out'))).toBe(true)
    expect(existsSync(pidFile)).toBe(true)
    expect(await ask(port, 'ruok')).toBe('imok')
    expect((await zkServer(['--config', conf, 'stop'])).stdout).toBe('Stopping zookeeper ... STOPPED\n')
  })

  test('with automatic creation off, missing directories end it before anything is written', async () => {
    const { conf, dir, zkServer } = await site('noauto')
    expect(await zkServer(['--config', conf, 'start'], { ZOO_DATADIR_AUTOCREATE_DISABLE: '1' })).toMatchObject({
      code: 1,
      stdout: `ZooKeeper data directory is missing at ${dir}/data fix the path or run initialize\n`,
    })
    expect(existsSync(join(dir, 'data'))).toBe(false)
    mkdirSync(join(dir, 'data', 'version-2'), { recursive: true })
    const { stdout } = await zkServer(['--config', conf, 'print-cmd'], { ZOO_DATADIR_AUTOCREATE_DISABLE: '1' })
    expect(stdout).toContain('-Dzookeeper.datadir.autocreate=false')
  })

  test('status finds the port in the line of this server, in zoo.cfg or in the dynamic file', async () => {
    const { conf, dir, zkServer } = await site('dynamic')
    const data = join(dir, 'data')
    mkdirSync(data)
    writeFileSync(join(data, 'myid'), '2\n')
    const dynamic = join(conf, 'zoo.cfg.dynamic')
    writeFileSync(dynamic, 'server.1=a:2888:3888:participant;1\nserver.2=b:2888:3888:participant;[::1]:1\n')
    writeFileSync(join(conf, 'zoo.cfg'), `dataDir=${data}\ndynamicConfigFile=${dynamic}\n`)
    const { code, stdout } = await zkServer(['--config', conf, 'status'])
    expect(code).toBe(1)
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'Client port not found in static config file. Looking in dynamic config file.',
      'Client port found: 1. Client address: ::1. Client SSL: false.',
    ])
    writeFileSync(join(conf, 'zoo.cfg'), `dataDir=${data}\n`)
    expect(await zkServer(['--config', conf, 'status'])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /Unable to find either secure or unsecure client port in any configs\. Terminating\.\n$/,
      ),
    })
  })

  test('D1: status says why a server that runs serves nobody', async () => {
    const { conf, dir, zkServer } = await site('idle')
    const idle = createServer((socket) => {
      const why = 'This ZooKeeper instance is not currently serving requests\nReason: no room on the disk\n'
      socket.once('data', () => socket.end(why))
    })
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve))
    const { port } = idle.address() as AddressInfo
    writeFileSync(join(conf, 'zoo.cfg'), `dataDir=${dir}\nclientPort=${port}\nclientPortAddress=127.0.0.1\n`)
    expect(await zkServer(['--config', conf, 'status'])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/\nIt is running, but serves nobody\. Reason: no room on the disk\n$/),
    })
    idle.close()
  })

  test('E1 three members on one machine, from the example; when the leader is killed another one leads', async () => {
    const { dir, members, zkServer, modes } = await example('three')
    for (const { file } of members)
      expect(await zkServer(['start', file])).toMatchObject({ code: 0, stdout: 'Starting zookeeper ... STARTED\n' })
    await expect.poll(modes, { timeout: 20_000 }).toEqual(expect.arrayContaining(['leader', 'follower', 'follower']))
    const outputs = readdirSync(join(dir, 'logs')).sort()
    expect(outputs).toEqual([1, 2, 3].map((n) => `zookeeper-zk-server-host-zoo${n}.out`))

    const first = members[(await modes()).indexOf('leader')]!
    process.kill(Number(readFileSync(first.pidFile, 'utf8')), 'SIGKILL')
    const left = members.filter((member) => member !== first)
    await expect.poll(async () => (await modes()).sort(), { timeout: 20_000 }).toEqual(['', 'follower', 'leader'])

    expect((await zkServer(['start', first.file])).stdout).toBe('Starting zookeeper ... STARTED\n')
    await expect
      .poll(async () => (await modes()).sort(), { timeout: 20_000 })
      .toEqual(['follower', 'follower', 'leader'])
    expect((await zkServer(['status', left[0]!.file])).stdout).toMatch(/\nMode: (leader|follower)\n$/)
    for (const { file } of members)
      expect(await zkServer(['stop', file])).toMatchObject({ code: 0, stdout: 'Stopping zookeeper ... STOPPED\n' })
    expect(await modes()).toEqual(['', '', ''])
  })

  test('anything else is the usage on stderr, with exit code 0 as there', async () => {
    const { conf, zkServer } = await site('usage')
    const { code, stdout, stderr } = await zkServer(['--config', conf, 'bogus'])
    expect([code, stdout]).toEqual([0, ''])
    expect(stderr).toMatch(
      /^Usage: .* \[--config <conf-dir>\] \{start\|start-foreground\|stop\|version\|restart\|status\|print-cmd\}\n$/,
    )
  })
})
