/**
 * Two servers driven in step: each step of a sequence goes to both, and the next one waits for both answers. What arrives is
 * compared per connection, in order; an event is compared once the next reply on its connection shows that nothing of the
 * same transaction can follow.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Difference, explain } from './differences.ts'
import { replyBehindEvents } from './events.ts'
import { type Matrix, matrixKey } from './pairs.ts'
import type { Json } from './replies.ts'
import { decodeConnect, decodeEvent, decodeReply, readHeader } from './replies.ts'
import { differenceText, opName, requestText } from './report.ts'
import { type Server, word } from './server.ts'
import { type Conn, type Message, Side } from './side.ts'
import type { Part, Request, Sequence, Step } from './steps.ts'
import { compareWords } from './words.ts'

export interface Mismatch {
  where: string
  a: string
  b: string
  /** Two mismatches of the same signature are taken for the same fault. */
  signature: string
  step: number
}

export interface Outcome {
  mismatch: Mismatch | null
  /** Ids of known differences met. */
  explained: string[]
}

/** Thrown inside a run: the rest of the sequence has no meaning any more. */
class Found extends Error {
  readonly mismatch: Mismatch
  constructor(mismatch: Mismatch) {
    super(mismatch.where)
    this.mismatch = mismatch
  }
}

/** Thrown after a known difference that leaves the two servers in different states. */
class Abandoned extends Error {}

/** Beyond what a busy machine needs: only a server that is wrong makes anybody wait so long. */
const ANSWER_LIMIT_MS = 15_000
const CLOSE_LIMIT_MS = 10_000
const ADMIN = 1000

export class Pair {
  readonly servers: readonly [Server, Server]
  readonly sides: readonly [Side, Side]
  /** Requests answered by each server. */
  requests = 0
  /** Requests neither server answered in time. */
  silent = 0
  /** Answers of the reference; see pairs.ts. */
  readonly matrix: Matrix = new Map()
  private admins: readonly [Side, Side]
  private waiter: { cond: () => boolean; resolve: (ok: boolean) => void; deadline: number } | null = null
  private readonly watchdog: NodeJS.Timeout
  private count = 0
  private step = 0
  /** Told of every pair of messages compared, if set. */
  trace: ((where: string, a: string, b: string) => void) | null = null
  private explained: string[] = []
  private profile = ''
  private readonly compat: boolean
  /** How often the directories have changed hands. */
  private swaps = 0

  /** `compat`: B's switches are on, and it does what the reference does. */
  constructor(a: Server, b: Server, compat: boolean) {
    this.servers = [a, b]
    this.compat = compat
    this.sides = [new Side('A', a.port), new Side('B', b.port)]
    this.admins = [new Side('A', a.port), new Side('B', b.port)]
    for (const side of [...this.sides, ...this.admins]) side.onWake = () => this.onWake()
    this.watchdog = setInterval(() => this.onTick(), 100)
  }

  async start(): Promise<void> {
    await Promise.all(this.servers.map((s) => s.start()))
  }

  async stop(): Promise<void> {
    clearInterval(this.watchdog)
    for (const side of [...this.sides, ...this.admins]) for (const conn of side.conns.values()) conn.drop()
    await Promise.all(this.servers.map((s) => s.stop('SIGKILL')))
  }

  /** Does A's program, the reference, run on B's directory, and the other way round? */
  private get swapped(): boolean {
    return this.swaps % 2 === 1
  }

  /** Text of whatever ended by itself, or null. */
  get dead(): string | null {
    for (const [i, s] of this.servers.entries()) {
      if (s.died !== null) return `server ${'AB'[i]} ${s.died}\n${s.logTail()}`
    }
    return null
  }

