/**
 * Four-letter words compared line by line. What a correct server may print differently (times, sizes, latencies, ports,
 * versions) is masked; everything else must be the same text.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Server } from './server.ts'
import { word } from './server.ts'
import type { Side } from './side.ts'

type Mask = (text: string, side: Side) => string[]

const lines = (text: string): string[] => text.split('\n')

const hex = (side: Side, text: string): string => {
  const z = Number.parseInt(text, 16)
  return String(side.zxid(z))
}

const sessions = (text: string, side: Side): string =>
  text.replace(/0x([0-9a-f]{10,16})/g, (_, id: string) => side.session(BigInt.asIntN(64, BigInt(`0x${id}`))))

/** Keeps names of keys, not values, except for keys whose values must agree. */
const keysOnly = (separator: string, kept: readonly string[]): Mask => {
  return (text) =>
    lines(text).map((line) => {
      const at = line.indexOf(separator)
      if (at < 0) return line
      const key = line.slice(0, at)
      return kept.includes(key) ? line : `${key}${separator}*`
    })
}

const SRVR: Mask = (text, side) =>
  lines(text).map((line) =>
    line
      .replace(/^(Zookeeper version:).*/, '$1 *')
      .replace(/^(Latency [^:]*:).*/, '$1 *')
      .replace(/^(Received|Sent|Connections|Outstanding): -?\d+$/, '$1: *')
      .replace(/^Zxid: 0x([0-9a-f]+)$/, (_, z: string) => `Zxid: ${hex(side, z)}`),
  )

/** Blocks of a head line and indented lines, in any order. */
const blocks = (text: string): string[] => {
  const out: string[] = []
  for (const line of lines(text)) {
    if (line.startsWith('\t') && out.length > 0) out[out.length - 1] += ` ${line.trim()}`
    else out.push(line)
  }
  return out.map((b) => `${b.split(' ')[0]} ${b.split(' ').slice(1).sort().join(' ')}`).sort()
}

/** Gauges of mntr whose values must agree. */
const COUNTS = ['zk_server_state', 'zk_znode_count', 'zk_ephemerals_count', 'zk_watch_count']

/** The reference goes on listing some sessions that own nothing any more. */
const EMPTY_SESSION = /^(0x[0-9a-f]+|session\d+): $/

/** Ours escapes what could forge a line: a difference on purpose. */
function escaped(text: string): string {
  const unit = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => char.split('').map(unit).join(''))
}

const MASKS: { [word: string]: Mask } = {
  ruok: lines,
  isro: lines,
  gtmk: lines,
  srvr: SRVR,
  srst: lines,
  crst: lines,
  wchs: lines,
  wchc: (text, side) => blocks(sessions(escaped(text), side)),
  wchp: (text, side) => blocks(sessions(escaped(text), side)),
  conf: keysOnly('=', [
    'tickTime',
    'maxClientCnxns',
    'minSessionTimeout',
    'maxSessionTimeout',
    'serverId',
    'clientPortListenBacklog',
  ]),
  dirs: (text) => lines(text).map((l) => l.replace(/\d+/, '*')),
  dump: (text, side) =>
    blocks(
      sessions(text, side)
        .replace(/expire at .*/g, 'expire')
        .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:*')
        .replace(/^\d+ expire/gm, 'expire')
        .replace(/\(\d+\)/g, '(*)'),
    ).filter((l) => !l.includes('expire') && !l.startsWith('ip:') && !EMPTY_SESSION.test(l)),
  stat: (text, side) =>
    SRVR(
      lines(text)
        .filter((l) => !l.startsWith(' /'))
        .join('\n'),
      side,
    ),
  // Which zxids are noted depends on their absolute value, and an accepted difference may have moved one side's: only
  // the form is compared here. Digests themselves are, whenever a directory changes hands.
  hash: (text) => [...new Set(['*: *', ...lines(text).map((l) => l.replace(/^[0-9a-f]+: -?\d+$/, '*: *'))])],
  mntr: (text) =>
    lines(text)
      .filter((l) => COUNTS.includes(l.split('\t')[0]!))
      .sort(),
  envi: (text) => lines(text).slice(0, 1),
  xyzw: lines,
}

export const WORDS = Object.keys(MASKS)

export async function compareWords(
  servers: readonly Server[],
  sides: readonly Side[],
  text: string,
): Promise<{ a: string; b: string } | null> {
  // Digests are noted at every 128th zxid: after an accepted difference in zxids these are other transactions.
  if (text === 'hash' && sides[0]!.base !== sides[1]!.base) return null
  const mask = MASKS[text] ?? lines
  // A connection that just went away may be counted a little longer.
  for (let attempt = 0; ; attempt++) {
    const found = await compareOnce(servers, sides, text, mask)
    if (found === null || attempt === 5) return found
    await delay(30)
  }
}

async function compareOnce(
  servers: readonly Server[],
  sides: readonly Side[],
  text: string,
  mask: Mask,
): Promise<{ a: string; b: string } | null> {
  const [a, b] = await Promise.all(
    servers.map(async (s, i) => mask(await word(s.port, text).catch(() => 'reset'), sides[i]!)),
  )
  for (let i = 0; i < Math.max(a!.length, b!.length); i++) {
    if (a![i] !== b![i]) return { a: a![i] ?? 'no line', b: b![i] ?? 'no line' }
  }
  return null
}
