/**
 * The interop suite `ensemble-secure`: ensembles of Apache's servers and ours whose members use TLS or SASL among
 * themselves, changes from the one to the other while clients write, and those who must stay outside.
 *
 * Parts as in the suite `ensemble`: a check that fails ends its part.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../../durability/process.mjs'
import { pipeline } from '../../durability/wire.mjs'
import { Ensemble, javaMember, until, withStory } from '../ensemble/members.mjs'
import { expectEqual } from '../ensemble/trees.mjs'
import { Kdc, REALM } from '../sasl/kdc.mjs'
import { choosePort } from '../server.mjs'
import { keepTempDir, makeTempDir, removeTempDir } from '../tempdir.mjs'
import { makeKeys, SASL, writeJaas, writeKerberosJaas } from './keys.mjs'
import { followerInfo, hello, knock, tlsWith } from './strangers.mjs'

const PORTS = [21200, 21299]
/** How long a member that has been refused is watched. */
const OUTSIDE_MS = 1000
const FAR_WRITES = 700
const FAR_BYTES = 8 * 1024
const TLS = { sslQuorum: true, sslQuorumReloadCertFiles: true, snapshotSizeFactor: -1 }

const parts = [
  ['tls', (context) => checkTls(['ours', 'java', 'ours'], context)],
  ['tls', (context) => checkTls(['java', 'ours', 'java'], context)],
  ['sasl', (context) => checkSasl(['ours', 'java', 'ours'], context)],
  ['sasl', (context) => checkSasl(['java', 'ours', 'java'], context)],
  ['kerberos', (context) => checkKerberos(['ours', 'java', 'ours'], context)],
  ['kerberos', (context) => checkKerberos(['java', 'ours', 'java'], context)],
  ['both', (context) => checkBoth(['ours', 'java', 'ours', 'java', 'ours'], context)],
  ['rolling', (context) => checkRolling('TLS', TO_TLS, ['ours', 'java', 'ours'], context)],
  ['rolling', (context) => checkRolling('SASL', TO_SASL, ['java', 'ours', 'java'], context)],
]

class PartFailed extends Error {}

export async function runSecureEnsembles(_lib, options, report) {
  const directory = makeTempDir('ensemble-secure')
  const java = await javaMember()
  const wanted = process.env.ZW_ENSEMBLE_PART ?? ''
  let count = 0
  let failed = false
  const context = {
    commands: { java, ours: options.server === 'java' ? java : withStory(options.server) },
    keys: await makeKeys(directory),
    makeDirectory: () => {
      const made = join(directory, `e${++count}`)
      mkdirSync(made)
      return made
    },
    check: async (name, body) => {
      const startedAt = Date.now()
      try {
        await body()
        report(true, name)
        if (options.verbose) process.stderr.write(`  ${Date.now() - startedAt} ms\n`)
      } catch (error) {
        failed = true
        report(false, name, error.stack.replace(/\s*\n\s*/g, ' | ').slice(0, 3000))
        throw new PartFailed(name)
      }
    },
  }
  try {
    for (const [name, run] of parts) {
      if (!name.includes(wanted)) continue
      await run(context).catch((error) => {
        if (error instanceof PartFailed) return
        failed = true
        report(false, `the part "${name}" runs`, error.stack.replace(/\s*\n\s*/g, ' | '))
      })
    }
  } finally {
    if (options.keep || failed) {
      keepTempDir(directory)
      process.stdout.write(`# kept ensemble-secure: ${directory}\n`)
    } else removeTempDir(directory)
  }
}

/**
 * Members of these kinds, those from the fourth on observers; `run` gets them, none of them started. `kdc`: members log in
 * by Kerberos.
 */
