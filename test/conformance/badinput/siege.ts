/**
 * Bad input against a running server, while a well-behaved client works on another connection.
 *
 * The law for each attack: it ends in an error reply, a normal reply or a closed connection, and soon. What "ends"
 * means follows from the bytes themselves, see `endOf`. Whatever breaks the law goes into the report with the bytes
 * that did it.
 */

import { Err, OpCode, Perm, Xid } from '../../../src/jute/codes.ts'
import { Input, JUTE_MAX_BUFFER, readInt } from '../../../src/jute/input.ts'
import { readReplyHeader, readWatcherEvent, writeCreateRequest, writeExistsRequest } from '../../../src/jute/records.ts'
import { type Attack, attackOf, type Corpus } from './attacks.ts'
import { Citizen } from './citizen.ts'
import { type Address, Connection, DeadlineError, openSession, request } from './connection.ts'

export interface SiegeOptions {
  address: Address
  corpus: Corpus
  seed: number
  /** Number of attacks, each one mutated frame or opening of a connection. */
  count: number
  /** Connections that attack at the same time. */
  lanes: number
  /** How long an answer or a close may take. */
  deadlineMs: number
  /** How long a server may let a half frame hang. */
  idleDeadlineMs: number
  /** Attacks to leave out. */
  spare(attack: Attack): boolean
  /** Called once, when a fifth of the attacks is over and everything that grows at first has grown. */
  onWarm(): void
}

export interface Report {
  attacks: number
  /** How attacks ended: `err N`, `closed`, `refused session` and so on. */
  outcomes: Map<string, number>
  /** Sentences about whatever was not as it should be; empty when all is well. */
  problems: string[]
  sessions: number
  citizenRounds: number
  citizenAnswers: number
}

const PROBLEMS_MAX = 20
/** Attacks on one session before it is given up: watches it has set must not pile up. */
const ATTACKS_PER_SESSION = 300
const SENTINEL_XID = 0x6e00_0000
const ERRS = new Set<number>(Object.values(Err))
const WORDS = new Set(
  'conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs'
    .split(' ')
    .map((word) => Buffer.from(word).readInt32BE()),
)
WORDS.add(0xfff4_fffd | 0)

/**
 * What a server may do at the end of these bytes: answer (`edge`: they end with a frame), wait for more (`inside`), or
 * only close (`refused`: a length that must not be accepted; `word`: a four-letter word).
 */
export function endOf(bytes: Uint8Array, fresh: boolean): 'edge' | 'inside' | 'refused' | 'word' {
  if (fresh && bytes.length >= 4 && WORDS.has(readInt(bytes, 0))) return 'word'
  let off = 0
  while (off < bytes.length) {
    if (bytes.length - off < 4) return 'inside'
    const length = readInt(bytes, off)
    if (length < 0 || length > JUTE_MAX_BUFFER) return 'refused'
    off += 4 + length
  }
  return off === bytes.length && off > 0 ? 'edge' : 'inside'
}

/** Whether a request asks to be answered under the xid of notifications: its answer cannot be told from an event. */
export function posesAsEvent(bytes: Uint8Array): boolean {
  for (let off = 0; off + 8 <= bytes.length; off += 4 + readInt(bytes, off)) {
    if (readInt(bytes, off + 4) === Xid.notification) return true
  }
  return false
}

export async function besiege(options: SiegeOptions): Promise<Report> {
  const report: Report = {
    attacks: 0,
    outcomes: new Map(),
    problems: [],
    sessions: 0,
    citizenRounds: 0,
    citizenAnswers: 0,
  }
  const citizen = await Citizen.settle(options.address, options.deadlineMs)
  const hanging = hangHalfFrames(options, report)
  let over = false
  const working = citizen
    .work(() => over)
    .catch((err: unknown) => problem(report, `well-behaved client: ${String(err)}`))
  let next = 0
  let warm = false
  const take = (): number => {
    if (!warm && next >= options.count / 5) {
      warm = true
      options.onWarm()
    }
    return next < options.count && report.problems.length < PROBLEMS_MAX ? next++ : -1
  }
  await Promise.all(Array.from({ length: options.lanes }, () => lane(options, report, take)))
  over = true
  await working
  await hanging
  citizen.leave()
  report.citizenRounds = citizen.rounds
  report.citizenAnswers = citizen.answers
  return report
}

function problem(report: Report, sentence: string): void {
  report.problems.push(sentence)
}

function count(report: Report, outcome: string): void {
  report.outcomes.set(outcome, (report.outcomes.get(outcome) ?? 0) + 1)
}

async function lane(options: SiegeOptions, report: Report, take: () => number): Promise<void> {
  let session: Connection | null = null
  let attacksOnSession = 0
  for (let index = take(); index >= 0; index = take()) {
    const attack = attackOf(options.corpus, options.seed, index)
    if (options.spare(attack)) continue
    try {
      if (attack.stage === 'fresh') {
        count(report, await strikeFresh(options, attack))
      } else {
        if (session === null || session.closed || attacksOnSession >= ATTACKS_PER_SESSION) {
          session?.reset()
          session = await beginSession(options, report)
          attacksOnSession = 0
        }
        attacksOnSession++
        count(report, await strikeSession(options, session, attack, index))
      }
    } catch (err) {
      const hex = Buffer.from(attack.bytes.subarray(0, 2000)).toString('hex')
      problem(report, `attack ${index} (${attack.stage}: ${attack.name}): ${String(err)}; bytes ${hex}`)
      session?.reset()
      session = null
    }
    report.attacks++
  }
  session?.reset()
}

