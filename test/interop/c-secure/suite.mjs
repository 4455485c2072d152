/**
 * The interop suite `c-secure`: the C client over TLS and with a SASL login. Debian's build of it has neither, so it is
 * compiled here, from Debian's source of it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeKeys } from '../ensemble-secure/keys.mjs'
import { runToEnd } from '../process.mjs'
import { choosePort, Server } from '../server.mjs'
import { runProgram } from '../suite.mjs'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const JAAS = `Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_bob="bobsecret";
};
`

export async function runCSecure(lib, options, report) {
  const workDir = makeTempDir('c-secure-work')
  let server = null
  try {
    await makeKeys(workDir)
    writeFileSync(join(workDir, 'jaas'), JAAS)
    writeFileSync(join(workDir, 'password'), 'bobsecret')
    writeFileSync(join(workDir, 'wrong'), 'wrong')
    const program = await compile(lib, workDir)
    const secure = await choosePort(21100, 21198)
    const config = {
      tickTime: 500,
      maxSessionTimeout: 60_000,
      'admin.enableServer': false,
      'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
      secureClientPort: secure,
      secureClientPortAddress: '127.0.0.1',
      'ssl.keyStore.location': join(workDir, 'member.pem'),
      'ssl.trustStore.location': join(workDir, 'ca.pem'),
    }
    const flags = `-Djava.security.auth.login.config=${join(workDir, 'jaas')}`
    server = new Server(options.server, 'c-secure', config, { SERVER_JVMFLAGS: flags })
    await server.start()
    const env = { ...program.env, ZW_SECURE: `127.0.0.1:${secure}`, ZW_KEYS: workDir }
    const target = { server, relay: { port: server.port }, workDir, verbose: options.verbose }
    await runProgram({ timeoutMs: 120_000 }, { ...program, env }, target, report)
    if (server.diedUnasked) report(false, 'the server stays up', server.diedUnasked)
  } finally {
    await server?.kill()
    server?.release()
    if (server !== null) removeTempDir(server.dir)
    removeTempDir(workDir)
  }
}

/** The client with its tests in one program, in a second and a half. What it asks FIPS_mode() went with OpenSSL 3. */
async function compile(lib, workDir) {
  const client = join(lib, 'client')
  const switches = readFileSync(join(client, 'cmake_config.h.in'), 'utf8')
  writeFileSync(join(workDir, 'config.h'), switches.replace(/^#cmakedefine (\w+).*$/gm, '#define $1 1'))
  const library = dirname((await runToEnd('find', [join(lib, 'root'), '-name', 'libsasl2.so.2'])).trim())
  const program = join(workDir, 'peer')
  const sources = [
    ...['zookeeper', 'mt_adaptor', 'recordio', 'zk_log', 'zk_hashtable', 'zk_sasl', 'addrvec'].map((name) =>
      join(client, 'src', `${name}.c`),
    ),
    ...below(join(client, 'src', 'hashtable'), /^hashtable(_itr)?\.c$/),
    join(client, 'zookeeper.jute.c'),
    join(here, '..', 'c', 'peer.c'),
    join(here, 'main.c'),
  ]
  const folders = [workDir, client, join(client, 'include'), join(client, 'src'), join(here, '..', 'c')]
  const system = ['include', `include/${library.split('/').at(-1)}`].map((name) => join(lib, 'root', 'usr', name))
  await runToEnd('cc', [
    '-std=gnu11',
    '-O1',
    '-w', // most of it is not ours
    ...['HAVE_CONFIG_H', 'THREADED', '_GNU_SOURCE', 'HAVE_OPENSSL_H', 'HAVE_CYRUS_SASL_H', 'FIPS_mode()=0'].map(
      (name) => `-D${name}`,
    ),
    ...[...folders, ...system].map((folder) => `-I${folder}`),
    ...['-o', program, ...sources, `-L${library}`, '-lsasl2', '-lssl', '-lcrypto', '-lpthread', '-lm'],
  ])
  const path = { LD_LIBRARY_PATH: library, SASL_PATH: join(library, 'sasl2') }
  return { command: program, args: [], env: path }
}

function below(folder, wanted) {
  return readdirSync(folder)
    .filter((name) => wanted.test(name))
    .map((name) => join(folder, name))
}
