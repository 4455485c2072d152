/**
 * Certificates and JAAS files for ensembles on loopback, made by openssl: an authority that members trust, another one that
 * they do not, and a certificate for somewhere else.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runToEnd } from '../process.mjs'

const PASSWORD = 'between-members'
const HERE = ['DNS:localhost', ...[1, 2, 3, 4, 5].map((sid) => `IP:127.0.0.${sid}`)].join(',')

/** Makes all of it in `directory`. */
export async function makeKeys(directory) {
  const at = (name) => join(directory, name)
  for (const authority of ['ca', 'strange']) {
    const names = ['-subj', `/CN=${authority}`, '-keyout', at(`${authority}.key`), '-out', at(`${authority}.pem`)]
    const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign,cRLSign']
    await openssl('req', '-x509', ...NEW_KEY, '-days', '2', ...names, ...extensions)
  }
  await certify(at, 'ca', 'elsewhere', 'DNS:elsewhere.example,IP:192.0.2.1')
  await certify(at, 'strange', 'stranger', HERE)
  const renew = () => certify(at, 'ca', 'member', HERE)
  await renew()
  return {
    /** Another key and certificate, in the same files. */
    renew,
    /** Settings that name the key of one of the certificates; as PKCS12 for Java. */
    tls: (kind, name = 'member') => ({
      ...(kind === 'java'
        ? { 'ssl.quorum.keyStore.location': at(`${name}.p12`), 'ssl.quorum.keyStore.password': PASSWORD }
        : { 'ssl.quorum.keyStore.location': at(`${name}.pem`) }),
      'ssl.quorum.trustStore.location': at('ca.pem'),
    }),
    pem: (name) => at(`${name}.pem`),
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** `name.pem` and `name.p12` hold key and certificate. */
async function certify(at, authority, name, hosts) {
  await openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`))
  writeFileSync(at(`${name}.ext`), `subjectAltName=${hosts}\n`)
  const by = ['-CA', at(`${authority}.pem`), '-CAkey', at(`${authority}.key`), '-days', '2']
  const certificate = await openssl('x509', '-req', '-in', at(`${name}.csr`), ...by, '-extfile', at(`${name}.ext`))
  const key = await openssl('pkey', '-in', at(`${name}.key`))
  writeFileSync(at(`${name}.pem`), key + certificate)
  const out = ['-name', name, '-passout', `pass:${PASSWORD}`, '-out', at(`${name}.p12`)]
  await openssl('pkcs12', '-export', '-in', at(`${name}.pem`), ...out)
}

function openssl(...args) {
  return runToEnd('openssl', args)
}

/** A JAAS file as ZooKeeper's manual has it; the learner's password may be wrong. */
export function writeJaas(file, learnerPassword = 'secret of members') {
  const module = 'org.apache.zookeeper.server.auth.DigestLoginModule required'
  writeFileSync(
    file,
    `QuorumServer {\n  ${module}\n  user_member="secret of members";\n};\n` +
      `QuorumLearner {\n  ${module}\n  username="member"\n  password="${learnerPassword}";\n};\n`,
  )
}

/** One login for both sections. */
export function writeKerberosJaas(file, keytab, principal) {
  const options = `useKeyTab=true keyTab="${keytab}" storeKey=true useTicketCache=false principal="${principal}"`
  const module = `com.sun.security.auth.module.Krb5LoginModule required ${options};`
  writeFileSync(file, `QuorumServer {\n  ${module}\n};\nQuorumLearner {\n  ${module}\n};\n`)
}

export const SASL = {
  'quorum.auth.enableSasl': true,
  'quorum.auth.learnerRequireSasl': true,
  'quorum.auth.serverRequireSasl': true,
  quorumCnxnTimeoutMs: 1500, // for a hello and what comes behind it, in place of syncLimit
  'fips-mode': false, // with it, Java does not speak DIGEST-MD5
}
