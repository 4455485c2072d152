/** Keys and certificates between `-----BEGIN` and `-----END` lines. Java: PEMFileLoader, PemReader. */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { RawStore } from './store.ts'
import { StoreError } from './storeerror.ts'

/**
 * With keys, all certificates are theirs; without, all are to be trusted. Takes the older forms of keys (`RSA PRIVATE KEY`,
 * `EC PRIVATE KEY`) too, which Java does not.
 */
export function readPem(text: string, password: string | null): RawStore {
  const keys: KeyObject[] = []
  const certificates: Uint8Array[] = []
  let read = 0
  for (const match of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)) {
    const label = match[1]!
    const endLine = `-----END ${label}-----`
    const end = text.indexOf(endLine, match.index)
    if (end < 0) throw new StoreError(`has a ${label} that is cut off`)
    read = end + endLine.length
    const block = text.slice(match.index, read)
    if (label.endsWith('PRIVATE KEY')) keys.push(readKey(block, label, password))
    else if (label.endsWith('CERTIFICATE')) certificates.push(new TextEncoder().encode(block))
  }
  if (text.includes('-----', read)) throw new StoreError('is cut off')
  if (keys.length === 0) return { keys: [], trusted: certificates }
  return { keys: keys.map((key) => ({ key, certificates })), trusted: [] }
}

function readKey(block: string, label: string, password: string | null): KeyObject {
  try {
    return createPrivateKey({ key: block, format: 'pem', ...(password === null ? {} : { passphrase: password }) })
  } catch {
    const encrypted = label.startsWith('ENCRYPTED') || block.includes('ENCRYPTED')
    if (!encrypted) throw new StoreError('has a private key that cannot be read')
    throw new StoreError(
      password === null
        ? 'has an encrypted private key, and there is no password for it'
        : 'has a private key that does not open: it is damaged, or the password is wrong',
    )
  }
}
