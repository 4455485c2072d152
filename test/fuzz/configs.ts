/** Damaged configurations: refused with file and line, or read; a membership that was read means the same when it is written. */

import { parseConfig } from '../../src/server/config/config.ts'
import { formatMembership, parseConfigText } from '../../src/server/config/members.ts'
import { ConfigError } from '../../src/server/config/settings.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'
import type { Sample } from './samples.ts'

/** As /zookeeper/config and a dynamic file have it. */
const DYNAMIC = [
  'server.1=alpha:2888:3888:participant;0.0.0.0:2181',
  'server.2=[::1]:2889:3889|10.0.0.2:2889:3889:participant;[::1]:2182',
  'server.3=gamma:2890:3890:observer',
  'group.1=1:2',
  'weight.1=1',
  'weight.2=0',
  'version=100000000',
]

/** One of each way in which a value is read. */
const ZOO_CFG = [
  '# a member',
  'tickTime=2000',
  'initLimit = 10',
  'syncLimit: 5',
  'dataDir=/var/lib/zoo\\u006beeper',
  'dataLogDir=/var/lib/\\',
  '   log',
  'clientPort=2181',
  'secureClientPort=2281',
  'maxClientCnxns=60',
  'snapCount=0x1000',
  'snapshotSizeFactor=0.33',
  'forceSync=no',
  'skipACL=yes',
  'autopurge.purgeInterval=24',
  '4lw.commands.whitelist=srvr, mntr,*',
  'authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider',
  'authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
  'DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=',
  'ssl.keyStore.location=/etc/keys.p12',
  'ssl.keyStore.password=secret',
  'ssl.enabledProtocols=TLSv1.3,TLSv1.2',
  'ssl.ciphersuites=TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'ssl.clientAuth=want',
  'security.auth_to_local=RULE:[2:$1@$0](.*@EXAMPLE.COM)s/@.*// DEFAULT',
  'security.allow=skipACL',
  'compat.takeover=true',
  'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider',
  'metricsProvider.httpPort=7000',
  'peerType=participant',
  'sslQuorum=true',
  ...DYNAMIC.slice(0, -1).map((line) => line.replace('|10.0.0.2:2889:3889', '')),
]

export function configSamples(): Sample[] {
  const sample = (name: string, lines: readonly string[]): Sample => {
    const bytes = new TextEncoder().encode(lines.join('\n'))
    // Where lines begin, and where values do.
    const marks = [...bytes.keys()].filter((i) => bytes[i] === 0x0a || bytes[i] === 0x3d)
    return { name, bytes, marks }
  }
  return [sample('zoo.cfg.dynamic', DYNAMIC), sample('zoo.cfg', ZOO_CFG)]
}

export function judgeConfig(each: Case): Verdict {
  try {
    return each.file === 'zoo.cfg' ? judgeFile(each) : judgeMembership(each)
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    // The message has the place first, unless it is about a file that the configuration names.
    if (each.file === 'zoo.cfg' && !/^(zoo\.cfg|\/.*\/myid)/.test(err.message)) {
      return wrong(`a refusal without a place: ${err.message}`)
    }
    return { outcome: 'refused', problem: null }
  }
}

function judgeFile(each: Case): Verdict {
  const readFile = (path: string): string | null => (path.endsWith('/myid') ? '1\n' : null)
  const { config } = parseConfig(Buffer.from(each.bytes).toString('latin1'), '/etc/zoo.cfg', new Map(), readFile)
  if (!Object.isFrozen(config)) return wrong('a configuration that can be changed')
  return { outcome: 'started', problem: null }
}

function judgeMembership(each: Case): Verdict {
  const text = formatMembership(parseConfigText(Buffer.from(each.bytes).toString('utf8'), true))
  const again = formatMembership(parseConfigText(text, true))
  return again === text ? { outcome: 'started', problem: null } : wrong(`read again: ${again}, first: ${text}`)
}

function wrong(problem: string): Verdict {
  return { outcome: 'not judged', problem }
}
