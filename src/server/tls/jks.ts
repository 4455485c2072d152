/**
 * Java's own key stores, as keytool wrote them up to Java 8 (and still with -storetype JKS).
 *
 *     magic 0xfeedfeed, version 1 or 2, entry count                                        three int32
 *     entry: tag int32 (1 key, 2 trusted certificate), alias, created int64, then
 *       key: length int32, EncryptedPrivateKeyInfo; certificate count int32, certificates
 *       trusted: one certificate
 *     certificate: type (version 2 only), length int32, DER
 *     SHA-1 of: password in UTF-16, "Mighty Aphrodite", all of the above                   20 bytes
 *
 * A name is a length in two bytes and so many more. A key is sealed as salt (20 bytes), key xor a stream of
 * SHA-1(password, block before), SHA-1(password, key). Java: sun.security.provider.JavaKeyStore, KeyProtector.
 */

import { createHash, createPrivateKey, type KeyObject } from 'node:crypto'
import { octets, oid, readDer, sequence } from './der.ts'
import type { RawKey, RawStore } from './store.ts'
import { StoreError } from './storeerror.ts'

const KEY_PROTECTOR = '1.3.6.1.4.1.42.2.17.1.1'
const HASH_BYTES = 20
const ENTRIES_MAX = 100_000

export function readJks(bytes: Uint8Array, password: string | null): RawStore {
  if (bytes.length < 12 + HASH_BYTES) throw new StoreError('is cut off')
  const body = bytes.subarray(0, bytes.length - HASH_BYTES)
  // Without a password nothing can be said about it; for keys one is needed anyway.
  if (password !== null && !isSealOf(bytes.subarray(body.length), password, body)) {
    throw new StoreError('is damaged, or its password is wrong')
  }
  const reader = new Reader(body)
  reader.int()
  const version = reader.int()
  if (version !== 1 && version !== 2) throw new StoreError(`is a JKS store of the unknown version ${version}`)
  const count = reader.int()
  if (count > ENTRIES_MAX) throw new StoreError('is damaged: it cannot have so many entries')
  const keys: RawKey[] = []
  const trusted: Uint8Array[] = []
  const readCertificate = (): Uint8Array => {
    if (version === 2) reader.name()
    return reader.bytes(reader.int())
  }
  for (let i = 0; i < count; i++) {
    const tag = reader.int()
    if (tag !== 1 && tag !== 2) throw new StoreError(`has an entry of the unknown kind ${tag}`)
    reader.name()
    reader.bytes(8)
    if (tag === 2) {
      trusted.push(readCertificate())
      continue
    }
    const sealed = reader.bytes(reader.int())
    const certificates: Uint8Array[] = []
    for (let left = reader.int(); left > 0; left--) certificates.push(readCertificate())
    keys.push({ key: openKey(sealed, password), certificates })
  }
  if (reader.left > 0) throw new StoreError(`is damaged: ${reader.left} bytes follow its entries`)
  return { keys, trusted }
}

class Reader {
  private readonly data: Uint8Array
  private readonly view: DataView
  private off: number

  constructor(data: Uint8Array) {
    this.data = data
    this.view = new DataView(data.buffer, data.byteOffset, data.length)
    this.off = 0
  }

  get left(): number {
    return this.data.length - this.off
  }

  int(): number {
    return new DataView(this.view.buffer, this.take(4).byteOffset).getUint32(0)
  }

  /** Borrowed. */
  bytes(count: number): Uint8Array {
    return this.take(count)
  }

  name(): void {
    const length = this.take(2)
    this.take(length[0]! * 256 + length[1]!)
  }

  private take(count: number): Uint8Array {
    if (count > this.left) throw new StoreError('is cut off')
    this.off += count
    return this.data.subarray(this.off - count, this.off)
  }
}

function isSealOf(seal: Uint8Array, password: string, body: Uint8Array): boolean {
  const hash = createHash('sha1').update(utf16(password)).update('Mighty Aphrodite').update(body).digest()
  return hash.equals(seal)
}

function openKey(sealed: Uint8Array, password: string | null): KeyObject {
  if (password === null) throw new StoreError('has a key, and there is no password for it')
  try {
    const [algorithm, data] = sequence(readDer(sealed), 'key')
    if (oid(sequence(algorithm, 'algorithm')[0], 'algorithm') !== KEY_PROTECTOR) {
      throw new StoreError('has a key that is sealed in an unknown way')
    }
    const all = octets(data, 'sealed key')
    const text = all.subarray(HASH_BYTES, all.length - HASH_BYTES)
    const plain = new Uint8Array(text.length)
    const secret = utf16(password)
    let block = all.subarray(0, HASH_BYTES)
    for (let off = 0; off < text.length; off++) {
      if (off % HASH_BYTES === 0) block = createHash('sha1').update(secret).update(block).digest()
      plain[off] = text[off]! ^ block[off % HASH_BYTES]!
    }
    const hash = createHash('sha1').update(secret).update(plain).digest()
    if (!hash.equals(all.subarray(all.length - HASH_BYTES))) {
      throw new StoreError('has a key whose password is not that of the store')
    }
    return createPrivateKey({ key: Buffer.from(plain), format: 'der', type: 'pkcs8' })
  } catch (err) {
    if (err instanceof StoreError) throw err
    throw new StoreError('has a key that cannot be read')
  }
}

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}