  async run(sequence: Sequence): Promise<Outcome> {
    this.explained = []
    this.profile = sequence.profile
    const prefix = sequence.profile === 'overflow' ? `/m${this.count++}` : `/q${this.count++}`
    let mismatch: Mismatch | null = null
    try {
      await this.begin(prefix)
      for (this.step = 0; this.step < sequence.steps.length; this.step++) await this.perform(sequence.steps[this.step]!)
      await this.finish(sequence)
    } catch (e) {
      if (e instanceof Found) mismatch = e.mismatch
      else if (!(e instanceof Abandoned)) {
        const text = this.dead
        if (text === null) throw e
        mismatch = this.mismatch('server died', text, '', 'died')
      }
      if (this.dead === null) await this.sweep()
    }
    for (const side of this.sides) {
      for (const conn of side.conns.values()) conn.drop()
      side.conns.clear()
    }
    return { mismatch, explained: this.explained }
  }

  // --- waiting

  private onWake(): void {
    const w = this.waiter
    if (w?.cond()) {
      this.waiter = null
      w.resolve(true)
    }
  }

  private onTick(): void {
    const w = this.waiter
    if (w === null) return
    if (Date.now() > w.deadline || this.dead !== null) {
      this.waiter = null
      w.resolve(w.cond())
    }
  }

  private until(cond: () => boolean, limitMs: number): Promise<boolean> {
    if (cond()) return Promise.resolve(true)
    return new Promise((resolve) => {
      this.waiter = { cond, resolve, deadline: Date.now() + limitMs }
    })
  }

  private both(slot: number): [Conn, Conn] | null {
    const a = this.sides[0].conns.get(slot)
    const b = this.sides[1].conns.get(slot)
    return a && b ? [a, b] : null
  }

  // --- steps

  private async perform(step: Step): Promise<void> {
    switch (step.do) {
      case 'connect':
        return this.connect(step)
      case 'send':
        return this.send(step.c, [step.r], 0)
      case 'burst':
        return this.send(step.c, step.rs, step.split ?? 0)
      case 'together':
        return this.together(step.parts)
      case 'raw': {
        const conns = this.both(step.c)
        if (conns === null) return
        for (const conn of conns) conn.write(Buffer.from(step.hex, 'hex'))
        if (step.close) await this.closing(conns)
        return
      }
      case 'drop': {
        for (const side of this.sides) side.conns.get(step.c)?.drop()
        const conns = this.both(step.c)
        if (conns) await this.until(() => conns[0].closed && conns[1].closed, CLOSE_LIMIT_MS)
        return
      }
      case 'word':
        return this.words(step.word)
      case 'expire':
        for (const side of this.sides) for (const conn of side.conns.values()) if (conn.session === step.s) conn.drop()
        return
      case 'vanish':
        return this.vanish(step.paths)
      case 'restart':
        return this.restart(step.how)
      case 'dump':
        await this.dump()
        return
    }
  }

  private async connect(step: Extract<Step, { do: 'connect' }>): Promise<void> {
    const old = this.both(step.c)
    if (old !== null) {
      for (const conn of old) conn.drop()
      await this.until(() => old[0].closed && old[1].closed, CLOSE_LIMIT_MS)
    }
    // A server closes the other connections of a session that is attached again, even with a wrong password.
    const others: Conn[] = []
    for (const side of this.sides) {
      if (step.how !== 'attach' || !side.known.has(step.s)) continue
      if ((step.zxid ?? 'zero') === 'ahead' || step.zxid === 'max') continue
      for (const conn of side.conns.values()) if (conn.session === step.s && !conn.closed) others.push(conn)
    }
    const conns = (await Promise.all(this.sides.map((side) => side.open(step.c, step.s)))) as [Conn, Conn]
    for (const [i, conn] of conns.entries()) {
      const bytes = this.sides[i]!.connectBytes(step)
      conn.handshake = true
      conn.write(bytes)
    }
    await this.answered(conns)
    if (others.length > 0) await this.othersClosed(others, this.compat || (step.password ?? 'right') === 'right')
    this.compare(step.c, false)
  }

  /** What the reference alone does, or fails to do, is made good by the client. Ours must close for who is entitled. */
  private async othersClosed(others: readonly Conn[], entitled: boolean): Promise<void> {
    const sure = entitled ? others : others.filter((conn) => this.isReference(conn.side))
    await this.until(() => sure.every((conn) => conn.closed), CLOSE_LIMIT_MS)
    const left = others.filter((conn) => !conn.closed)
    if (left.length === 0 || (entitled && left.some((conn) => !this.isReference(conn.side)))) return
    this.explained.push(entitled ? 'takeover-race' : 'stranger-attach')
    for (const conn of left) conn.drop()
    await this.until(() => left.every((conn) => conn.closed), CLOSE_LIMIT_MS)
  }

