/** The client's settings, from CLIENT_JVMFLAGS and a file, and what comes of them on a server with TLS and SASL. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readClientSettings } from '../../../../src/cli/zkcli/clientsettings.ts'
import { ZooKeeper } from '../../../../src/client/zookeeper.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import type { RunningServer } from '../../../../src/server/life/running.ts'
import { startServer } from '../../../../src/server/main.ts'
import { eventText } from '../../client/corekit.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`../../server/tls/fixtures/${name}`, import.meta.url))

const JAAS = `
Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="secret"; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="secret"; };
Wrong { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="guess"; };
`

let dir: string
let server: RunningServer | null
let warnings: string[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'zkcli-settings-'))
  server = null
  warnings = []
  writeFileSync(join(dir, 'jaas.conf'), JAAS)
})

afterEach(async () => {
  await server?.close()
  rmSync(dir, { recursive: true })
})

function file(...lines: string[]): string {
  const path = join(dir, 'client.properties')
  writeFileSync(path, lines.join('\n'))
  return path
}

function read(path: string | null, flags = '') {
  return readClientSettings(path, { CLIENT_JVMFLAGS: flags }, (text) => warnings.push(text))
}

async function start(): Promise<RunningServer> {
  const lines = [
    `dataDir=${dir}`,
    'clientPort=0',
    'clientPortAddress=127.0.0.1',
    'secureClientPort=0',
    'secureClientPortAddress=127.0.0.1',
    `ssl.keyStore.location=${fixture('server.pem')}`,
    `ssl.trustStore.location=${fixture('ca.pem')}`,
    'forceSync=no',
  ]
  const properties = new Map([['java.security.auth.login.config', join(dir, 'jaas.conf')]])
  const { config } = parseConfig(lines.join('\n'), 'zoo.cfg', properties, (path) =>
    path.endsWith('jaas.conf') ? JAAS : null,
  )
  server = await startServer(config, pino({ level: 'silent' }))
  return server
}

/** Who one is there, and the events of it. */
async function whoAmI(port: number, path: string | null, flags = ''): Promise<{ ids: string[]; events: string[] }> {
  const { upgrade, sasl } = await read(path, flags)
  const events: string[] = []
  const options = { connect: `127.0.0.1:${port}`, sessionTimeoutMs: 10_000, shell: { upgrade, sasl } }
  const zk = new ZooKeeper(options, (event) => events.push(eventText(event)))
  try {
    const ids = await zk.whoAmI()
    return { ids: ids.map(({ authScheme }) => authScheme ?? '').sort(), events }
  } finally {
    await zk.close()
  }
}

describe('settings', () => {
  test('are those of the flags, and over them those of the file', async () => {
    const flags = '-Dzookeeper.request.timeout=5000 -Djute.maxbuffer=0x200000 -Xmx1g'
    expect(await read(null, flags)).toMatchObject({
      requestTimeoutMs: 5000,
      answerBytesMax: 2097152,
      resetsWatches: true,
    })
    const path = file('zookeeper.request.timeout = 7000', 'zookeeper.disableAutoWatchReset: true')
    expect(await read(path, flags)).toMatchObject({
      requestTimeoutMs: 7000,
      answerBytesMax: 2097152,
      resetsWatches: false,
    })
    expect(await read(null)).toEqual({
      requestTimeoutMs: 0,
      answerBytesMax: 0xfffff,
      resetsWatches: true,
      upgrade: null,
      sasl: null,
    })
  })

  test('that cannot be used are refused with their place', async () => {
    await expect(read(join(dir, 'none'))).rejects.toThrow('none')
    await expect(read(null, '-Djute.maxbuffer=lots')).rejects.toThrow('jute.maxbuffer=lots')
    await expect(read(file('a=\\u12'))).rejects.toThrow('client.properties:1')
    const path = file('zookeeper.client.secure=true', 'zookeeper.ssl.trustStore.location=/none.pem')
    await expect(read(path)).rejects.toThrow('/none.pem')
  })
})

describe('on a server', () => {
  test('zookeeper.client.secure speaks TLS, with the key of the client if it has one', async () => {
    const { securePort, port } = await start()
    const tls = ['zookeeper.client.secure=true', `zookeeper.ssl.trustStore.location=${fixture('ca.pem')}`]
    const key = `zookeeper.ssl.keyStore.location=${fixture('client.pem')}`
    expect((await whoAmI(securePort, file(...tls, key))).ids).toEqual(['ip', 'x509'])
    expect((await whoAmI(port, null)).ids).toEqual(['ip'])
  })

  test('a JAAS file with the section Client logs in, over either port', async () => {
    const { securePort, port } = await start()
    const flags = `-Djava.security.auth.login.config=${join(dir, 'jaas.conf')}`
    const plain = await whoAmI(port, null, flags)
    expect(plain.ids).toEqual(['ip', 'sasl'])
    expect(plain.events).toEqual(['SyncConnected', 'SaslAuthenticated', 'Closed'])
    const tls = ['zookeeper.client.secure=true', `zookeeper.ssl.trustStore.location=${fixture('ca.pem')}`]
    const key = `zookeeper.ssl.keyStore.location=${fixture('client.pem')}`
    expect((await whoAmI(securePort, file(...tls, key), flags)).ids).toEqual(['ip', 'sasl', 'x509'])
    expect((await whoAmI(port, file('zookeeper.sasl.client=false'), flags)).ids).toEqual(['ip'])
  })

  test('a wrong password ends the session; a section that is not there is worth a word', async () => {
    const { port } = await start()
    const flags = `-Djava.security.auth.login.config=${join(dir, 'jaas.conf')}`
    await expect(whoAmI(port, file('zookeeper.sasl.clientconfig=Wrong'), flags)).rejects.toThrow('AuthFailed')
    expect((await whoAmI(port, file('zookeeper.sasl.clientconfig=Other'), flags)).ids).toEqual(['ip'])
    expect(warnings.join()).toContain('no section Other')
  })
})
