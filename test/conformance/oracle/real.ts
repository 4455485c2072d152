/**
 * The reference: Apache ZooKeeper 3.9.5 from Maven Central, fetched once by mvn into a cache folder and started with a
 * small heap. Library versions are those the release pins (its parent pom, imported). The log level is ERROR: at INFO every
 * refused request costs a line, and the oracle's requests are mostly refused ones.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const VERSION = '3.9.5'

/** Libraries the server's pom calls provided or optional although a server needs them. */
const RUNTIME = [
  'ch.qos.logback:logback-classic',
  'io.dropwizard.metrics:metrics-core',
  'org.xerial.snappy:snappy-java',
]

/** The command that runs the reference in the foreground; a zoo.cfg is to be appended. Fetches it if need be. */
export function realServer(env: NodeJS.ProcessEnv): string[] {
  const home = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'zoowarden-interop', `oracle-${VERSION}`)
  if (!existsSync(join(home, 'lib'))) fetchInto(home)
  const java = env['JAVA_HOME'] === undefined ? 'java' : join(env['JAVA_HOME'], 'bin', 'java')
  return [
    java,
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-Dzookeeper.admin.enableServer=false',
    '-Dzookeeper.jmx.log4j.disable=true',
    '-cp',
    `${join(home, 'conf')}:${join(home, 'lib')}/*`,
    'org.apache.zookeeper.server.quorum.QuorumPeerMain',
  ]
}

function fetchInto(home: string): void {
  mkdirSync(dirname(home), { recursive: true })
  const tmp = mkdtempSync(`${home}.`)
  try {
    mkdirSync(join(tmp, 'conf'))
    writeFileSync(join(tmp, 'pom.xml'), pom())
    writeFileSync(join(tmp, 'conf', 'logback.xml'), LOGBACK)
    const args = ['-q', '-B', '-f', join(tmp, 'pom.xml'), 'dependency:copy-dependencies', '-DincludeScope=runtime']
    const done = spawnSync('mvn', [...args, `-DoutputDirectory=${join(tmp, 'lib')}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (done.status !== 0 || !existsSync(join(tmp, 'lib', `zookeeper-${VERSION}.jar`))) {
      throw new Error(`cannot fetch ZooKeeper ${VERSION}: mvn ended with ${done.status ?? String(done.error)}`)
    }
    if (!existsSync(home)) renameSync(tmp, home)
  } finally {
    rmSync(tmp, { recursive: true, force: true })
  }
}

function pom(): string {
  const runtime = RUNTIME.map((ga) => {
    const [group, artifact] = ga.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><scope>runtime</scope></dependency>`
  })
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>oracle</groupId><artifactId>reference</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>org.apache.zookeeper</groupId><artifactId>parent</artifactId><version>${VERSION}</version>
    <type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>org.apache.zookeeper</groupId><artifactId>zookeeper</artifactId><version>${VERSION}</version></dependency>
    ${runtime.join('\n    ')}
  </dependencies>
</project>
`
}

const LOGBACK = `<configuration>
  <appender name="CONSOLE" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5p [%t:%C{1}@%L] - %m%n</pattern></encoder>
  </appender>
  <logger name="org.apache.zookeeper.server.PrepRequestProcessor" level="OFF"/>
  <logger name="org.apache.zookeeper.server.FinalRequestProcessor" level="OFF"/>
  <root level="ERROR"><appender-ref ref="CONSOLE"/></root>
</configuration>
`