  private async send(slot: number, requests: readonly Request[], split: number): Promise<void> {
    const conns = this.both(slot)
    if (conns === null) return
    if (conns[0].closed || conns[1].closed) {
      if (conns[0].closed !== conns[1].closed) await this.closing(conns)
      return
    }
    this.requests += requests.length
    for (const conn of conns) {
      const bytes = conn.encode(requests)
      if (split > 0) for (let at = 0; at < bytes.length; at += split) conn.write(bytes.subarray(at, at + split))
      else conn.write(bytes)
    }
    await this.answered(conns)
    this.compare(slot, false)
  }

  private async together(parts: readonly Part[]): Promise<void> {
    const sent: [Conn, Conn][] = []
    const before = this.sides.map((s) => s.lastZxid)
    for (const { c, under, rs } of parts) {
      const conns = this.both(c)
      if (conns === null || conns[0].closed || conns[1].closed) continue
      for (const conn of conns) conn.write(conn.encode(rs, under))
      this.requests += rs.length
      sent.push(conns)
    }
    for (const conns of sent) await this.answered(conns)
    // What others have set off is on its way to connections that have asked for nothing.
    const open: [number, Conn, Conn][] = []
    for (const slot of this.sides[0].conns.keys()) {
      const conns = this.both(slot)
      if (conns !== null && !conns[0].closed && !conns[1].closed) open.push([slot, ...conns])
    }
    for (const [, ...conns] of open) {
      for (const conn of conns) conn.write(conn.encode([{ op: 11 }]))
      await this.answered(conns)
    }
    const ends = open.map(([, ...conns]) => conns.map((conn) => conn.received.length))
    // A read may have come before the first write: its zxid is one of these too.
    await this.mark([before[0]! - 1, before[1]! - 1], 'together')
    for (const [i, [slot, ...conns]] of open.entries()) {
      for (const [j, conn] of conns.entries()) {
        conn.lastZxid = conn.side.lastZxid
        this.eventsLast(conn, ends[i]![j]!)
      }
      this.compare(slot, false)
    }
  }

  /** Puts events behind replies, in an order that does not depend on time, among what is not compared yet, up to `end`. */
  private eventsLast(conn: Conn, end: number): void {
    const fresh = conn.received.slice(conn.compared, end)
    const events = fresh.flatMap((m) =>
      m.kind === 'event' ? [{ m, text: JSON.stringify(decodeEvent(m.bytes, this.names(conn))) }] : [],
    )
    events.sort((x, y) => (x.text < y.text ? -1 : x.text > y.text ? 1 : 0))
    const sorted = [...fresh.filter((m) => m.kind !== 'event'), ...events.map((e) => e.m)]
    conn.received.splice(conn.compared, fresh.length, ...sorted)
  }

  private async answered(conns: readonly [Conn, Conn]): Promise<void> {
    if (!(await this.until(() => !conns[0].waiting && !conns[1].waiting, ANSWER_LIMIT_MS))) {
      if (conns[0].waiting && conns[1].waiting) this.silent++
      for (const conn of conns) if (conn.waiting) conn.giveUp()
    }
    if (conns[0].doomed || conns[1].doomed || conns[0].closed !== conns[1].closed) await this.closing(conns)
  }

  private async closing(conns: readonly [Conn, Conn]): Promise<void> {
    await this.until(() => conns[0].closed && conns[1].closed, CLOSE_LIMIT_MS)
    if (conns[0].closed === conns[1].closed) return
    const text = (c: Conn) => (c.closed ? 'closed' : 'open')
    const slot = [...conns[0].side.conns].find(([, c]) => c === conns[0])?.[0] ?? 0
    this.compare(slot, false)
    throw new Found(this.mismatch(`connection c${slot}`, text(conns[0]), text(conns[1]), 'closed'))
  }

