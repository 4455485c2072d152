/**
 * The `ip` scheme: address literals and expressions `literal[/bits]`, compared by masked prefix.
 * Java: IPAuthenticationProvider (3.9.5). An address is written as java.net.InetAddress.getHostAddress does it.
 */

/** Four or sixteen bytes, or null for what is no literal. */
export function parseAddress(literal: string): number[] | null {
  if (literal.includes(':')) return parseV6(literal)
  return literal.includes('.') ? parseV4(literal) : null
}

function parseV4(literal: string): number[] | null {
  const parts = literal.split('.')
  if (parts.length !== 4) return null
  const bytes = parts.map((part) => parseJavaInt(part))
  return bytes.every((byte) => byte !== null && byte >= 0 && byte <= 255) ? (bytes as number[]) : null
}

function parseV6(literal: string): number[] | null {
  const halves = literal.split('::')
  if (halves.length > 2) return null
  const head = halves.length === 2 && halves[0] === '' ? [] : halves[0]!.split(':')
  const tail = halves.length === 1 || halves[1] === '' ? [] : halves[1]!.split(':')
  if (halves.length === 1 ? head.length !== 8 : head.length + tail.length >= 8) return null
  const words = [...head, ...new Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
  const bytes: number[] = []
  for (const word of words) {
    if (word.length > 4 || !/^[+-]?[0-9a-fA-F]+$/.test(word)) return null
    const value = Number.parseInt(word, 16)
    bytes.push((value >> 8) & 0xff, value & 0xff)
  }
  return bytes
}

/** Integer.parseInt of decimal text: an optional sign and digits within int32; else null. */
function parseJavaInt(text: string): number | null {
  if (!/^[+-]?[0-9]+$/.test(text)) return null
  const value = Number(text)
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? value : null
}

function parseExpression(expression: string): { bytes: number[]; bits: number } | null {
  const slash = expression.indexOf('/')
  const bytes = parseAddress(slash < 0 ? expression : expression.slice(0, slash))
  if (bytes === null) return null
  if (slash < 0) return { bytes, bits: bytes.length * 8 }
  const bits = parseJavaInt(expression.slice(slash + 1))
  return bits === null || bits < 0 || bits > bytes.length * 8 ? null : { bytes, bits }
}

export function isValidIpExpression(expression: string): boolean {
  return parseExpression(expression) !== null
}

export function matchesIp(literal: string, expression: string): boolean {
  const wanted = parseExpression(expression)
  const own = parseAddress(literal)
  if (wanted === null || own === null || own.length !== wanted.bytes.length) return false
  for (let bit = 0; bit < wanted.bits; bit += 8) {
    const mask = wanted.bits - bit >= 8 ? 0xff : (0xff << (8 - (wanted.bits - bit))) & 0xff
    if ((own[bit >> 3]! & mask) !== (wanted.bytes[bit >> 3]! & mask)) return false
  }
  return true
}

/** Of an address in the form of `hostAddress`. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '0:0:0:0:0:0:0:1'
}

/** A socket's remote address in Java's form: IPv4-mapped as IPv4, IPv6 in eight groups without compression. */
export function hostAddress(remote: string): string {
  const scope = remote.indexOf('%')
  const plain = scope < 0 ? remote : remote.slice(0, scope)
  if (!plain.includes(':')) return plain
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (mapped) return mapped[1]!
  const bytes = parseV6(plain)
  if (bytes === null) return remote
  const words: string[] = []
  for (let i = 0; i < 16; i += 2) words.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16))
  return words.join(':') + (scope < 0 ? '' : remote.slice(scope))
}
