/**
 * What the settings of TLS name, read from its files: keys with their certificates, and who is trusted.
 *
 * Reading is synchronous: at start nothing else is to be done, and a reload takes some milliseconds. Errors are
 * ConfigErrors that name the key, the file and the reason.
 */

import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError } from '../config/settings.ts'
import { type Crl, readCrls } from './crl.ts'
import { type KeyEntry, readStore, type StoreContents } from './store.ts'
import { StoreError } from './storeerror.ts'
import type { StoreConfig, TlsConfig } from './tlsconfig.ts'

export interface Material {
  /** One entry per kind of key (RSA, EC, ...), the first in the store that is valid, or just the first. */
  readonly keys: readonly KeyEntry[]
  /** Null without a trust store. */
  readonly trusted: readonly X509Certificate[] | null
  /** Lists of revoked certificates from files. */
  readonly crls: readonly Crl[]
}

export function readMaterial(config: TlsConfig, nowMs: number): Material {
  const { keyStore, trustStore } = config
  let keys: KeyEntry[] = []
  if (keyStore !== null) {
    keys = oneOfAKind(read(keyStore).keys, nowMs)
    if (keys.length === 0) throw problem(keyStore, 'has no private key')
  }
  let trusted: readonly X509Certificate[] | null = null
  if (trustStore !== null) {
    trusted = read(trustStore).trusted
    if (trusted.length === 0) throw problem(trustStore, 'has no certificate that is there to be trusted')
  }
  return {
    keys,
    trusted,
    crls: config.crl || config.ocsp ? config.crlFiles.flatMap((file) => readCrlFile(config, file)) : [],
  }
}

/** All files whose change is a reason to read again. */
export function filesOf(config: TlsConfig): string[] {
  const files = [...config.crlFiles]
  for (const store of [config.keyStore, config.trustStore]) {
    if (store === null) continue
    files.push(store.location)
    if (store.passwordPath !== null) files.push(store.passwordPath)
  }
  return files
}

/** When the first of the own certificates ends, in milliseconds since 1970; null without any. */
export function endOf(material: Material): number | null {
  const ends = material.keys.map(({ chain }) => Date.parse(chain[0]!.validTo))
  return ends.length === 0 ? null : Math.min(...ends)
}

export function isValidAt(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo)
}

function oneOfAKind(entries: readonly KeyEntry[], nowMs: number): KeyEntry[] {
  const chosen = new Map<string, KeyEntry>()
  for (const entry of entries) {
    const kind = entry.key.asymmetricKeyType ?? ''
    const before = chosen.get(kind)
    if (before === undefined || (!isValidAt(before.chain[0]!, nowMs) && isValidAt(entry.chain[0]!, nowMs))) {
      chosen.set(kind, entry)
    }
  }
  return [...chosen.values()]
}

function readCrlFile({ prefix }: TlsConfig, file: string): Crl[] {
  const where = `${prefix}.crl.location`
  try {
    return readCrls(readNamed(where, file))
  } catch (err) {
    if (err instanceof StoreError) throw new ConfigError(`${where}: ${file} ${err.message}`)
    throw err
  }
}

function read(store: StoreConfig): StoreContents {
  try {
    return readStore(readNamed(store.where, store.location), passwordOf(store))
  } catch (err) {
    if (err instanceof StoreError) throw problem(store, err.message)
    throw err
  }
}

/** Empty is the same as none, as in Java. */
function passwordOf(store: StoreConfig): string | null {
  if (store.passwordPath === null) return store.password?.reveal() || null
  const text = readNamed(store.where, store.passwordPath).toString('utf8')
  return (text.endsWith('\n') ? text.slice(0, -1) : text) || null
}

function readNamed(where: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? err.code : null
    const reason = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : String(code)
    throw new ConfigError(`${where}: ${file}: ${reason}`)
  }
}

function problem(store: StoreConfig, message: string): ConfigError {
  return new ConfigError(`${store.where}: ${store.location} ${message}`)
}
