/**
 * What clients did and saw, and whether a correct ensemble can have answered so.
 *
 * Writes and conditional writes, with what every member shows at the end, must be linearizable: porcupine says. Reads are
 * ordered within their session only, as ZooKeeper promises: a session never sees anything older than it has seen.
 */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { cacheRoot } from '../interop/cache.mjs'
import { fetchPorcupine } from '../interop/peers.mjs'
import { runToEnd, startGroup } from '../interop/process.mjs'

export class History {
  constructor() {
    this.ops = []
    this.seen = new Map() // 'key version' -> value and mzxid, the same for everybody
    this.errors = []
  }

  fail(message) {
    if (this.errors.length < 20) this.errors.push(message)
  }

  /** A write's or final read's record, see porcupine/main.go; times in milliseconds of performance.now(). */
  add(op, callMs, returnMs) {
    this.ops.push({ ...op, call: Math.floor(callMs * 1000), return: Math.ceil(returnMs * 1000) })
  }

  /** One version of one register has one value and one zxid, whoever saw it. */
  see(key, version, value, mzxid, who) {
    const now = `${value} at ${mzxid}`
    const before = this.seen.get(`${key} ${version}`)
    if (before === undefined) this.seen.set(`${key} ${version}`, now)
    else if (before !== now) this.fail(`${key}, version ${version}: ${who} saw ${now}, another client ${before}`)
  }

  count(result) {
    return this.ops.filter((op) => op.kind !== 'read' && op.result === result).length
  }
}

/** The order of one session: nothing it is told may be older than what it was told before. */
export class SessionOrder {
  /** `who()`: how the session is called in what is wrong. */
  constructor(history, who) {
    this.history = history
    this.who = who
    this.zxid = 0n
    this.versions = new Map()
  }

  /** The zxid in the header of any reply. */
  onReply(zxid) {
    if (zxid < this.zxid) this.history.fail(`I5 ${this.who()}: a reply at zxid ${zxid} after one at ${this.zxid}`)
    this.zxid = zxid
  }

  onVersion(key, version) {
    const before = this.versions.get(key) ?? 0
    if (version < before) this.history.fail(`I5 ${this.who()}: ${key} has version ${version} after version ${before}`)
    this.versions.set(key, version)
  }
}

/** Each of three impossible observations must be called so. */
export function controlOrder() {
  const history = new History()
  const order = new SessionOrder(history, () => 'control')
  for (const zxid of [1n, 2n, 2n, 1n]) order.onReply(zxid)
  for (const version of [1, 2, 2, 1]) order.onVersion('x', version)
  for (const value of ['a', 'a', 'b']) history.see('x', 1, value, 1n, 'control')
  if (history.errors.length !== 3) throw new Error(`the order of sessions is not checked: ${history.errors.join('; ')}`)
}

export class LinearizabilityChecker {
  /** Builds the Go program into `workDir`. */
  static async start(workDir) {
    cpSync(await fetchPorcupine(), workDir, { recursive: true })
    cpSync(fileURLToPath(new URL('porcupine/main.go', import.meta.url)), join(workDir, 'main.go'))
    const program = join(workDir, 'checker')
    const env = { ...process.env, GOFLAGS: '-mod=vendor', GOCACHE: join(cacheRoot(), 'go-build'), GOTOOLCHAIN: 'local' }
    await runToEnd('go', ['build', '-o', program, '.'], { cwd: workDir, env })
    const checker = new LinearizabilityChecker(startGroup(program, [], { stdio: ['pipe', 'pipe', 'inherit'] }))
    await checker.control()
    return checker
  }

  /** A write that is acknowledged and gone at the end must be called impossible, and one that stayed, possible. */
  async control() {
    for (const [version, expected] of [
      [1, 'ok'],
      [0, 'not linearizable: x'],
    ]) {
      const history = new History()
      const op = { client: 0, key: 'x', on: -1, result: 'ok' }
      history.add({ ...op, kind: 'write', value: 'a', version: 1 }, 1, 2)
      history.add({ ...op, kind: 'read', value: version === 1 ? 'a' : 'start', version }, 3, 4)
      const verdict = await this.check(history)
      if (verdict !== expected) throw new Error(`the checker says "${verdict}" where "${expected}" is right`)
    }
  }

  constructor(child) {
    this.child = child
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** 'ok', or what is wrong. */
  async check(history) {
    this.child.stdin.write(`${JSON.stringify({ ops: history.ops })}\n`)
    const { value, done } = await this.lines.next()
    return done ? 'the checker ended' : value
  }
}