  private async words(text: string): Promise<void> {
    const found = await compareWords(this.servers, this.sides, text)
    if (found !== null) throw new Found(this.mismatch(`word ${text}`, found.a, found.b, `word ${text}`))
  }

  // --- comparing

  private names(conn: Conn): Side {
    return conn.side === this.admins[0] ? this.sides[0] : conn.side === this.admins[1] ? this.sides[1] : conn.side
  }

  private decode(conn: Conn, m: Message): Json {
    const names = this.names(conn)
    if (m.kind === 'reply') {
      const tally = this.isReference(names) ? (op: string, err: number) => this.tally(op, err) : undefined
      return decodeReply(m.bytes, m.request, names, tally)
    }
    if (m.kind === 'event') {
      if (this.isReference(names)) this.tally(`event ${m.bytes.readInt32BE(16)}`, 0)
      return decodeEvent(m.bytes, names)
    }
    if (m.kind === 'connect') {
      const out = decodeConnect(m.bytes, names)
      if (this.isReference(names))
        this.tally(`connect, timeout ${(out as { timeoutMs?: number }).timeoutMs === 0 ? 0 : '> 0'}`, 0)
      return out
    }
    return m.kind
  }

  private isReference(side: Side): boolean {
    return side === this.sides[this.swapped ? 1 : 0]
  }

  private tally(op: string, err: number): void {
    const key = matrixKey(op)
    let codes = this.matrix.get(key)
    if (codes === undefined) {
      codes = new Map()
      this.matrix.set(key, codes)
    }
    codes.set(err, (codes.get(err) ?? 0) + 1)
  }

  private compare(slot: number, final: boolean): void {
    const conns = this.both(slot)
    if (conns !== null) this.compareConns(conns, `c${slot}`, final)
  }

  private compareConns(conns: readonly [Conn, Conn], label: string, final: boolean): void {
    const [ca, cb] = conns
    const settled = (c: Conn): number => {
      let n = c.received.length
      while (!final && n > 0 && c.received[n - 1]!.kind === 'event') n--
      return n
    }
    const na = settled(ca)
    const nb = settled(cb)
    while (ca.compared < na || cb.compared < nb) {
      const ma = ca.received[ca.compared]
      const mb = cb.received[cb.compared]
      const a = ma === undefined || ca.compared >= na ? 'nothing' : this.decode(ca, ma)
      const b = mb === undefined || cb.compared >= nb ? 'nothing' : this.decode(cb, mb)
      const ta = JSON.stringify(a)
      const tb = JSON.stringify(b)
      if (this.trace !== null) this.trace(`${label} ${ma?.kind === 'reply' ? requestText(ma.request) : ''}`, ta, tb)
      if (ta === tb) {
        ca.compared++
        cb.compared++
        continue
      }
      if (this.sameRun(ca, cb, na, nb)) continue
      const request = ma?.kind === 'reply' ? ma.request : mb?.kind === 'reply' ? mb.request : null
      const known = this.explain(request, a, b)
      if (known !== null) {
        this.explained.push(known.id)
        if (known.after === 'abandon') throw new Abandoned()
        const passes = known.after === 'pass'
        if (!passes || !this.swapped) ca.compared++
        if (!passes || this.swapped) cb.compared++
        continue
      }
      this.pastEvents(ca, cb, na, nb)
      const what = request === null ? 'no request' : requestText(request)
      const kind = request === null ? (ma?.kind ?? mb?.kind ?? 'none') : opName(request.op)
      throw new Found(this.mismatch(`${label}: ${what}`, ta, tb, `${kind} ${differenceText(a, b)}`))
    }
  }

  private explain(request: Request | null, a: Json, b: Json): Difference | null {
    return explain({
      request,
      ...(this.swapped ? { a: b, b: a } : { a, b }),
      profile: this.profile,
      compat: this.compat,
    })
  }