async function withEnsemble(kinds, settingsOf, context, run, kdc = null) {
  const directory = context.makeDirectory()
  const jaasOf = (sid) => join(directory, `jaas-${sid}.conf`)
  // The same properties for both: Java reads the one variable, our server the other.
  const wrap = (sid, command) => {
    const kerberos = kdc === null ? '' : ` -Djava.security.krb5.conf=${kdc.configFile}`
    const properties = `'-Djava.security.auth.login.config=${jaasOf(sid)}${kerberos}'`
    return `env JVMFLAGS=${properties} JAVA_TOOL_OPTIONS=${properties} ${command}`
  }
  // Each has an address of its own, because a port for observers is the same for all.
  const hostOf = (sid) => `127.0.0.${sid}`
  const endpoint = (member) => `${hostOf(member.sid)}:${member.quorumPort}:${member.electionPort}`
  const ensemble = new Ensemble(directory, context.commands, { network: { hostOf, endpoint, wrap }, ports: PORTS })
  for (const [i, kind] of kinds.entries()) {
    const member = await ensemble.add(i + 1, kind, i < 3 ? 'participant' : 'observer')
    member.settings = settingsOf(member)
    writeJaas(jaasOf(i + 1))
  }
  for (const member of ensemble.members) member.writeConfig(ensemble.members)
  try {
    await run(ensemble, jaasOf)
  } finally {
    await ensemble.killAll()
  }
}

