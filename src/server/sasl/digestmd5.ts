/**
 * SASL DIGEST-MD5 (RFC 2831), both sides, as the Java class library speaks it, for quality of protection `auth` only.
 *
 *   server -> client  realm="zk-sasl-md5",nonce="...",charset=utf-8,algorithm=md5-sess
 *   client -> server  charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="...",nc=00000001,cnonce="...",
 *                     digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=<32 hex digits>,qop=auth,authzid="bob"
 *   server -> client  rspauth=<32 hex digits>
 *
 * Pure: the hash and the nonces come from outside. One object is one attempt: a nonce is good for one response, so an
 * exchange that was overheard cannot be repeated. Nobody learns from the time an answer takes whether a user exists.
 * Java: com.sun.security.sasl.digest, SaslServerCallbackHandler.
 */

import { decodeText } from '../../jute/text.ts'
import { type Authorize, type SaslClient, SaslError, type SaslServer } from './mechanism.ts'

export interface DigestCrypto {
  md5(bytes: Uint8Array): Uint8Array
  /** Unpredictable and never used again; letters, digits, `+` and `/`. */
  nonce(): string
}

/** Both sides must name the same service: `zookeeper` at `zk-sasl-md5` for clients. */
export interface DigestService {
  readonly protocol: string
  /** Also the realm. */
  readonly serverName: string
}

export interface DigestServerOptions extends DigestService {
  readonly crypto: DigestCrypto
  /** Null: there is no such user. */
  passwordOf(user: string): string | null
  readonly authorize: Authorize
}

export interface DigestClientOptions extends DigestService {
  readonly crypto: DigestCrypto
  readonly user: string
  readonly password: string
}

const RESPONSE_BYTES_MAX = 4096
const CHALLENGE_BYTES_MAX = 2048
/** Only first authentications are supported, so a nonce is used once. */
const NONCE_COUNT = '00000001'
const QOP = 'auth'

const utf8 = new TextEncoder()

export class DigestMd5Server implements SaslServer {
  readonly mechanism = 'DIGEST-MD5'
  private readonly options: DigestServerOptions
  private readonly nonce: string
  private state: 'new' | 'challenged' | 'over' | 'done'
  private id: string

  constructor(options: DigestServerOptions) {
    this.options = options
    this.nonce = options.crypto.nonce()
    this.state = 'new'
    this.id = ''
  }

  get done(): boolean {
    return this.state === 'done'
  }

  get authorizationId(): string {
    if (this.state !== 'done') throw new SaslError('the exchange is not complete')
    return this.id
  }

  step(token: Uint8Array): Uint8Array | null {
    if (token.length > RESPONSE_BYTES_MAX) throw new SaslError(`a response of ${token.length} bytes`)
    if (this.state === 'new') {
      // What the client may have sent along is for a second login with an old nonce, which is not offered.
      this.state = 'challenged'
      const realm = quotable(this.options.serverName)
      return utf8.encode(`realm="${realm}",nonce="${this.nonce}",charset=utf-8,algorithm=md5-sess`)
    }
    if (this.state !== 'challenged') throw new SaslError('a token behind the end of the exchange')
    this.state = 'over' // until all of it is proved
    const answer = this.verify(parseDirectives(token))
    this.state = 'done'
    return answer
  }

  private verify(said: Directives): Uint8Array {
    const { crypto, protocol, serverName } = this.options
    const charset = said.text('charset')
    if (charset !== null && charset !== 'utf-8') throw new SaslError('a charset other than utf-8')
    const user = said.required('username')
    if ((said.text('realm') ?? '') !== serverName) throw new SaslError('a realm that was not offered')
    if (said.required('nonce') !== this.nonce) throw new SaslError('a nonce that is not of this exchange')
    const cnonce = said.requiredBytes('cnonce')
    if ((said.text('qop') ?? QOP) !== QOP) throw new SaslError('a quality of protection that was not offered')
    const uri = said.required('digest-uri')
    if (uri.toLowerCase() !== `${protocol}/${serverName}`.toLowerCase()) throw new SaslError('another digest-uri')
    const response = said.requiredBytes('response')
    const authzid = said.bytes('authzid')

    const password = this.options.passwordOf(user)
    const secret = new SessionHash(crypto, {
      user,
      realm: serverName,
      password: password ?? '',
      nonce: utf8.encode(this.nonce),
      cnonce,
      authzid,
    })
    const matches = sameBytes(response, secret.response('AUTHENTICATE', uri))
    if (password === null) throw new SaslError('no such user')
    if (!matches) throw new SaslError('wrong password')
    const id = this.options.authorize(user, authzid === null ? user : decodeText(authzid, 0, authzid.length))
    if (id === null) throw new SaslError('the user may not act as what it asked to be')
    this.id = id
    return utf8.encode(`rspauth=${decodeText(secret.response('', uri), 0, 32)}`)
  }
}