  /** One side has events where the other has a reply: a known difference may be behind them, between the two replies. */
  private pastEvents(ca: Conn, cb: Conn, na: number, nb: number): void {
    const [ma, mb] = [ca, cb].map((c, i) => c.received[replyBehindEvents(c.received, c.compared, i === 0 ? na : nb)])
    if (ma?.kind !== 'reply' || mb?.kind !== 'reply' || ma.request !== mb.request) return
    const known = this.explain(ma.request, this.decode(ca, ma), this.decode(cb, mb))
    if (known?.after !== 'abandon') return
    this.explained.push(known.id)
    throw new Abandoned()
  }

  /**
   * Closing a session removes its ephemeral nodes in no particular order (a hash set in the reference). So a run of events of
   * one transaction that are all deletions, or changes of children, may come in any order; so may those of the transactions
   * a server makes by itself, when sessions expire and containers go.
   */
  private sameRun(ca: Conn, cb: Conn, na: number, nb: number): boolean {
    const run = (c: Conn, n: number): { end: number; texts: string[] } | null => {
      const first = c.received[c.compared]
      if (first?.kind !== 'event') return null
      const zxidOf = (m: Message & { bytes: Buffer }): number | string => this.names(c).zxid(readHeader(m.bytes).zxid)
      const zxid = zxidOf(first)
      const texts: string[] = []
      let end = c.compared
      for (; end < n; end++) {
        const m = c.received[end]!
        if (m.kind !== 'event' || zxidOf(m) !== zxid) break
        const type = m.bytes.readInt32BE(16)
        if (type !== 2 && type !== 4) return null
        texts.push(JSON.stringify(this.decode(c, m)))
      }
      return { end, texts: texts.sort() }
    }
    const ra = run(ca, na)
    const rb = run(cb, nb)
    if (ra === null || rb === null || ra.texts.join() !== rb.texts.join()) return false
    ca.compared = ra.end
    cb.compared = rb.end
    this.explained.push('close-order')
    return true
  }

  private mismatch(where: string, a: string, b: string, signature: string): Mismatch {
    return { where, a, b, signature, step: this.step }
  }

  // --- the administrator's connections: setting up, reading the whole tree, cleaning

  private async admin(): Promise<[Conn, Conn]> {
    const conns: Conn[] = []
    for (const [i, admin] of this.admins.entries()) {
      let conn = admin.conns.get(ADMIN) ?? null
      // A server that has just begun to serve may still close a connection or two.
      for (let attempt = 0; (conn === null || conn.closed) && attempt < 20; attempt++) {
        if (attempt > 0) await delay(100)
        conn = await this.openAdmin(admin)
      }
      if (conn === null || conn.closed)
        throw new Error(`no connection to server ${'AB'[i]}\n${this.servers[i]!.logTail()}`)
      conns.push(conn)
    }
    return [conns[0]!, conns[1]!]
  }

  private async openAdmin(admin: Side): Promise<Conn> {
    admin.begin('', 0)
    const conn = await admin.open(ADMIN, 0)
    conn.handshake = true
    conn.write(admin.connectBytes({ do: 'connect', c: ADMIN, s: 0, how: 'new', timeoutMs: 40_000 }))
    await this.until(() => !conn.waiting, ANSWER_LIMIT_MS)
    if (conn.waiting) conn.drop()
    conn.write(conn.encode([{ op: 100, scheme: 'digest', token: 'super:secret' }]))
    await this.until(() => !conn.waiting, ANSWER_LIMIT_MS)
    conn.compared = conn.received.length
    return conn
  }

  /** Sends the same requests to both and compares; returns the first server's answers. */
  private async ask(
    requests: readonly Request[],
    compare = true,
  ): Promise<{ header: [number, number]; a: Json[]; b: Json[] }> {
    const conns = await this.admin()
    this.requests += requests.length
    const from = conns.map((c) => c.received.length)
    // Cleaning up after a difference takes each side its own number of requests.
    for (const conn of conns) conn.nextXid = Math.max(conns[0].nextXid, conns[1].nextXid)
    for (const [i, conn] of conns.entries()) {
      conn.side.prefix = this.sides[i]!.prefix
      conn.write(conn.encode(requests))
    }
    await this.answered(conns)
    const last = conns.map((c, i) => {
      const m = c.received.at(-1)
      const zxid = m?.kind === 'reply' ? readHeader(m.bytes).zxid : 0
      if (zxid > this.sides[i]!.lastZxid) this.sides[i]!.lastZxid = zxid
      return zxid
    }) as [number, number]
    if (compare) this.compareConns(conns, 'admin', true)
    const answers = conns.map((c, i) => c.received.slice(from[i]).map((m) => this.decode(c, m)))
    for (const c of conns) {
      c.received.length = 0
      c.compared = 0
    }
    return { header: last, a: answers[0]!, b: answers[1]! }
  }