async function checkTls(kinds, context) {
  const { keys } = context
  const title = `TLS, ${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  await withEnsemble(
    kinds,
    ({ kind }) => ({ ...TLS, ...keys.tls(kind) }),
    context,
    async (ensemble) => {
      await check('three members form an ensemble', () => ensemble.startLedBy(3))
      await check('writes at every member are in every tree', () => writeEverywhere(ensemble))
      await check(
        'X1 a stranger without a certificate, with one of another authority, or in the clear, is kept out',
        () => strangersStayOut(ensemble, [null, tlsWith(), tlsWith(keys.pem('stranger'))]),
      )
      await check(
        'a member whose certificate is for somewhere else is kept out, and comes back with the right one',
        async () => {
          const member = ensemble.member(1)
          await staysOut(ensemble, member, /its certificate \(CN=elsewhere/, {
            ...member.settings,
            ...keys.tls(member.kind, 'elsewhere'),
          })
          await writeEverywhere(ensemble)
        },
      )
      await check('a member that is far behind gets the whole tree', () => farBehind(ensemble, ensemble.member(2)))
      await check('new keys are taken up while it runs', async () => {
        await keys.renew()
        for (const member of ourOwn(ensemble.members)) {
          await until(`${member.name} has read its keys again`, () => /TLS have been read again/.test(member.log()))
        }
        await ensemble.settled()
      })
      await check('a new leader is found when the old one dies', async () => {
        await ensemble.member(3).kill()
        await ensemble.settled()
        await ensemble.start([3])
        await writeEverywhere(ensemble)
      })
    },
  )
}

async function checkSasl(kinds, context) {
  const title = `SASL, ${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  await withEnsemble(
    kinds,
    () => SASL,
    context,
    async (ensemble, jaasOf) => {
      await check('three members form an ensemble', () => ensemble.startLedBy(3))
      await check('writes at every member are in every tree', () => writeEverywhere(ensemble))
      await check('X1 a stranger that does not authenticate itself is kept out', () =>
        strangersStayOut(ensemble, [null]),
      )
      await check('a member with a wrong password is kept out, and comes back with the right one', async () => {
        const member = ensemble.member(1)
        writeJaas(jaasOf(1), 'a wrong one')
        await staysOut(ensemble, member, /it cannot prove who it is/, member.settings, () => writeJaas(jaasOf(1)))
        await writeEverywhere(ensemble)
      })
      await check('a new leader is found when the old one dies', async () => {
        await ensemble.member(3).kill()
        await ensemble.settled()
        await ensemble.start([3])
        await writeEverywhere(ensemble)
      })
    },
  )
}

/** Each member is `zkquorum/HOST`, and HOST stands in the configuration. */
async function checkKerberos(kinds, context) {
  const title = `Kerberos, ${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const kdc = await Kdc.start(context.makeDirectory())
  const principals = ['zkquorum', ...kinds.map((_, i) => `zkquorum/127.0.0.${i + 1}`)]
  const keytab = await kdc.keytab('members', principals)
  const settings = () => ({ ...SASL, 'quorum.auth.kerberos.servicePrincipal': 'zkquorum/_HOST' })
  const run = async (ensemble, jaasOf) => {
    const logIn = (sid, principal) => writeKerberosJaas(jaasOf(sid), keytab, `${principal}@${REALM}`)
    for (const [i, principal] of principals.entries()) if (i > 0) logIn(i, principal)
    await check('three members form an ensemble', () => ensemble.startLedBy(3))
    await check('writes at every member are in every tree', () => writeEverywhere(ensemble))
    await check('X2 a member whose principal names no host is kept out, and comes back as itself', async () => {
      const member = ensemble.member(1)
      logIn(1, 'zkquorum')
      await staysOut(ensemble, member, /zkquorum@ZW\.TEST may not act/, member.settings, () => logIn(1, principals[1]))
      await writeEverywhere(ensemble)
    })
  }
  try {
    await withEnsemble(kinds, settings, context, run, kdc)
  } finally {
    kdc.stop()
  }
}

async function checkBoth(kinds, context) {
  const title = `TLS and SASL, ${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const observerMasterPort = await choosePort(...PORTS)
  const settings = ({ kind }) => ({ ...TLS, ...SASL, ...context.keys.tls(kind), observerMasterPort })
  await withEnsemble(kinds, settings, context, async (ensemble) => {
    const observers = ensemble.members.slice(3)
    await check('three members form an ensemble, and two observers come to its followers', async () => {
      await ensemble.start([1, 3])
      await ensemble.start([2])
      await ensemble.start([4, 5])
      for (const observer of observers) {
        const log = observer.log()
        if (!/observ/i.test(log)) throw new Error(`${observer.name} observes nobody`)
      }
      const counts = await Promise.all(ensemble.members.slice(0, 3).map((member) => member.ask('mntr')))
      const behind = counts.map((text) => Number(/^zk_synced_observers\t(\d+)/m.exec(text)?.[1] ?? 0))
      if (behind[0] + behind[1] !== 2) throw new Error(`observers of 1, 2 and 3: ${behind}`)
    })
    await check('writes at every member are in every tree', () => writeEverywhere(ensemble))
    await check('X1 a stranger with a certificate and no password is kept out', () =>
      strangersStayOut(ensemble, [tlsWith(context.keys.pem('member'))], observerMasterPort),
    )
  })
}

/** The steps of ZooKeeper's manual for a change without an outage. */
const TO_TLS = [
  ['both are accepted', { portUnification: true }],
  ['TLS is dialed', { portUnification: true, sslQuorum: true }],
  ['nothing but TLS is accepted', { sslQuorum: true }],
]
const TO_SASL = [
  ['SASL is accepted', { 'quorum.auth.enableSasl': true }],
  ['members prove themselves', { 'quorum.auth.enableSasl': true, 'quorum.auth.learnerRequireSasl': true }],
  ['nobody is believed without', SASL],
]

async function checkRolling(what, steps, kinds, context) {
  const title = `from plain to ${what}, ${kinds.join(' ')}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const basic = ({ kind }) => ({ ...context.keys.tls(kind), 'fips-mode': false })
  await withEnsemble(kinds, basic, context, async (ensemble) => {
    await check('three members form an ensemble in the clear', () => ensemble.start([1, 2, 3]))
    const writer = new Writer(ensemble)
    for (const [step, settings] of steps) {
      await check(`one by one, ${step}, and every one comes back into the ensemble under writes`, async () => {
        for (const member of ensemble.members) {
          await member.stop()
          member.settings = { ...basic(member), ...settings }
          member.rewriteConfig()
          await ensemble.start([member.sid])
          await writer.progress()
        }
      })
    }
    await check('no acknowledged write is lost, and the trees are equal', async () => {
      await writer.end()
    })
    await check('X1 who speaks in the clear is kept out at last', () => strangersStayOut(ensemble, [null]))
  })
}

/** Creates one node after the other, at whichever member answers. */
class Writer {
  constructor(ensemble) {
    this.ensemble = ensemble
    this.written = []
    this.ended = false
    this.done = this.run()
  }

  async run() {
    for (let i = 0; !this.ended; ) {
      const [member] = this.ensemble.running.filter((_, n, all) => n === i % all.length)
      let client = null
      try {
        client = await member.connect({ timeoutMs: 4000 })
        for (let n = 0; n < 20 && !this.ended; n++) {
          const { err } = await client.create(`/w${i}`, Buffer.from('x'))
          if (err !== 0 && err !== -110) throw new Error(`create: ${err}`) // -110: made by the try before
          this.written.push(`/w${i++}`)
        }
        await client.close()
      } catch {
        client?.abandon()
        await sleep(50)
      }
    }
  }

  /** Waits for more. */
  progress() {
    const before = this.written.length
    return until('writes go on', () => this.written.length >= before + 20)
  }

  async end() {
    this.ended = true
    await this.done
    await expectEqual(this.ensemble.members)
    for (const member of this.ensemble.members) {
      const client = await member.connect()
      for (const path of this.written) {
        const { err } = await client.exists(path)
        if (err !== 0) throw new Error(`${path} of ${this.written.length} is not at member ${member.name}: ${err}`)
      }
      await client.close()
    }
  }
}

/** Those whose log has our words; none in the control, where all are Apache's. */
function ourOwn(members) {
  return members.filter(({ kind, ensemble: { commands } }) => kind === 'ours' && commands.ours !== commands.java)
}

async function writeEverywhere(ensemble) {
  for (const member of ensemble.members) {
    const client = await member.connect()
    const { err } = await client.create(`/at-${member.sid}-${Math.random()}`, Buffer.from('x'))
    if (err !== 0) throw new Error(`a write at ${member.name}: ${err}`)
    await client.close()
  }
  await expectEqual(ensemble.members)
}

/** More than the leader keeps in memory, and the log on disk is not used: all of the tree, some megabytes of it. */
async function farBehind(ensemble, learner) {
  await learner.kill()
  const leader = await ensemble.leader()
  const client = await leader.connect()
  const data = randomBytes(FAR_BYTES)
  await pipeline(Array.from({ length: FAR_WRITES }), 16, async (_, i) => {
    const { err } = await client.create(`/far-${i}`, data)
    if (err !== 0) throw new Error(`a write of the check was refused with ${err}`)
  })
  await client.close()
  await ensemble.start([learner.sid])
  if (!/\bSNAP\b|Getting a snapshot from leader/.test(learner.log())) throw new Error('it was not sent the tree')
  await expectEqual(ensemble.members)
}

/** Nobody answers them: at any election port, at the leader's port for learners, at followers' ports for observers. */
async function strangersStayOut(ensemble, ways, observerMasterPort = 0) {
  const leader = await ensemble.leader()
  for (const tls of ways) {
    const doors = ensemble.members.map((member) => [
      `election port of ${member.name}`,
      member,
      member.electionPort,
      hello(),
    ])
    doors.push([`quorum port of ${leader.name}`, leader, leader.quorumPort, followerInfo()])
    for (const member of observerMasterPort === 0 ? [] : ensemble.members.slice(0, 3)) {
      if (member !== leader)
        doors.push([`port for observers of ${member.name}`, member, observerMasterPort, followerInfo()])
    }
    await Promise.all(
      doors.map(async ([door, { host }, port, bytes]) => {
        const got = await knock(host, port, bytes, tls)
        if (got.length > 0) throw new Error(`the ${door} has answered a stranger: ${got.toString('hex')}`)
      }),
    )
  }
  await ensemble.settled()
}

/**
 * The member does not get in with these settings, for a reason that is in the log of the others, and does with the ones
 * before, when `mend` has been called.
 */
async function staysOut(ensemble, member, why, settings, mend = () => {}) {
  const right = member.settings
  await member.stop()
  const others = ensemble.running
  member.settings = settings
  member.rewriteConfig()
  member.start()
  for (const other of ourOwn(others)) {
    await until(`the log of ${other.name} says why`, () => why.test(other.log()))
  }
  const end = Date.now() + OUTSIDE_MS
  while (Date.now() < end) {
    if ((await member.mode()) !== '') throw new Error(`member ${member.name} is in the ensemble`)
    await sleep(100)
  }
  await ensemble.settled(others)
  await member.kill()
  member.settings = right
  member.rewriteConfig()
  mend()
  await ensemble.start([member.sid])
}