export class DigestMd5Client implements SaslClient {
  readonly mechanism = 'DIGEST-MD5'
  readonly hasInitialResponse = false
  private readonly options: DigestClientOptions
  private readonly uri: string
  private state: 'new' | 'answered' | 'over' | 'done'
  private expected: Uint8Array

  constructor(options: DigestClientOptions) {
    this.options = options
    this.uri = `${options.protocol}/${options.serverName}`
    this.state = 'new'
    this.expected = new Uint8Array(0)
  }

  get done(): boolean {
    return this.state === 'done'
  }

  step(challenge: Uint8Array): Uint8Array | null {
    if (challenge.length > CHALLENGE_BYTES_MAX) throw new SaslError(`a challenge of ${challenge.length} bytes`)
    const before = this.state
    this.state = 'over' // until all of it is understood
    if (before === 'new') {
      const response = this.answer(parseDirectives(challenge))
      this.state = 'answered'
      return response
    }
    if (before !== 'answered') throw new SaslError('a token behind the end of the exchange')
    const rspauth = parseDirectives(challenge).requiredBytes('rspauth')
    if (!sameBytes(rspauth, this.expected)) throw new SaslError('the server does not know the password')
    this.state = 'done'
    return null
  }

  private answer(said: Directives): Uint8Array {
    const { crypto, user, password } = this.options
    const charset = said.text('charset')
    if (charset !== null && charset !== 'utf-8') throw new SaslError('a charset other than utf-8')
    if (said.required('algorithm') !== 'md5-sess') throw new SaslError('an algorithm other than md5-sess')
    const nonce = said.requiredBytes('nonce')
    const offered = (said.text('qop') ?? QOP).split(/[\s,]+/)
    if (!offered.includes(QOP)) throw new SaslError('the server insists on protection of what is sent later')
    const realm = said.text('realm') ?? ''
    const cnonce = crypto.nonce()
    const authzid = utf8.encode(user)
    const secret = new SessionHash(crypto, { user, realm, password, nonce, cnonce: utf8.encode(cnonce), authzid })
    const response = decodeText(secret.response('AUTHENTICATE', this.uri), 0, 32)
    this.expected = secret.response('', this.uri)
    return utf8.encode(
      [
        ...(charset === null ? [] : ['charset=utf-8']),
        `username="${quotable(user)}"`,
        ...(realm === '' ? [] : [`realm="${quotable(realm)}"`]),
        `nonce="${quotable(decodeText(nonce, 0, nonce.length))}"`,
        `nc=${NONCE_COUNT}`,
        `cnonce="${cnonce}"`,
        `digest-uri="${this.uri}"`,
        'maxbuf=65536',
        `response=${response}`,
        `qop=${QOP}`,
        `authzid="${quotable(user)}"`,
      ].join(','),
    )
  }
}

// ------------------------------------------------------------------ the hash

interface HashInput {
  readonly user: string
  readonly realm: string
  readonly password: string
  readonly nonce: Uint8Array
  readonly cnonce: Uint8Array
  readonly authzid: Uint8Array | null
}

/** H(A1) of RFC 2831 section 2.1.2.1, and the two responses made from it. */
class SessionHash {
  private readonly crypto: DigestCrypto
  private readonly input: HashInput
  private readonly a1: Uint8Array

  constructor(crypto: DigestCrypto, input: HashInput) {
    this.crypto = crypto
    this.input = input
    const { user, realm, password, nonce, cnonce, authzid } = input
    const known = crypto.md5(joined([narrow(user), narrow(realm), narrow(password)]))
    this.a1 = hex(crypto.md5(joined([known, nonce, cnonce, ...(authzid === null ? [] : [authzid])])))
  }

