/** The image's entry point and health check by themselves: no Docker is needed to run two scripts. */

import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type InstalledPackage, installPackage, run, start } from '../cli/package.ts'

const DOCKER = fileURLToPath(new URL('../../../conf/docker/', import.meta.url))
const ENTRYPOINT = join(DOCKER, 'docker-entrypoint.sh')
const HEALTHCHECK = join(DOCKER, 'healthcheck.sh')

let installed: InstalledPackage

beforeAll(() => {
  installed = installPackage()
})

afterAll(() => installed.remove())

/** The folders of an image, and a PATH on which `id` is as asked and what only root may do is written down. */
function image(name: string, uid: number) {
  const dir = join(installed.work, name)
  const folder = (part: string): string => {
    mkdirSync(join(dir, part), { recursive: true })
    return join(dir, part)
  }
  const commands = folder('commands')
  const command = (file: string, body: string): void => {
    writeFileSync(join(commands, file), `#!/bin/sh\n${body}\n`)
    chmodSync(join(commands, file), 0o755)
  }
  command('id', `echo ${uid}`)
  for (const file of ['chown', 'setpriv']) command(file, `echo "${file} $*"`)
  const env = {
    PATH: `${commands}:${installed.bin}:${process.env['PATH']}`,
    ZOO_CONF_DIR: folder('conf'),
    ZOO_DATA_DIR: folder('data'),
    ZOO_DATA_LOG_DIR: folder('datalog'),
    ZOO_LOG_DIR: folder('logs'),
    ZOOCFGDIR: folder('conf'),
  }
  const file = (path: string): string => readFileSync(join(dir, path), 'utf8')
  return { dir, env, file, path: (path: string) => join(dir, path) }
}

/** zoo.cfg as the official image's entry point writes it (31z4/zookeeper-docker, 3.9.5), by key. */
function settings(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line !== '')
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

describe('the entry point of the image', () => {
  test('without variables it writes what the official image writes, and runs the command in its place', async () => {
    const { dir, env, file } = image('defaults', 1000)
    const ended = await run(ENTRYPOINT, ['echo', 'two  blanks', '*'], dir, env)
    expect(ended).toEqual({ code: 0, stdout: 'two  blanks *\n', stderr: '' })
    expect(settings(file('conf/zoo.cfg'))).toEqual({
      dataDir: env.ZOO_DATA_DIR,
      dataLogDir: env.ZOO_DATA_LOG_DIR,
      tickTime: '2000',
      initLimit: '5',
      syncLimit: '2',
      'autopurge.snapRetainCount': '3',
      'autopurge.purgeInterval': '0',
      maxClientCnxns: '60',
      standaloneEnabled: 'true',
      'admin.enableServer': 'true',
      'server.1': 'localhost:2888:3888;2181',
    })
    expect(file('data/myid')).toBe('1\n')
  })

  test('every variable of the official image has its key', async () => {
    const { dir, env, file } = image('all', 1000)
    const variables = {
      ZOO_TICK_TIME: '1999',
      ZOO_INIT_LIMIT: '11',
      ZOO_SYNC_LIMIT: '6',
      ZOO_AUTOPURGE_PURGEINTERVAL: '12',
      ZOO_AUTOPURGE_SNAPRETAINCOUNT: '7',
      ZOO_MAX_CLIENT_CNXNS: '0',
      ZOO_STANDALONE_ENABLED: 'false',
      ZOO_ADMINSERVER_ENABLED: 'false',
      ZOO_4LW_COMMANDS_WHITELIST: 'srvr, mntr',
      ZOO_SERVERS: 'server.1=zoo1:2888:3888;2181 server.2=[::1]:2888:3888;2181\nserver.3=zoo3:2888:3888:observer;2181',
      ZOO_CFG_EXTRA: 'snapCount=500  compat.all=true\nssl.keyStore.password=a*b$c',
      ZOO_MY_ID: '3',
    }
    await run(ENTRYPOINT, ['true'], dir, { ...env, ...variables })
    expect(settings(file('conf/zoo.cfg'))).toEqual({
      dataDir: env.ZOO_DATA_DIR,
      dataLogDir: env.ZOO_DATA_LOG_DIR,
      tickTime: '1999',
      initLimit: '11',
      syncLimit: '6',
      'autopurge.snapRetainCount': '7',
      'autopurge.purgeInterval': '12',
      maxClientCnxns: '0',
      standaloneEnabled: 'false',
      'admin.enableServer': 'false',
      '4lw.commands.whitelist': 'srvr, mntr',
      'server.1': 'zoo1:2888:3888;2181',
      'server.2': '[::1]:2888:3888;2181',
      'server.3': 'zoo3:2888:3888:observer;2181',
      snapCount: '500',
      'compat.all': 'true',
      'ssl.keyStore.password': 'a*b$c',
    })
    expect(file('data/myid')).toBe('3\n')
  })

  test('zoo.cfg and myid that are there stay as they are', async () => {
    const { dir, env, file, path } = image('mounted', 1000)
    writeFileSync(path('conf/zoo.cfg'), '# mine\n')
    writeFileSync(path('data/myid'), '7\n')
    await run(ENTRYPOINT, ['true'], dir, { ...env, ZOO_MY_ID: '3', ZOO_TICK_TIME: '1' })
    expect(file('conf/zoo.cfg')).toBe('# mine\n')
    expect(file('data/myid')).toBe('7\n')
  })

  test('what it writes is readable by its user alone', async () => {
    const { dir, env, path } = image('modes', 1000)
    await run(ENTRYPOINT, ['true'], dir, env)
    for (const file of ['conf/zoo.cfg', 'data/myid']) expect(statSync(path(file)).mode & 0o777).toBe(0o600)
  })

  test('as root it gives the folders to zookeeper and goes on as that user, before it writes anything', async () => {
    const { dir, env, path } = image('root', 0)
    const { code, stdout } = await run(ENTRYPOINT, ['zkServer.sh', 'start-foreground'], dir, env)
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual([
      `chown -R zookeeper ${['data', 'datalog', 'logs'].map(path).join(' ')}`,
      `chown zookeeper ${path('conf')}`,
      `setpriv --reuid zookeeper --regid zookeeper --init-groups --inh-caps=-all ${ENTRYPOINT} zkServer.sh start-foreground`,
      '',
    ])
    expect(() => statSync(path('conf/zoo.cfg'))).toThrow('ENOENT')
  })

  test('a folder that cannot be written is named, and nothing is started', async () => {
    const { dir, env, path } = image('readonly', 1000)
    writeFileSync(path('file'), '')
    const { code, stdout, stderr } = await run(ENTRYPOINT, ['echo', 'started'], dir, {
      ...env,
      ZOO_DATA_DIR: path('file/data'),
    })
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toContain(`cannot write ${path('file/data')}/myid as user 1000`)
  })
})

