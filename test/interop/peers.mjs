/**
 * The client libraries the interop suite runs, each at one pinned version, and how each is fetched.
 *
 * This is the only file that names versions. Everything comes through the ordinary client of its registry, as that
 * client is configured on the machine. What is fetched is kept by cache.mjs under the peer's version and recipe, so a
 * changed table fetches afresh and an unchanged one never touches the network.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.mjs'
import { runToEnd } from './process.mjs'

export const versions = {
  zookeeper: '3.9.5',
  // What reports to Prometheus: the source of 3.9.5 is the same, and not every registry has its jar.
  zookeeperMetrics: '3.9.4',
  curator: '5.9.0',
  /**
   * The oldest first, and what they log with. The last of each line, but of 3.4 the last that finds an address in a JDK of
   * today (ZOOKEEPER-3779). Of 3.9 there is the suite `java`.
   */
  oldClients: ['3.3.6', '3.4.12', '3.5.10', '3.6.4', '3.8.6'],
  log4j: '1.2.17',
  slf4j: '1.7.36',
  kazoo: '2.11.0',
  pureSasl: '0.6.2',
  // Upstream version only: Debian rebuilds a package (-11+deb12u1, u2, ...) and drops the build before it.
  libzookeeper: '3.8.0',
  goZookeeper: {
    module: 'github.com/go-zookeeper/zk',
    version: 'v1.0.4',
    sums: [
      'github.com/go-zookeeper/zk v1.0.4 h1:DPzxraQx7OrPyXq2phlGlNSIyWEsAox0RJmjTseMV6I=',
      'github.com/go-zookeeper/zk v1.0.4/go.mod h1:nOB03cncLtlp4t+UAkGSV+9beXP/akpekBwL+UX1Qcw=',
    ],
  },
  porcupine: {
    module: 'github.com/anishathalye/porcupine',
    version: 'v1.3.1',
    sums: [
      'github.com/anishathalye/porcupine v1.3.1 h1:fBZ4/NGNPnIDdd6xNtrNk9/GiEQ0L4FO5+scINN+t0E=',
      'github.com/anishathalye/porcupine v1.3.1/go.mod h1:WM0SsFjWNl2Y4BqHr/E/ll2yY1GY1jqn+W7Z/84Zoog=',
    ],
  },
  // The client and everything it pulls in.
  npm: { 'node-zookeeper-client': '1.1.3', underscore: '1.13.8', async: '3.2.6' },
}

/** Fetches (or finds) the jars of the 3.9.5 Java client with what its command line needs. Returns the lib folder. */
export async function fetchJavaClient() {
  const pom = generatePom([
    ['org.apache.zookeeper', 'zookeeper', versions.zookeeper],
    ['commons-cli', 'commons-cli'],
    ['ch.qos.logback', 'logback-classic'],
  ])
  return fetchJars('java', versions.zookeeper, pom, `zookeeper-${versions.zookeeper}.jar`)
}

/** Fetches Curator's recipes with the ZooKeeper client its own pom asks for. Returns the lib folder. */
export async function fetchCurator() {
  const pom = generatePom([
    ['org.apache.curator', 'curator-recipes', versions.curator],
    ['org.apache.curator', 'curator-x-discovery', versions.curator],
    ['ch.qos.logback', 'logback-classic'],
  ])
  return fetchJars('curator', versions.curator, pom, `curator-recipes-${versions.curator}.jar`)
}

/** Fetches what a client of each old version needs, and no more. Returns the folders of jars by version. */
export async function fetchOldClients() {
  const items = versions.oldClients.flatMap((version) => {
    const minor = Number(version.split('.')[1])
    const jars = [['org.apache.zookeeper:zookeeper', version]]
    if (minor >= 5) jars.push(['org.apache.zookeeper:zookeeper-jute', version])
    if (minor < 4) jars.push(['log4j:log4j', versions.log4j])
    else jars.push(['org.slf4j:slf4j-api', versions.slf4j], ['org.slf4j:slf4j-nop', versions.slf4j])
    return jars.map(([name, jarVersion]) => ({ name, jarVersion, folder: version }))
  })
  const pom = copyPom(items)
  const home = await cached('old-clients', versions.oldClients.at(-1), pom, async (tmp) => {
    writeFileSync(join(tmp, 'pom.xml'), pom)
    await runToEnd('mvn', ['-q', '-B', '-f', join(tmp, 'pom.xml'), 'dependency:copy'])
  })
  return Object.fromEntries(versions.oldClients.map((version) => [version, join(home, version)]))
}