async function beginSession(options: SiegeOptions, report: Report): Promise<Connection> {
  const session = await openSession(options.address, 10_000, options.deadlineMs)
  if (session === null) throw new Error('an ordinary new session was not granted')
  // The place that most attacks speak of: some of them delete it.
  if (report.sessions++ % 16 === 0) {
    session.write(
      request(1, OpCode.create, (out) =>
        writeCreateRequest(out, {
          path: '/bad',
          data: null,
          acl: [{ perms: Perm.all, id: { scheme: 'world', id: 'anyone' } }],
          flags: 0,
        }),
      ),
    )
    await session.next(options.deadlineMs)
  }
  return session
}

export function send(connection: Connection, attack: Attack): void {
  connection.write(attack.bytes.subarray(0, attack.cutAt))
  if (attack.cutAt < attack.bytes.length) setImmediate(() => connection.write(attack.bytes.subarray(attack.cutAt)))
}

async function strikeFresh(options: SiegeOptions, attack: Attack): Promise<string> {
  const connection = await Connection.open(options.address, false)
  const end = endOf(attack.bytes, true)
  try {
    send(connection, attack)
    if (end === 'edge') {
      const answer = await connection.next(options.deadlineMs)
      return answer === null ? 'closed, fresh' : 'answered, fresh'
    }
    // `stmk` waits for the rest of its mask: the end of what we say is the end of that.
    if (end !== 'refused') setImmediate(() => connection.finish())
    await connection.untilClosed(options.deadlineMs)
    return `closed, fresh, ${end}`
  } finally {
    connection.reset()
  }
}

async function strikeSession(
  options: SiegeOptions,
  session: Connection,
  attack: Attack,
  index: number,
): Promise<string> {
  const end = endOf(attack.bytes, false)
  send(session, attack)
  if (end !== 'edge') {
    if (end === 'inside') setImmediate(() => session.finish())
    await session.untilClosed(options.deadlineMs)
    return `closed, ${end}`
  }
  const sentinel = SENTINEL_XID + (index & 0xff_ffff)
  const ask = (): void =>
    session.write(request(sentinel, OpCode.exists, (out) => writeExistsRequest(out, { path: '/', watch: false })))
  if (attack.cutAt < attack.bytes.length) setImmediate(ask)
  else ask()
  // One frame alone must be answered under its own xid before anything sent later is.
  const alone = readInt(attack.bytes, 0) === attack.bytes.length - 4
  const eventsPosed = posesAsEvent(attack.bytes)
  const answers: string[] = []
  for (;;) {
    const frame = await session.next(options.deadlineMs)
    if (frame === null) return answers.length === 0 ? 'closed' : `${answers[0]}, closed`
    const inp = new Input(frame)
    const header = readReplyHeader(inp)
    if (header.xid === Xid.notification && eventsPosed) {
      answers.push('as an event')
      continue
    }
    if (header.xid === Xid.notification) {
      const event = readWatcherEvent(inp)
      if (event.state !== 3 || event.type < 1 || event.type > 4) throw new Error(`event ${JSON.stringify(event)}`)
      continue
    }
    if (!ERRS.has(header.err)) throw new Error(`unknown error code ${header.err}`)
    if (header.xid === sentinel) break
    answers.push(`err ${header.err}`)
    if (!alone) continue
    const expected = readInt(attack.bytes, 8) === OpCode.ping ? Xid.ping : readInt(attack.bytes, 4)
    if (header.xid !== expected) throw new Error(`answered under xid ${header.xid}, not ${expected}`)
    if (answers.length > 1) throw new Error('answered more than once')
  }
  if (alone && answers.length === 0) throw new Error('passed over without an answer')
  return alone ? answers[0]! : `several, ${answers.length} answered`
}

/** Half frames that nobody will ever complete: the server has to end them, each of them, in its own time. */
async function hangHalfFrames(options: SiegeOptions, report: Report): Promise<void> {
  const connect = options.corpus.streams.find((stream) => stream.name === 'connect')!.bytes
  const starts = [0, 1, 3, 4, 5, 20, connect.length - 1].map((length) => connect.subarray(0, length))
  const hang = async (what: string, open: () => Promise<Connection | null>, bytes: Uint8Array): Promise<void> => {
    const connection = await open()
    if (connection === null) throw new Error(`${what}: not let in`)
    try {
      connection.write(bytes)
      await connection.untilClosed(options.idleDeadlineMs)
      count(report, `closed, ${what}`)
    } catch (err) {
      if (!(err instanceof DeadlineError)) throw err
      problem(report, `${what}: ${bytes.length} bytes (${Buffer.from(bytes).toString('hex')}) were left hanging`)
    } finally {
      connection.reset()
    }
  }
  const session = (): Promise<Connection | null> => openSession(options.address, 1, options.deadlineMs)
  const whole = request(1, OpCode.exists, (out) => writeExistsRequest(out, { path: '/bad', watch: false }))
  await Promise.all([
    ...starts.map((bytes) => hang('idle before connect', () => Connection.open(options.address, false), bytes)),
    ...[0, 1, 4, 5, whole.length - 1].map((length) => hang('idle in a session', session, whole.subarray(0, length))),
  ])
}