describe('the command and the health check of the image', () => {
  test('the server that the entry point starts is alive, and is not once it has ended', async () => {
    const { dir, env } = image('serves', 1000)
    const [port, quorumPort, electionPort] = [await freePort(), await freePort(), await freePort()]
    const server = start(ENTRYPOINT, ['zkServer.sh', 'start-foreground'], dir, {
      ...env,
      ZOO_SERVERS: `server.1=127.0.0.1:${quorumPort}:${electionPort};127.0.0.1:${port}`,
      ZOO_ADMINSERVER_ENABLED: 'false',
    })
    try {
      await server.stdoutMatching(/"serving"/)
      expect((await run(HEALTHCHECK, [], dir, env)).code).toBe(0)
    } finally {
      server.kill('SIGTERM')
    }
    expect((await server.ended).code).toBe(0)
    expect((await run(HEALTHCHECK, [], dir, env)).code).not.toBe(0)
  })

  test('a member without a quorum is alive', async () => {
    const { dir, env } = image('lonely', 1000)
    const ports: number[] = []
    for (let i = 0; i < 5; i++) ports.push(await freePort())
    const server = start(ENTRYPOINT, ['zkServer.sh', 'start-foreground'], dir, {
      ...env,
      ZOO_SERVERS:
        `server.1=127.0.0.1:${ports[0]}:${ports[1]};127.0.0.1:${ports[2]} ` +
        `server.2=127.0.0.1:${ports[3]}:${ports[4]};127.0.0.1:1`,
      ZOO_ADMINSERVER_ENABLED: 'false',
    })
    try {
      await listening(ports[2]!)
      expect(await run(HEALTHCHECK, [], dir, env)).toEqual({ code: 0, stdout: '', stderr: '' })
    } finally {
      server.kill('SIGTERM')
    }
    expect((await server.ended).code).toBe(0)
  })

  test.each([
    ['in zoo.cfg', 'clientPort=PORT\n'],
    ['in zoo.cfg, with an address', 'clientPort = PORT\r\nclientPortAddress=127.0.0.1\r\n'],
    ['in the line of this server', 'server.1=a:1:2;PORT\nserver.2=b:1:2;1\n'],
    ['in the line of this server, with an address', 'server.1=a:1:2:participant;[0:0:0:0:0:0:0:0]:PORT\n'],
  ])('it finds the client port %s', async (_, text) => {
    const { dir, env, path } = image(`port ${text.length}`, 1000)
    const answering = await listener((socketSays) => socketSays('This ZooKeeper instance\n'))
    writeFileSync(path('data/myid'), '1\n')
    writeFileSync(path('conf/zoo.cfg'), text.replaceAll('PORT', String(answering.port)))
    expect(await run(HEALTHCHECK, [], dir, env)).toEqual({ code: 0, stdout: '', stderr: '' })
    answering.server.close()
  })

  test('a port that takes connections and closes them without a word is not alive', async () => {
    const { dir, env, path } = image('mute', 1000)
    const mute = await listener((_, close) => close())
    writeFileSync(path('data/myid'), '1\n')
    writeFileSync(path('conf/zoo.cfg'), `clientPort=${mute.port}\n`)
    expect((await run(HEALTHCHECK, [], dir, env)).code).not.toBe(0)
    mute.server.close()
  })
})

/** Somebody who listens, and does `on` when anything has been said. */
function listener(on: (say: (text: string) => void, close: () => void) => void) {
  return new Promise<{ server: Server; port: number }>((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () =>
        on(
          (text) => socket.end(text),
          () => socket.end(),
        ),
      )
    })
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve({ server, port: typeof address === 'object' && address !== null ? address.port : 0 })
    })
  })
}

/** Settles when somebody listens there. */
async function listening(port: number): Promise<void> {
  for (;;) {
    const there = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (there) return
  }
}