/** Copies jars by name, without what they depend on. */
function copyPom(items) {
  const item = ({ name, jarVersion, folder }) => {
    const [group, artifact] = name.split(':')
    return `<artifactItem><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${jarVersion}</version>
      <outputDirectory>\${project.basedir}/${folder}</outputDirectory></artifactItem>`
  }
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId><artifactId>peers</artifactId><version>1</version><packaging>pom</packaging>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
    <configuration><artifactItems>
      ${items.map(item).join('\n      ')}
    </artifactItems></configuration>
  </plugin></plugins></build>
</project>
`
}

async function fetchJars(name, version, pom, witness) {
  const dir = await cached(name, version, pom, async (tmp) => {
    writeFileSync(join(tmp, 'pom.xml'), pom)
    await runToEnd('mvn', [
      '-q',
      '-B',
      '-f',
      join(tmp, 'pom.xml'),
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(tmp, 'lib')}`,
    ])
    if (!readdirSync(join(tmp, 'lib')).includes(witness)) throw new Error(`maven did not bring ${witness}`)
  })
  return join(dir, 'lib')
}

/** Versions left out come from the release's own parent pom, as its tarball has them. */
function generatePom(dependencies) {
  const items = dependencies.map(([group, artifact, version]) => {
    const pinned = version ? `<version>${version}</version>` : ''
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>${pinned}</dependency>`
  })
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>org.apache.zookeeper</groupId><artifactId>parent</artifactId><version>${versions.zookeeper}</version>
    <type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies>
    ${items.join('\n    ')}
  </dependencies>
</project>
`
}

/** Fetches kazoo into a folder for PYTHONPATH. */
export async function fetchKazoo() {
  const args = ['-m', 'pip', 'install', '-q', '--no-deps', `kazoo==${versions.kazoo}`]
  return cached('kazoo', versions.kazoo, args.join(' '), async (tmp) => {
    await runToEnd('python3', [...args, '--target', tmp])
    if (!readdirSync(tmp).includes('kazoo')) throw new Error('pip did not bring kazoo')
  })
}

/** The same with what it needs to log in by SASL. */
export async function fetchKazooSasl() {
  const packages = [`kazoo==${versions.kazoo}`, `pure-sasl==${versions.pureSasl}`]
  const args = ['-m', 'pip', 'install', '-q', '--no-deps', ...packages]
  return cached('kazoo-sasl', versions.kazoo, args.join(' '), async (tmp) => {
    await runToEnd('python3', [...args, '--target', tmp])
    if (!readdirSync(tmp).includes('puresasl')) throw new Error('pip did not bring pure-sasl')
  })
}

/** Fetches the node client into a folder whose node_modules holds it. */
export async function fetchNodeClient() {
  const manifest = JSON.stringify({ name: 'peer', private: true, dependencies: versions.npm }, null, 2)
  return cached('node', versions.npm['node-zookeeper-client'], manifest, async (tmp) => {
    writeFileSync(join(tmp, 'package.json'), manifest)
    await runToEnd('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: tmp })
    if (!readdirSync(join(tmp, 'node_modules')).includes('node-zookeeper-client'))
      throw new Error('npm brought nothing')
  })
}

/** Lays out a Go module that requires the pinned client and vendors it. Returns the module's folder. */
export function fetchGoClient() {
  return fetchGoModule('go', versions.goZookeeper)
}

/** The same of the checker of histories. */
export function fetchPorcupine() {
  return fetchGoModule('porcupine', versions.porcupine)
}

async function fetchGoModule(name, { module, version, sums }) {
  const goMod = `module peer\n\ngo 1.21\n\nrequire ${module} ${version}\n`
  return cached(name, version, goMod + sums.join(), async (tmp) => {
    writeFileSync(join(tmp, 'go.mod'), goMod)
    writeFileSync(join(tmp, 'go.sum'), `${sums.join('\n')}\n`)
    writeFileSync(join(tmp, 'main.go'), `package main\n\nimport _ "${module}"\n\nfunc main() {}\n`)
    await runToEnd('go', ['mod', 'vendor'], { cwd: tmp })
    if (!readdirSync(join(tmp, 'vendor')).includes('modules.txt')) throw new Error('go vendored nothing')
  })
}

/** Unpacks Debian's libzookeeper (threaded) and its headers without installing them. Returns the unpacked root. */
export async function fetchCClient() {
  const packages = ['libzookeeper-mt2', 'libzookeeper-mt-dev']
  return cached('c', versions.libzookeeper, packages.join(), async (tmp) => {
    const lists = await aptLists(tmp, packages[0])
    for (const name of packages) {
      const found = await aptCandidate(lists, name)
      if (!found) throw new Error(`no ${name} ${versions.libzookeeper} in the apt sources of this machine`)
      await runToEnd('apt-get', [...lists, 'download', '-q', `${name}=${found}`], { cwd: tmp })
    }
    const debs = readdirSync(tmp).filter((file) => file.endsWith('.deb'))
    for (const deb of debs) await runToEnd('dpkg', ['-x', join(tmp, deb), tmp])
  })
}

/**
 * The C client's source as Debian has it, with what its build needs for TLS and SASL: Debian's own build has neither.
 * `client` is the source, with the records that its build generates, `root` what is unpacked of OpenSSL and Cyrus SASL.
 */
export async function fetchCSource() {
  const jars = await fetchJavaClient()
  const packages = ['libssl-dev', 'libssl3', 'libsasl2-dev', 'libsasl2-2', 'libsasl2-modules']
  return cached('c-source', versions.libzookeeper, packages.join(), async (tmp) => {
    const lists = await debianLists(tmp)
    const found = await aptCandidate(lists, 'libzookeeper-mt2')
    if (!found) throw new Error(`no libzookeeper-mt2 ${versions.libzookeeper} in Debian's lists`)
    const apt = (...args) => runToEnd('apt-get', [...lists, '-q', ...args], { cwd: tmp })
    await apt('source', '--download-only', `zookeeper=${found}`)
    await apt('download', ...packages)
    const files = readdirSync(tmp)
    mkdirSync(join(tmp, 'root'))
    for (const deb of files.filter((file) => file.endsWith('.deb'))) {
      await runToEnd('dpkg', ['-x', join(tmp, deb), join(tmp, 'root')])
    }
    mkdirSync(join(tmp, 'client'))
    const source = files.find((file) => /\.orig\.tar\.\w+$/.test(file))
    const wanted = [
      '*/zookeeper-client-c/src',
      '*/zookeeper-client-c/include',
      '*/zookeeper-client-c/cmake_config.h.in',
    ]
    const into = ['-C', join(tmp, 'client'), '--strip-components=3', '--wildcards']
    await runToEnd('tar', ['xf', join(tmp, source), ...into, ...wanted])
    await runToEnd('tar', [
      'xf',
      join(tmp, source),
      '-C',
      tmp,
      '--strip-components=5',
      '--wildcards',
      '*/zookeeper.jute',
    ])
    const compiler = ['-cp', join(jars, '*'), 'org.apache.jute.compiler.generated.Rcc', '-l', 'c']
    await runToEnd('java', [...compiler, join(tmp, 'zookeeper.jute')], { cwd: join(tmp, 'client') })
  })
}

/** Lists of Debian's packages and sources, beside the machine's own; needs no root. Answers with apt's options for them. */
async function debianLists(tmp) {
  const format = '$(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)'
  const targets = await runToEnd('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  const places = targets.split('\n').filter((line) => line.endsWith(' Debian'))
  if (places.length === 0) throw new Error('no apt source of this machine is Debian')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const signed = existsSync(keys) ? `[signed-by=${keys}] ` : ''
  const sources = places.flatMap((place) => {
    const [site, name, component] = place.split(' ')
    return ['deb', 'deb-src'].map((kind) => `${kind} ${signed}${site} ${name} ${component}\n`)
  })
  writeFileSync(join(tmp, 'sources.list'), sources.join(''))
  const settings = {
    'Dir::Etc::sourcelist': join(tmp, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(tmp, 'lists'),
    'Dir::Cache': join(tmp, 'apt'),
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  for (const folder of ['lists/partial', 'apt/archives/partial']) mkdirSync(join(tmp, folder), { recursive: true })
  await runToEnd('apt-get', [...options, '-q', 'update'])
  return options
}

/** The machine's own package lists if they know the package; else fresh ones beside it, which need no root. */
async function aptLists(tmp, name) {
  if (await aptCandidate([], name)) return []
  const options = ['-o', `Dir::State::lists=${join(tmp, 'lists')}`, '-o', `Dir::Cache=${join(tmp, 'apt')}`]
  await runToEnd('mkdir', ['-p', join(tmp, 'lists/partial'), join(tmp, 'apt/archives/partial')])
  await runToEnd('apt-get', [...options, '-q', 'update'])
  return options
}

async function aptCandidate(options, name) {
  const rows = await runToEnd('apt-cache', [...options, 'madison', name])
  const found = rows.split('\n').map((row) => row.split('|')[1]?.trim() ?? '')
  return found.find((version) => version.startsWith(`${versions.libzookeeper}-`))
}