  private async begin(prefix: string): Promise<void> {
    for (const side of this.sides) side.prefix = prefix
    const crafted = this.profile === 'overflow'
    const { header } = await this.ask([crafted ? { op: 5, path: prefix, data: 'x' } : { op: 1, path: prefix }], false)
    for (const [i, side] of this.sides.entries()) side.begin(prefix, header[i]!)
  }

  private async finish(sequence: Sequence): Promise<void> {
    if (sequence.seed % 2 === 0) await this.dump()
    // Bring out what is still on its way to a connection, then end every session that was begun.
    for (const [slot, conn] of [...this.sides[0].conns]) {
      if (!conn.closed) await this.send(slot, [{ op: 11 }], 0)
      this.compare(slot, true)
    }
    for (const session of [...this.sides[0].known.keys()].sort()) {
      let slot = [...this.sides[0].conns].find(([, c]) => c.session === session && !c.closed)?.[0]
      if (slot === undefined) {
        slot = 100 + session
        await this.connect({ do: 'connect', c: slot, s: session, how: 'attach', timeoutMs: 40_000 })
        if (this.profile === 'enforce') await this.send(slot, [{ op: 100, scheme: 'digest', token: 'u1:p1' }], 0)
      }
      await this.send(slot, [{ op: -11 }], 0)
    }
    for (const [slot] of [...this.sides[0].conns]) this.compare(slot, true)
    const paths = await this.dump()
    const deletes = paths.reverse().map((path): Request => ({ op: 2, path, version: -1 }))
    if (this.profile === 'overflow') deletes.pop()
    if (deletes.length > 0) await this.ask(deletes)
  }

  /** Compares data, Stat, ACL and children of everything below the prefix, and of its quota nodes; parents first. */
  private async dump(): Promise<string[]> {
    const all: string[] = []
    for (const root of [this.sides[0].prefix, `/zookeeper/quota${this.sides[0].prefix}`]) {
      let level = [root]
      while (level.length > 0) {
        const { a } = await this.ask(level.flatMap((path) => READS.map((op): Request => ({ op, path: latin(path) }))))
        const next: string[] = []
        for (const [i, path] of level.entries()) {
          const answer = a[i * READS.length] as { err: number; body?: { children: string[] } }
          if (answer.err !== 0 || answer.body === undefined) continue
          all.push(path)
          for (const child of answer.body.children) next.push(`${path}/${child}`)
        }
        level = next
      }
    }
    return all
  }

  /** After a difference: ends sessions and removes nodes on each side by itself, whatever there is. */
  private async sweep(): Promise<void> {
    try {
      for (const side of this.sides) {
        for (const session of side.known.keys()) {
          const conn = await side.open(200 + session, session)
          conn.handshake = true
          conn.write(side.connectBytes({ do: 'connect', c: 0, s: session, how: 'attach', timeoutMs: 40_000 }))
          await this.until(() => !conn.waiting, 1000)
          if (conn.doomed || conn.closed) continue
          conn.write(conn.encode([{ op: 100, scheme: 'digest', token: 'u1:p1' }, { op: -11 }]))
          await this.until(() => conn.closed, 1000)
        }
      }
      for (const [i, conn] of (await this.admin()).entries()) await this.sweepTree(conn, this.sides[i]!.prefix)
    } catch {
      // The server may be gone or silent: the caller starts a fresh pair then.
    }
  }

