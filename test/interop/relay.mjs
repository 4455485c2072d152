/**
 * A TCP relay between a client and the server that can go silent, which is how a peer loses its session without being
 * modified: the server hears nothing more and expires it.
 *
 * Frozen: bytes already on the way are dropped, new connections are accepted and left unanswered.
 * Thawed: every connection of the frozen time is closed, so that clients connect anew.
 */
import { connect, createServer } from 'node:net'
import { choosePort } from './server.mjs'

export class Relay {
  constructor(targetPort) {
    this.targetPort = targetPort
    this.port = 0
    this.frozen = false
    this.sockets = new Set()
    this.listener = createServer((client) => this.onConnection(client))
  }

  async start() {
    this.port = await choosePort()
    await new Promise((resolve, reject) => {
      this.listener.once('error', reject)
      this.listener.listen(this.port, '127.0.0.1', resolve)
    })
  }

  onConnection(client) {
    this.track(client)
    if (this.frozen) return
    const upstream = connect(this.targetPort, '127.0.0.1')
    this.track(upstream)
    this.pass(client, upstream)
    this.pass(upstream, client)
  }

  track(socket) {
    this.sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', () => {})
    socket.on('close', () => this.sockets.delete(socket))
  }

  pass(from, to) {
    from.on('data', (chunk) => {
      if (this.frozen || to.destroyed) return
      if (to.write(chunk)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
    // A frozen client must not learn that the server gave it up.
    from.on('close', () => {
      if (!this.frozen) to.destroy()
    })
  }

  freeze() {
    this.frozen = true
  }

  thaw() {
    this.frozen = false
    this.closeConnections()
  }

  closeConnections() {
    for (const socket of this.sockets) socket.destroy()
  }

  stop() {
    this.closeConnections()
    this.listener.close()
  }
}
