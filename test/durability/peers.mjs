/**
 * The real programs these tests compare with: the Java server, and kazoo, the Python client. Pinned, and kept in the
 * same cache as the interop suite's peers.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from '../interop/cache.mjs'
import { fetchKazoo, versions } from '../interop/peers.mjs'
import { runToEnd } from '../interop/process.mjs'
import { previousRelease } from '../interop/releases.mjs'

/** Stock flags but for the heap; what a figure about speed is compared with. */
export const JAVA_STOCK = '-Xmx1000m'
/** The same server, tuned for a short start on a small machine. */
export const JAVA_QUICK = '-Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'

/** The command that runs the Java server in the foreground on a zoo.cfg. */
export async function javaServer(flags = JAVA_QUICK) {
  const recipe = pom()
  const home = await cached('java-server', versions.zookeeper, recipe + LOGBACK, async (directory) => {
    const pomFile = join(directory, 'pom.xml')
    const lib = join(directory, 'lib')
    writeFileSync(pomFile, recipe)
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${lib}`]
    await runToEnd('mvn', ['-q', '-B', '-f', pomFile, ...goal])
    if (!existsSync(join(lib, `zookeeper-${versions.zookeeper}.jar`))) throw new Error('maven did not bring the server')
    mkdirSync(join(directory, 'conf'))
    writeFileSync(join(directory, 'conf', 'logback.xml'), LOGBACK)
  })
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  return `java ${flags} -cp '${home}/conf:${home}/lib/*' ${main}`
}

/**
 * A server command as given on the command line: `java` is the reference server, `previous` the last release of ours,
 * which is null where this copy has no history.
 */
export async function serverCommand(words, javaFlags) {
  if (words === 'previous') return (await previousRelease())?.command ?? null
  return words === 'java' ? javaServer(javaFlags) : words
}

/** The environment in which python3 finds kazoo. */
export async function kazooEnvironment() {
  return { ...process.env, PYTHONPATH: await fetchKazoo() }
}

function pom() {
  // The server's own pom calls these provided or optional; the release carries them in lib/.
  const carried = [
    'commons-cli:commons-cli',
    'org.eclipse.jetty:jetty-server',
    'org.eclipse.jetty:jetty-servlet',
    'com.fasterxml.jackson.core:jackson-databind',
    'ch.qos.logback:logback-classic',
    'io.dropwizard.metrics:metrics-core',
    'org.xerial.snappy:snappy-java',
    'org.jline:jline',
  ]
  const dependency = (group, artifact, rest) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>${rest}</dependency>`
  const parentOnly = `<version>${versions.zookeeper}</version><type>pom</type><scope>import</scope>`
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>durability</groupId><artifactId>zookeeper-runtime</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies>
    ${dependency('org.apache.zookeeper', 'parent', parentOnly)}
  </dependencies></dependencyManagement>
  <dependencies>
    ${dependency('org.apache.zookeeper', 'zookeeper', `<version>${versions.zookeeper}</version>`)}
    ${carried.map((ga) => dependency(...ga.split(':'), '<scope>runtime</scope>')).join('\n    ')}
  </dependencies>
</project>
`
}

const LOGBACK = `<configuration>
  <appender name="CONSOLE" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5p [%t] %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="CONSOLE" /></root>
</configuration>
`