  /** 32 hex digits as ASCII; `method` is AUTHENTICATE for the client's, empty for the server's. */
  response(method: string, uri: string): Uint8Array {
    const { nonce, cnonce } = this.input
    const a2 = hex(this.crypto.md5(utf8.encode(`${method}:${uri}`)))
    return hex(this.crypto.md5(joined([this.a1, nonce, utf8.encode(NONCE_COUNT), cnonce, utf8.encode(QOP), a2])))
  }
}

/** ISO-8859-1 where every character is in it, else UTF-8. */
function narrow(text: string): Uint8Array {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return utf8.encode(text)
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

/** With a colon between each two. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, -1))
  let at = 0
  for (const part of parts) {
    if (at > 0) out[at++] = 0x3a
    out.set(part, at)
    at += part.length
  }
  return out
}

function hex(bytes: Uint8Array): Uint8Array {
  const digits = '0123456789abcdef'
  const out = new Uint8Array(bytes.length * 2)
  for (let i = 0; i < bytes.length; i++) {
    out[2 * i] = digits.charCodeAt(bytes[i]! >> 4)
    out[2 * i + 1] = digits.charCodeAt(bytes[i]! & 15)
  }
  return out
}

/** Takes the same time wherever they differ. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

// ------------------------------------------------------------------ directives

/** `key=value` pairs of a token, each key at most once; keys in any case. */
class Directives {
  private readonly values: ReadonlyMap<string, Uint8Array>

  constructor(values: ReadonlyMap<string, Uint8Array>) {
    this.values = values
  }

  bytes(key: string): Uint8Array | null {
    return this.values.get(key) ?? null
  }

  text(key: string): string | null {
    const value = this.values.get(key)
    return value === undefined ? null : decodeText(value, 0, value.length)
  }

  requiredBytes(key: string): Uint8Array {
    const value = this.bytes(key)
    if (value === null) throw new SaslError(`no ${key}`)
    return value
  }

  required(key: string): string {
    const value = this.requiredBytes(key)
    return decodeText(value, 0, value.length)
  }
}

const KNOWN = new Set(
  'username realm nonce cnonce qop digest-uri response charset authzid algorithm rspauth maxbuf cipher'.split(' '),
)
/** A server may offer several: the first counts. */
const REPEATABLE = 'realm'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const EQUALS = 0x3d

function parseDirectives(token: Uint8Array): Directives {
  const values = new Map<string, Uint8Array>()
  let at = 0
  const skipSpace = () => {
    while (at < token.length && isSpace(token[at]!)) at++
  }
  for (;;) {
    skipSpace()
    while (token[at] === COMMA) {
      at++
      skipSpace()
    }
    if (at >= token.length) break
    const keyOff = at
    while (at < token.length && token[at] !== EQUALS && token[at] !== COMMA && !isSpace(token[at]!)) at++
    const key = decodeText(token, keyOff, at).toLowerCase()
    skipSpace()
    if (key === '' || token[at] !== EQUALS) throw new SaslError('a directive without a value')
    at++
    skipSpace()
    if (at >= token.length) throw new SaslError('a directive without a value')
    let value: Uint8Array
    if (token[at] === QUOTE) {
      const quoted: number[] = []
      at++
      while (at < token.length && token[at] !== QUOTE) {
        if (token[at] === BACKSLASH) at++
        if (at < token.length) quoted.push(token[at++]!)
      }
      if (at >= token.length) throw new SaslError('a quoted value without its end')
      at++
      if (at < token.length && token[at] !== COMMA && !isSpace(token[at]!)) {
        throw new SaslError('something behind a quoted value')
      }
      value = Uint8Array.from(quoted)
    } else {
      const valueOff = at
      while (at < token.length && token[at] !== COMMA && !isSpace(token[at]!)) at++
      value = token.slice(valueOff, at)
    }
    if (!KNOWN.has(key)) continue
    if (!values.has(key)) values.set(key, value)
    else if (key !== REPEATABLE) throw new SaslError(`${key} twice`)
  }
  return new Directives(values)
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a
}

/** As it stands between quotes. */
function quotable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
  return text.replace(/["\\\x7f\x00-\x08\x0b\x0c\x0e-\x1f]/g, (char) => `\\${char}`)
}