  private async sweepTree(conn: Conn, prefix: string): Promise<void> {
    const ask = async (requests: Request[]): Promise<Json[]> => {
      conn.received.length = 0
      conn.write(conn.encode(requests))
      await this.until(() => !conn.waiting, ANSWER_LIMIT_MS)
      return conn.received.map((m) => this.decode(conn, m))
    }
    for (const root of [prefix, `/zookeeper/quota${prefix}`]) {
      const all: string[] = []
      let level = [root]
      while (level.length > 0) {
        const next: string[] = []
        const answers = await ask(level.map((path): Request => ({ op: 8, path: latin(path) })))
        for (const [i, path] of level.entries()) {
          const answer = answers[i] as { err?: number; body?: { children: string[] } }
          if (answer.err !== 0 || answer.body === undefined) continue
          all.push(path)
          for (const child of answer.body.children) next.push(`${path}/${child}`)
        }
        level = next
      }
      if (all.length > 0) await ask(all.reverse().map((path): Request => ({ op: 2, path: latin(path), version: -1 })))
    }
    conn.received.length = 0
    conn.compared = 0
  }

  // --- what takes time

  /** Waits until both servers have removed the nodes by themselves, then makes zxids comparable again. */
  private async vanish(paths: readonly string[]): Promise<void> {
    const before = this.sides.map((s) => s.lastZxid)
    const deadline = Date.now() + 15_000
    for (;;) {
      const { a, b } = await this.ask(
        paths.map((path): Request => ({ op: 3, path })),
        false,
      )
      const gone = (answers: Json[]) => answers.every((x) => (x as { err?: number }).err === -101)
      if (gone(a) && gone(b)) break
      if (Date.now() > deadline) {
        const left = (answers: Json[]) =>
          paths.filter((_, i) => (answers[i] as { err?: number }).err !== -101).join(' ')
        throw new Found(this.mismatch('nodes that should vanish', `left: ${left(a)}`, `left: ${left(b)}`, 'vanish'))
      }
      await delay(20)
    }
    await this.mark(before as [number, number], 'own')
  }

  /** zxids given since `before` become `label` on both sides; the next transaction has the same name on both again. */
  private async mark(before: readonly [number, number], label: string): Promise<void> {
    const { header } = await this.ask([{ op: 5, path: '$', data: 'mark' }], false)
    const plain = Math.max(...this.sides.map((s, i) => Number(String(s.zxid(header[i]!)).slice(1)))) + 1000
    for (const [i, side] of this.sides.entries()) side.skip(before[i]!, header[i]!, plain, label)
  }

  /**
   * The first program, just started on the second's directory, has compared the digest behind every transaction of that
   * log: none may be off. Only at the first change of hands, later both have written in both directories.
   */
  private async digests(): Promise<void> {
    const text = await word(this.servers[1].port, 'mntr')
    const count = /^zk_digest_mismatches_count\t(\d+)$/m.exec(text)?.[1] ?? 'none'
    if (count !== '0') throw new Found(this.mismatch('digests in the log of B, read by A', '0', count, 'digest'))
  }

  private async restart(how: 'kill' | 'stop' | 'swap'): Promise<void> {
    for (const slot of [...this.sides[0].conns.keys()]) this.compare(slot, true)
    await Promise.all(this.servers.map((s) => s.stop(how === 'kill' ? 'SIGKILL' : 'SIGTERM')))
    const conns = this.sides.flatMap((side) => [...side.conns.values()])
    await this.until(() => conns.every((c) => c.closed), CLOSE_LIMIT_MS)
    if (how === 'swap') {
      this.swaps++
      const [a, b] = this.servers
      const command = a.command
      a.command = b.command
      b.command = command
    }
    await this.start()
    for (const slot of [...this.sides[0].conns.keys()]) this.compare(slot, true)
    await this.dump()
    if (how === 'swap' && this.swaps === 1) await this.digests()
  }
}

/** The children listing first: it says how to go on. */
const READS = [8, 12, 4, 6, 104]

/** Paths in answers are kept byte for byte; sent back, they must be the same bytes. */
function latin(path: string): { hex: string } | string {
  return /^[\x20-\x7e]*$/.test(path) ? path : { hex: Buffer.from(path, 'latin1').toString('hex') }
}
