/** zoo.cfg and -D flags into a Config: meanings, precedence, refusals and warnings. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Config, configFromArguments, loadConfig, parseConfig } from '../../../src/server/config/config.ts'
import { ConfigError, parseJavaInteger } from '../../../src/server/config/settings.ts'

const BASE = 'dataDir=/d\nclientPort=2181\n'

function parse(text: string, system: Record<string, string> = {}, files: Record<string, string> = {}) {
  return parseConfig(text, '/etc/zookeeper/zoo.cfg', new Map(Object.entries(system)), (path) => files[path] ?? null)
}

function configOf(text: string, system: Record<string, string> = {}): Config {
  return parse(BASE + text, system).config
}

function warningsOf(text: string, system: Record<string, string> = {}): string[] {
  return parse(BASE + text, system).warnings
}

describe('configurations from the wild', () => {
  test('the sample of the distribution', () => {
    const { config, warnings } = parse(
      '# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n' +
        '# do not use /tmp for storage, /tmp here is just \n# example sakes.\ndataDir=/tmp/zookeeper\nclientPort=2181\n' +
        '#maxClientCnxns=60\n#autopurge.purgeInterval=1\n\n## Metrics Providers\n#metricsProvider.httpPort=7000\n',
    )
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      dataDir: '/tmp/zookeeper',
      dataLogDir: '/tmp/zookeeper',
      clientAddress: { host: null, port: 2181 },
      tickTimeMs: 2000,
      sessionTimeoutMinMs: 4000,
      sessionTimeoutMaxMs: 40_000,
      quorum: { distributed: false },
    })
  })

  test('what a Kubernetes chart writes for one replica', () => {
    const { config, warnings } = parse(
      'clientPort=2181\ndataDir=/var/lib/zookeeper/data\ndataLogDir=/var/lib/zookeeper/log\ntickTime=2000\ninitLimit=10\n' +
        'syncLimit=5\nmaxClientCnxns=60\nminSessionTimeout= 4000\nmaxSessionTimeout= 40000\nautopurge.snapRetainCount=3\n' +
        'autopurge.purgeInterval=12\npreAllocSize=65536\nsnapCount=10000\nstandaloneEnabled=true\nreconfigEnabled=false\n' +
        '4lw.commands.whitelist=srvr, mntr, ruok\nquorumListenOnAllIPs=true\nadmin.enableServer=true\nadmin.serverPort=8080\n' +
        'server.1=zk-0.zk-headless.default.svc.cluster.local:2888:3888\n',
    )
    expect(config).toMatchObject({
      dataLogDir: '/var/lib/zookeeper/log',
      purgeIntervalHours: 12,
      snapCount: 10_000,
      fourLetterWhitelist: 'srvr, mntr, ruok',
      quorum: { distributed: false, standaloneEnabled: true },
    })
    expect(config.admin).toMatchObject({ enabled: true, host: '0.0.0.0', port: 8080, commandUrl: '/commands' })
    expect(warnings).toEqual([])
  })

  test('a Windows path needs its backslashes doubled, as in every properties file', () => {
    expect(parse('dataDir=C:\\\\zk\\\\data\nclientPort=2181').config.dataDir).toBe('C:\\zk\\data')
  })

  test('separators, blanks and continuation lines are those of properties', () => {
    const config = parse('  dataDir : /d\nclientPort   2181\n4lw.commands.whitelist=ruok,\\\n    mntr  \n').config
    expect(config).toMatchObject({ dataDir: '/d', clientAddress: { port: 2181 }, fourLetterWhitelist: 'ruok,mntr' })
  })
})

describe('defaults', () => {
  test('are those of 3.9.5', () => {
    expect(configOf('')).toMatchObject({
      tickTimeMs: 3000,
      sessionTimeoutMinMs: 6000,
      sessionTimeoutMaxMs: 60_000,
      sessionlessCnxnTimeoutMs: 10_000,
      clientPortListenBacklog: -1,
      maxClientCnxns: 60,
      maxCnxns: 0,
      globalOutstandingLimit: 1000,
      juteMaxBufferBytes: 1_048_575,
      juteExtraBytes: 1_048_575,
      snapCount: 100_000,
      snapSizeLimitBytes: 4 * 1024 ** 3,
      txnLogSizeLimitBytes: -1,
      preAllocBytes: 64 * 1024 ** 2,
      forceSync: true,
      fsyncWarningThresholdMs: 1000,
      commitLogCount: 500,
      snapshotCompression: '',
      snapshotTrustEmpty: false,
      serializeLastProcessedZxid: true,
      snapRetainCount: 3,
      purgeIntervalHours: 0,
      treeDigestEnabled: true,
      closeSessionTxnEnabled: true,
      extendedTypesEnabled: false,
      emulate353TTLNodes: false,
      containerCheckIntervalMs: 60_000,
      containerMaxPerMinute: 10_000,
      containerMaxNeverUsedIntervalMs: 0,
      enforceQuota: false,
      skipACL: false,
      superDigest: null,
      digestAlg: 'sha1',
      digestAuthEnabled: true,
      authProviders: [{ scheme: 'ip' }, { scheme: 'digest' }],
      enforceAuthEnabled: false,
      throttledOpWaitTimeMs: 0,
      largeRequestThresholdBytes: -1,
      largeRequestMaxBytes: 100 * 1024 ** 2,
      fourLetterWhitelist: null,
      readonlyModeEnabled: false,
      metricsProvider: { kind: 'default', httpPort: 7000 },
      serverId: null,
    })
    expect(warningsOf('')).toEqual([])
  })

  test('clientPortAddress: none and 0.0.0.0 are every address, an empty one is the loopback', () => {
    expect(configOf('clientPortAddress=0.0.0.0').clientAddress).toEqual({ host: null, port: 2181 })
    expect(configOf('clientPortAddress=').clientAddress).toEqual({ host: '127.0.0.1', port: 2181 })
    expect(configOf('clientPortAddress=::1').clientAddress).toEqual({ host: '::1', port: 2181 })
  })

  test('session limits follow the tick unless set, and -1 counts as not set', () => {
    expect(configOf('tickTime=100\nmaxSessionTimeout=-1\nminSessionTimeout=150')).toMatchObject({
      sessionTimeoutMinMs: 150,
      sessionTimeoutMaxMs: 2000,
    })
  })
})

describe('where a setting comes from', () => {
  test('a property may stand in the file or come from -D, and the file wins over -D', () => {
    expect(configOf('', { 'zookeeper.snapCount': '500' }).snapCount).toBe(500)
    expect(configOf('snapCount=700', { 'zookeeper.snapCount': '500' }).snapCount).toBe(700)
    expect(warningsOf('snapCount=700', { 'zookeeper.snapCount': '500' })).toEqual([
      '-Dzookeeper.snapCount: is overridden by zoo.cfg:3',
    ])
  })

  test('a key without the prefix works from -D only; in the file it does nothing and says so', () => {
    expect(configOf('', { 'jute.maxbuffer': '0x400000' }).juteMaxBufferBytes).toBe(4 * 1024 ** 2)
    expect(configOf('', { 'jute.maxbuffer': '4194304' }).juteExtraBytes).toBe(4 * 1024 ** 2)
    expect(configOf('jute.maxbuffer=99').juteMaxBufferBytes).toBe(1_048_575)
    expect(warningsOf('jute.maxbuffer=99')).toEqual([
      'zoo.cfg:3: jute.maxbuffer has no effect in the file: give it as -Djute.maxbuffer=99 in SERVER_JVMFLAGS',
    ])
    expect(warningsOf('', { 'zookeeper.jute.maxbuffer': '99' })).toEqual([
      '-Dzookeeper.jute.maxbuffer: has no effect: the name is -Djute.maxbuffer, without zookeeper.',
    ])
  })

  test('a key of the file alone does nothing as -D and says so', () => {
    expect(configOf('', { 'zookeeper.tickTime': '100' }).tickTimeMs).toBe(3000)
    expect(warningsOf('', { 'zookeeper.tickTime': '100' })).toEqual([
      '-Dzookeeper.tickTime: has no effect: tickTime is read from the file only',
    ])
  })

  test('container keys come from -D', () => {
    expect(
      configOf('', { 'znode.container.checkIntervalMs': '500', 'znode.container.maxPerMinute': '3' }),
    ).toMatchObject({
      containerCheckIntervalMs: 500,
      containerMaxPerMinute: 3,
    })
  })

  test('the fsync threshold also has its old name, behind the new one', () => {
    expect(configOf('', { 'fsync.warningthresholdms': '20' }).fsyncWarningThresholdMs).toBe(20)
    expect(configOf('fsync.warningthresholdms=30', { 'fsync.warningthresholdms': '20' }).fsyncWarningThresholdMs).toBe(
      30,
    )
    expect(warningsOf('', { 'fsync.warningthresholdms': '20' })).toEqual([])
  })

  test('properties of Java logging, management and clients are passed over in silence', () => {
    const flags = { 'zookeeper.log.dir': '/l', 'zookeeper.root.logger': 'INFO', 'com.sun.management.jmxremote': '' }
    expect(warningsOf('', flags)).toEqual([])
  })

  test('the later of two equal keys counts, and the earlier one is named', () => {
    expect(configOf('tickTime=1\ntickTime=2').tickTimeMs).toBe(2)
    expect(warningsOf('tickTime=1\ntickTime=2')).toEqual([
      'zoo.cfg:3: tickTime is set again at zoo.cfg:4; the later one counts',
    ])
  })

  test('integers of properties may be hexadecimal or octal (Integer.decode), those of the file may not', () => {
    expect(
      ['0x10', '#10', '010', '-0x1', '8', '+8', '08', '1e3', ''].map((text) => parseJavaInteger(text, true)),
    ).toEqual([16, 16, 8, -1, 8, 8, null, null, null])
    expect(
      ['010', '-5', '+5', '0x10', '5 ', '9223372036854775807', '9223372036854775808'].map((text) =>
        parseJavaInteger(text, false),
      ),
    ).toEqual([10, -5, 5, null, null, 2 ** 63, null])
  })
})

describe('idle settings get one warning each', () => {
  test('a known key without effect is named with the reason', () => {
    expect(warningsOf('nio.numSelectorThreads=4\nmaxResponseCacheSize=10')).toEqual([
      'zoo.cfg:3: nio.numSelectorThreads has no effect: there are no worker threads to size: one event loop serves every connection',
      'zoo.cfg:4: maxResponseCacheSize has no effect: there is no response cache: replies are copied straight from the tree',
    ])
  })

  test('an unknown key is named with the nearest known one', () => {
    expect(warningsOf('maxClientConnections=5\nsnapcount=5\nzookeeper.snapCount=5\nmy.own.thing=1')).toEqual([
      'zoo.cfg:3: maxClientConnections is not a known setting and is ignored; did you mean maxClientCnxns?',
      'zoo.cfg:4: snapcount is not a known setting and is ignored; did you mean snapCount?',
      'zoo.cfg:5: zookeeper.snapCount is not a known setting and is ignored; in the file its name is snapCount, without zookeeper.',
      'zoo.cfg:6: my.own.thing is not a known setting and is ignored',
    ])
    expect(warningsOf('', { 'zookeeper.snapCont': '5', 'jute.maxbufer': '1', 'my.thing': '2' })).toEqual([
      '-Dzookeeper.snapCont: is not a known setting and is ignored; did you mean snapCount?',
      '-Djute.maxbufer: is not a known setting and is ignored; did you mean jute.maxbuffer?',
    ])
  })

  test('a boolean property is false unless true, as in Java, but another word is suspicious', () => {
    expect(configOf('enforceQuota=TRUE').enforceQuota).toBe(true)
    expect(configOf('enforceQuota=yes').enforceQuota).toBe(false)
    expect(warningsOf('enforceQuota=yes')).toEqual([
      'zoo.cfg:3: enforceQuota=yes counts as false: only true and false mean something here',
    ])
  })

  test('switches spelt yes and no take exactly that word', () => {
    expect(configOf('skipACL=yes').skipACL).toBe(true)
    expect(configOf('skipACL=true').skipACL).toBe(false)
    expect(configOf('forceSync=no').forceSync).toBe(false)
    expect(configOf('forceSync=false').forceSync).toBe(true)
    expect(warningsOf('forceSync=false')).toHaveLength(1)
  })

  test('limits below the least are raised, as Java raises them', () => {
    expect(configOf('snapCount=1\nautopurge.snapRetainCount=1\ncommitLogCount=10')).toMatchObject({
      snapCount: 2,
      snapRetainCount: 3,
      commitLogCount: 500,
    })
    expect(warningsOf('snapCount=1\nautopurge.snapRetainCount=1')).toHaveLength(2)
  })

  test('X17 settings that give up safety are named at every start', () => {
    expect(warningsOf('skipACL=yes\nforceSync=no').map((warning) => warning.split(':').slice(0, 3).join(':'))).toEqual([
      'zoo.cfg:3: skipACL=yes',
      'zoo.cfg:4: forceSync=no',
    ])
  })

  test('what is accepted but not there yet says so: SASL without a login', () => {
    const auth = 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider'
    expect(warningsOf(`authProvider.1=${auth}`)).toEqual([
      'zoo.cfg: nobody can authenticate by sasl: -Djava.security.auth.login.config is not set',
    ])
  })

  test('a relative directory without ./ is pointed out', () => {
    expect(parse('dataDir=data\nclientPort=1').warnings).toEqual([
      'zoo.cfg:1: dataDir=data is relative: begin it with ./ to say that this is meant',
    ])
    expect(parse('dataDir=./data\nclientPort=1').warnings).toEqual([])
  })
})

describe('a value that cannot be meant refuses the start, with file and line', () => {
  const refusals: ReadonlyArray<readonly [text: string, message: string]> = [
    ['clientPort=2181\n', 'zoo.cfg: dataDir is not set'],
    [`${BASE}tickTime=abc`, 'zoo.cfg:3: tickTime=abc is not a number'],
    [`${BASE}tickTime=2000 # ms`, 'zoo.cfg:3: tickTime=2000 # ms is not a number (a comment needs a line of its own)'],
    [`${BASE}tickTime=0`, 'zoo.cfg:3: tickTime=0 is out of range: it must be at least 1'],
    [`${BASE}tickTime=0x10`, 'zoo.cfg:3: tickTime=0x10 is not a number'],
    [
      `${BASE}maxClientCnxns=2147483648`,
      'zoo.cfg:3: maxClientCnxns=2147483648 is out of range: it must be at least -2147483648',
    ],
    ['dataDir=/d\nclientPort=65536', 'zoo.cfg:2: clientPort=65536 is out of range: it must be between 0 and 65535'],
    ['dataDir=/d\nclientPortAddress=::1', 'zoo.cfg:2: clientPortAddress is set but clientPort is not'],
    [
      'dataDir=/d\nsecureClientPortAddress=::1',
      'zoo.cfg:2: secureClientPortAddress is set but secureClientPort is not',
    ],
    [
      `${BASE}minSessionTimeout=9\nmaxSessionTimeout=8`,
      'zoo.cfg:3: minSessionTimeout 9 is larger than maxSessionTimeout 8',
    ],
    [`${BASE}minSessionTimeout=90000`, 'zoo.cfg:3: minSessionTimeout 90000 is larger than maxSessionTimeout 60000'],
    [`${BASE}standaloneEnabled=yes`, 'zoo.cfg:3: standaloneEnabled=yes must be true or false'],
    [`${BASE}electionAlg=1`, 'zoo.cfg:3: electionAlg=1: only 3 exists'],
    [`${BASE}peerType=leader`, 'zoo.cfg:3: peerType=leader is neither participant nor observer'],
    [`${BASE}snapshot.compression.method=zip`, 'zoo.cfg:3: snapshot.compression.method=zip is neither gz nor snappy'],
    [`${BASE}a=\\u00zz`, 'zoo.cfg:3: malformed \\uxxxx escape'],
    [
      `${BASE}authProvider.1=com.acme.Provider`,
      'zoo.cfg:3: authProvider.1=com.acme.Provider is not one of the authentication providers this server has',
    ],
    [
      `${BASE}serverCnxnFactory=com.acme.F`,
      'zoo.cfg:3: serverCnxnFactory=com.acme.F is not a connection factory of ZooKeeper',
    ],
    [`${BASE}metricsProvider.className=com.acme.M`, 'zoo.cfg:3: metrics provider class com.acme.M was not found'],
    [`${BASE}DigestAuthenticationProvider.digestAlg=ROT13`, 'zoo.cfg:3: ROT13 is not a known digest algorithm'],
    [`${BASE}enforce.auth.enabled=true`, 'zoo.cfg:3: enforce.auth.enabled=true needs enforce.auth.schemes'],
    [
      `${BASE}enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl`,
      'zoo.cfg:4: authentication scheme sasl has no provider',
    ],
    [`${BASE}connection_throttle_drop_increase=x`, 'zoo.cfg:3: connection_throttle_drop_increase=x is not a number'],
  ]
  for (const [text, message] of refusals) {
    test(message, () => {
      expect(() => parse(text)).toThrow(new ConfigError(message))
    })
  }

  test('a malformed -D is refused by its name', () => {
    expect(() => configOf('', { 'zookeeper.snapCount': 'many' })).toThrow(
      '-Dzookeeper.snapCount: snapCount=many is not a number',
    )
  })

  test('a file that is not there', () => {
    expect(() => loadConfig('/nowhere/zoo.cfg', {})).toThrow(new ConfigError('/nowhere/zoo.cfg: no such file'))
  })
})

describe('class names of Java', () => {
  test('its connection factories and metrics providers are known', () => {
    for (const name of ['NIOServerCnxnFactory', 'NettyServerCnxnFactory']) {
      expect(warningsOf(`serverCnxnFactory=org.apache.zookeeper.server.${name}`)).toEqual([])
    }
    const provider = 'org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'
    expect(configOf(`metricsProvider.className=${provider}\nmetricsProvider.httpPort=7001`).metricsProvider).toEqual({
      kind: 'prometheus',
      httpHost: '0.0.0.0',
      httpPort: 7001,
      exportJvmInfo: true,
    })
  })

  test('its authentication providers become schemes, from the file and from -D', () => {
    const config = configOf('authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider', {
      'zookeeper.authProvider.x509': 'org.apache.zookeeper.server.auth.X509AuthenticationProvider',
    })
    expect(config.authProviders.map((provider) => provider.scheme)).toEqual(['ip', 'digest', 'sasl', 'x509'])
  })

  test('the digest provider can be switched off', () => {
    const config = configOf('DigestAuthenticationProvider.enabled=false')
    expect(config.authProviders.map((provider) => provider.scheme)).toEqual(['ip'])
  })

  test('names of digest algorithms are those of the JDK', () => {
    expect(configOf('DigestAuthenticationProvider.digestAlg=SHA-256').digestAlg).toBe('sha256')
    expect(configOf('DigestAuthenticationProvider.digestAlg=SHA3-256').digestAlg).toBe('sha3-256')
  })
})

describe('secrets', () => {
  test('X10 neither a superuser digest nor the text of the file shows when a Config is printed', () => {
    const config = configOf('DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')
    expect(config.superDigest?.reveal()).toBe('super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')
    for (const printed of [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      `${config.superDigest}`,
    ]) {
      expect(printed).not.toContain('xQJmx')
    }
    expect(inspect(config.superDigest)).toBe('***')
  })

  test('X10 no warning repeats the value of a setting it does not know', () => {
    const warnings = warningsOf('ssl.keyStore.password=hush\nmy.password=hush\nmy.secret=hush')
    expect(warnings).toHaveLength(2)
    expect(warnings.join()).not.toContain('hush')
  })
})

describe('loading', () => {
  test('flags come from SERVER_JVMFLAGS and JVMFLAGS, of which JVMFLAGS is later on the command line of Java', () => {
    const dir = mkdtempSync(join(tmpdir(), 'zoowarden-config-'))
    try {
      const file = join(dir, 'zoo.cfg')
      writeFileSync(file, `dataDir=${dir}\nclientPort=2181\n`)
      writeFileSync(join(dir, 'myid'), '7\n')
      const env = {
        SERVER_JVMFLAGS: '-Xmx1000m -Dzookeeper.snapCount=300 -Dzookeeper.maxCnxns=5',
        JVMFLAGS: "-Dzookeeper.snapCount=400 -Dzookeeper.4lw.commands.whitelist='ruok, mntr'",
      }
      const { config, warnings } = loadConfig(file, env)
      expect(warnings).toEqual([])
      expect(config).toMatchObject({ snapCount: 400, maxCnxns: 5, fourLetterWhitelist: 'ruok, mntr', serverId: 7 })
      expect(Object.isFrozen(config)).toBe(true)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  test('bytes beyond ASCII are read as ISO-8859-1, as Java reads them', () => {
    const dir = mkdtempSync(join(tmpdir(), 'zoowarden-config-'))
    try {
      const file = join(dir, 'zoo.cfg')
      writeFileSync(file, Buffer.from('dataDir=/d\xe4ta\nclientPort=2181\n', 'latin1'))
      expect(loadConfig(file, {}).config.dataDir).toBe('/d\u00e4ta')
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  test('the legacy command line is port dataDir [tickTime] [maxClientCnxns]', () => {
    expect(configFromArguments(['2182', '/d\\x'], {}).config).toMatchObject({
      file: null,
      clientAddress: { host: null, port: 2182 },
      dataDir: '/d\\x',
      tickTimeMs: 3000,
    })
    expect(configFromArguments(['0', '/d', '100', '7'], {}).config).toMatchObject({
      tickTimeMs: 100,
      maxClientCnxns: 7,
    })
    expect(() => configFromArguments(['2182'], {})).toThrow(ConfigError)
    expect(() => configFromArguments(['1', '2', '3', '4', '5'], {})).toThrow(ConfigError)
    expect(() => configFromArguments(['port', '/d'], {})).toThrow('command line:1: clientPort=port is not a number')
  })
})
