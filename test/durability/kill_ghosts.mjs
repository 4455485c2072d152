/**
 * Sessions whose client is gone when the server is killed: what becomes of them and of their ephemeral nodes.
 *
 *   mover    loses its connection with the server and re-attaches after the restart: same id, every ephemeral there,
 *            and none left once it closes the session
 *   closed   has closed its session and got the answer before the kill: no ephemeral may come back, the id is refused
 *   closing  has asked to close in the moment of the kill: either all is as before or nothing is left
 *   silent   never comes back: its ephemerals outlive the restart, and end when the session's timeout has passed
 */
import { sleep } from './process.mjs'
import { code, flag, SessionRefused, WireClient } from './wire.mjs'

const EPHEMERALS = 3
export const SILENT_TIMEOUT_MS = 2_000

export class Ghosts {
  static async raise(port, directory) {
    const ghosts = new Ghosts()
    ghosts.port = port
    ghosts.directory = directory
    ghosts.mover = await haunt(port, directory, 'mover', 30_000)
    ghosts.closed = await haunt(port, directory, 'closed', 30_000)
    ghosts.closing = await haunt(port, directory, 'closing', 30_000)
    ghosts.silent = await haunt(port, directory, 'silent', SILENT_TIMEOUT_MS)
    await ghosts.closed.close()
    return ghosts
  }

  /** Called right before the kill. */
  startClosing() {
    this.silentLived = this.silent.alive
    this.closeAcknowledged = false
    this.closing.close().then(
      () => {
        this.closeAcknowledged = true
      },
      () => {},
    )
  }

  /** Called after the kill: the highest zxid any of them was told. */
  abandon() {
    const clients = [this.mover, this.closed, this.closing, this.silent]
    for (const client of clients) client.abandon()
    return clients.map((client) => Number(client.lastZxid))
  }

  /** After the restart, by a server that was spawned at `spawnedAt`. `awaitSilent`: also wait for the silent session to expire, which takes its timeout. */
  async check(reader, spawnedAt, awaitSilent, fail) {
    const count = (name) => this.count(reader, name)
    const silentAtStart = await count('silent')
    // The server took the silent session up anew when it started: before its timeout has passed since then, it must be
    // there. On a machine so slow that we look later, or that it may have expired before the kill, nothing is to be said.
    this.lookedInTime = this.silentLived && Date.now() - spawnedAt < SILENT_TIMEOUT_MS
    if (this.lookedInTime && silentAtStart !== EPHEMERALS) {
      fail(`silent session: ${silentAtStart} of ${EPHEMERALS} ephemerals after the restart`)
    }

    const mover = await reattach(this.port, this.mover)
    if (mover === null) fail('mover: refused within its timeout')
    else {
      if (mover.sessionId !== this.mover.sessionId) fail('mover: another session id after re-attaching')
      const there = await count('mover')
      if (there !== EPHEMERALS) fail(`mover: ${there} of ${EPHEMERALS} ephemerals after re-attaching`)
      await mover.close()
      const left = await count('mover')
      if (left !== 0) fail(`mover: ${left} ephemerals left after its session was closed`)
    }

    if ((await reattach(this.port, this.closed)) !== null) fail('closed: an ended session was accepted')
    const revived = await count('closed')
    if (revived !== 0) fail(`closed: ${revived} ephemerals came back after the session had ended`)

    const closing = await reattach(this.port, this.closing)
    const left = await count('closing')
    if (closing === null && left !== 0) fail(`closing: the session is gone, ${left} of its ephemerals are not`)
    if (closing !== null) {
      if (this.closeAcknowledged) fail('closing: the acknowledged close was forgotten')
      if (left !== EPHEMERALS) fail(`closing: the session lives with ${left} of ${EPHEMERALS} ephemerals`)
      await closing.close()
    }
    if (awaitSilent) await this.awaitSilent(reader, fail)
  }

  async awaitSilent(reader, fail) {
    const giveUp = Date.now() + SILENT_TIMEOUT_MS + 15_000
    for (;;) {
      const left = await this.count(reader, 'silent')
      if (left === 0) break
      if (Date.now() > giveUp) {
        fail(`silent: ${left} ephemerals left long after the session's timeout`)
        return
      }
      await sleep(100)
    }
    if ((await reattach(this.port, this.silent)) !== null) fail('silent: the expired session was accepted')
  }

  async count(reader, name) {
    const found = await Promise.all(pathsOf(this.directory, name).map((path) => reader.exists(path)))
    const owner = this[name].sessionId
    return found.filter((f) => f.err === code.ok && f.stat.ephemeralOwner === owner).length
  }
}

function pathsOf(directory, name) {
  return Array.from({ length: EPHEMERALS }, (_, i) => `${directory}/${name}${i}`)
}

async function haunt(port, directory, name, timeoutMs) {
  const client = await WireClient.connect({ port, timeoutMs })
  for (const path of pathsOf(directory, name)) {
    const { err } = await client.create(path, Buffer.from(name), { flags: flag.ephemeral })
    if (err !== 0) throw new Error(`create ${path}: ${err}`)
  }
  return client
}

/** The session on a new connection, or null when the server refuses it. */
async function reattach(port, { sessionId, password, timeoutMs, lastZxid }) {
  try {
    return await WireClient.connect({ port, sessionId, password, timeoutMs, lastZxid })
  } catch (error) {
    if (error instanceof SessionRefused) return null
    // A server closes without a word on a client that has seen a later zxid than its own last one.
    throw new Error(`re-attaching a session that has seen zxid ${lastZxid}: ${error.message}`)
  }
}
