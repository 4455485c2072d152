/** Keys, certificates and stores for the suite, made by openssl and keytool. All passwords are `secret`. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runToEnd } from '../process.mjs'

export const PASSWORD = 'secret'
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-utf8', '-multivalue-rdn']
const HERE = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
const ODD = '/C=DE/O=Müller\\, Söhne + "x"/OU=a=b/emailAddress=a@b.example/CN= odd #1 +serialNumber=7'

/** Makes all of it in `directory`; below `url` the list of what `ca` has revoked (`/crl`) and its responder (`/ocsp`) will be. Returns a path maker. */
export async function makeKeys(directory, url) {
  const at = (name) => join(directory, name)
  for (const authority of ['ca', 'strange']) {
    const out = ['-keyout', at(`${authority}.key`), '-out', at(`${authority}.pem`)]
    const uses = ['-addext', 'keyUsage=keyCertSign,cRLSign']
    await openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', `/CN=${authority}`, ...out, ...uses)
  }
  await certify(at, 'ca', 'server', '/CN=server', HERE)
  await certify(at, 'ca', 'server-next', '/CN=server', HERE)
  await certify(at, 'ca', 'elsewhere', '/CN=elsewhere', 'subjectAltName=DNS:elsewhere.example')
  await certify(at, 'ca', 'client', '/CN=client')
  await certify(at, 'ca', 'other', '/CN=other')
  await certify(at, 'ca', 'root', '/CN=root')
  await certify(at, 'ca', 'odd', ODD)
  await certify(at, 'ca', 'late', '/CN=late', '', '-1')
  await certify(at, 'strange', 'stranger', '/CN=client')
  await certify(at, 'ca', 'good', '/CN=good', `crlDistributionPoints=URI:${url}/crl`)
  await certify(at, 'ca', 'revoked', '/CN=revoked', `crlDistributionPoints=URI:${url}/crl`)
  await certify(at, 'ca', 'ocsp-good', '/CN=ocsp-good', `authorityInfoAccess=OCSP;URI:${url}/ocsp`)
  await certify(at, 'ca', 'ocsp-revoked', '/CN=ocsp-revoked', `authorityInfoAccess=OCSP;URI:${url}/ocsp`)
  await makeStores(at)
  await revoke(at)
  return at
}

/** `name.pem` holds key and certificate, `name.p12` both. */
async function certify(at, authority, name, subject, extension = '', days = '2') {
  await openssl('req', '-new', ...NEW_KEY, '-subj', subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`))
  writeFileSync(at(`${name}.ext`), `${extension}\n`)
  const by = ['-CA', at(`${authority}.pem`), '-CAkey', at(`${authority}.key`), '-days', days]
  const certificate = await openssl('x509', '-req', '-in', at(`${name}.csr`), ...by, '-extfile', at(`${name}.ext`))
  const key = await openssl('pkey', '-in', at(`${name}.key`))
  writeFileSync(at(`${name}.pem`), key + certificate)
  await toPkcs12(at, name, `${name}.p12`)
}

function toPkcs12(at, name, file, ...form) {
  const names = ['-in', at(`${name}.pem`), '-name', name, '-out', at(file)]
  return openssl('pkcs12', '-export', ...names, '-passout', `pass:${PASSWORD}`, ...form)
}

/** The forms that stores come in: `server` and `client` as keys, `ca` to be trusted. */
async function makeStores(at) {
  for (const name of ['server', 'client']) {
    await toPkcs12(at, name, `${name}-rc2.p12`, '-legacy')
    await keytool(
      '-importkeystore',
      '-srckeystore',
      at(`${name}.p12`),
      '-srcstorepass',
      PASSWORD,
      ...jks(at(`${name}.jks`)),
    )
    copyFileSync(at(`${name}.p12`), at(`${name}-pkcs12.jks`))
    const key = await openssl('pkcs8', '-topk8', '-in', at(`${name}.key`), '-passout', `pass:${PASSWORD}`)
    writeFileSync(at(`${name}-encrypted.pem`), key + (await openssl('x509', '-in', at(`${name}.pem`))))
  }
  const trust = ['-importcert', '-alias', 'ca', '-file', at('ca.pem')]
  await keytool(...trust, '-keystore', at('trust.p12'), '-storetype', 'PKCS12', '-storepass', PASSWORD)
  await keytool(...trust, '-keystore', at('trust.jks'), '-storetype', 'JKS', '-storepass', PASSWORD)
  writeFileSync(at('password'), `${PASSWORD}\n`)
}

const jks = (file) => ['-destkeystore', file, '-deststoretype', 'JKS', '-deststorepass', PASSWORD]

async function revoke(at) {
  writeFileSync(at('index'), '')
  writeFileSync(at('ca.cnf'), `[ca]\ndefault_ca=it\n[it]\ndatabase=${at('index')}\ndefault_md=sha256\n`)
  const by = ['-config', at('ca.cnf'), '-keyfile', at('ca.key'), '-cert', at('ca.pem')]
  for (const name of ['revoked', 'ocsp-revoked']) await openssl('ca', ...by, '-revoke', at(`${name}.pem`))
  await openssl('ca', ...by, '-gencrl', '-crldays', '2', '-out', at('crl.pem'))
  await openssl('crl', '-in', at('crl.pem'), '-outform', 'DER', '-out', at('crl.der'))
}

/** What the authority's responder says to the question in the file `question`. */
export async function answerAbout(at, question) {
  const serial = (await openssl('x509', '-in', at('ocsp-good.pem'), '-noout', '-serial')).trim().split('=')[1]
  const revoked = readFileSync(at('index'), 'utf8')
  // A list for each question: another one may be answered meanwhile, and half a list knows nobody.
  writeFileSync(`${question}.known`, `${revoked}V\t491231235959Z\t\t${serial}\tunknown\t/CN=ocsp-good\n`)
  const by = ['-index', `${question}.known`, '-CA', at('ca.pem'), '-rsigner', at('ca.pem'), '-rkey', at('ca.key')]
  await openssl('ocsp', ...by, '-ndays', '1', '-reqin', question, '-respout', `${question}.answer`)
  return readFileSync(`${question}.answer`)
}

const openssl = (...args) => runToEnd('openssl', args)
const keytool = (...args) => runToEnd('keytool', [...args, '-noprompt'])
