/** What stands between sockets and links: order, deadlines, limits, and what becomes of those that are refused. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LINKS_DEFAULTS, Links, type LinksOptions, type NetworkSink } from '../../../src/zab/links.ts'
import { encodeHello } from '../../../src/zab/notification.ts'
import { HalfMade, NO_BYTES, type PassageDone, type Transport } from '../../../src/zab/transport.ts'
import type { LinkId, LinkKind, Sid } from '../../../src/zab/types.ts'

/** A member's network; its story as lines, input as text. */
class Rig implements NetworkSink {
  readonly links: Links
  readonly story: string[] = []
  readonly logged: string[] = []
  onOpened: (link: LinkId) => void = () => {}
  private waiting: { pattern: RegExp; resolve(line: string): void }[] = []

  constructor(options: Partial<LinksOptions>) {
    const own = [{ host: '127.0.0.1', port: 0 }]
    this.links = new Links(
      { ...LINKS_DEFAULTS, electionAddresses: own, learnerAddresses: own, ...options },
      this,
      () => setImmediate(() => this.links.flush()),
      (level, { reason, bytesUnsent }, message) => {
        this.logged.push(`${level} ${message}: ${reason ?? bytesUnsent}`)
        if (level === 'warn') this.tell(`warn ${reason ?? message}`)
      },
    )
    rigs.push(this)
  }

  tell(line: string): void {
    this.story.push(line)
    for (const one of this.waiting) if (one.pattern.test(line)) one.resolve(line)
  }

  heard(pattern: RegExp): Promise<string> {
    const line = this.story.find((told) => pattern.test(told))
    if (line !== undefined) return Promise.resolve(line)
    return new Promise((resolve) => this.waiting.push({ pattern, resolve }))
  }

  onAccept(link: LinkId, kind: LinkKind): void {
    this.tell(`accept ${link} ${kind}`)
  }
  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void {
    this.onOpened(link)
    this.tell(`open ${link} ${sid} ${kind}`)
  }
  onDialFailed(sid: Sid, kind: LinkKind): void {
    this.tell(`failed ${sid} ${kind}`)
  }
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    this.tell(`bytes ${link} ${Buffer.from(buf.subarray(off, end)).toString('latin1')}`)
    return end - off
  }
  onClose(link: LinkId): void {
    this.tell(`close ${link}`)
  }

  get address(): string {
    return `127.0.0.1:${this.links.boundPorts('election')[0]}`
  }
}

let rigs: Rig[] = []
let others: (Server | Socket)[] = []

afterEach(async () => {
  for (const rig of rigs) await rig.links.stop()
  for (const other of others) 'destroy' in other ? other.destroy() : other.close()
  rigs = []
  others = []
})

async function started(options: Partial<LinksOptions>): Promise<Rig> {
  const rig = new Rig(options)
  await rig.links.start()
  return rig
}

function client(rig: Rig): Socket {
  const [host, port] = rig.address.split(':')
  const socket = connect({ host: host!, port: Number(port) })
  socket.on('error', () => {})
  others.push(socket)
  return socket
}

/** A server whose sockets are handed over; its address. */
async function plainServer(onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    others.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  others.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

/** The next bytes, as text. */
function nextChunk(socket: Socket): Promise<string> {
  return new Promise((resolve) => socket.once('data', (chunk) => resolve(chunk.toString('latin1'))))
}

/** Lets a socket through when its first byte is there: 'y'; what comes behind it belongs to the link. */
function password(socket: Socket, done: PassageDone): void {
  socket.once('data', (chunk: Buffer) => {
    socket.pause()
    if (chunk[0] !== 0x79) {
      done(new Error('wrong password'), null)
      return
    }
    done(null, { socket, head: chunk.subarray(1), peer: 'whoever knows it', afterHello: null })
  })
}

const DOORMAN: Transport = {
  accept: (socket, _kind, done) => password(socket, done),
  connect: (socket, _to, done) => {
    socket.write('y')
    setImmediate(() => done(null, { socket, head: NO_BYTES, peer: null, afterHello: null }))
  },
}
const NEVER: Transport = { accept: () => {}, connect: () => {} }

describe('a transport between sockets and links', () => {
  it('is through before the member hears of the connection, on both sides, and loses no byte behind it', async () => {
    const [a, b] = [await started({ transport: DOORMAN }), await started({ transport: DOORMAN })]
    a.onOpened = (link) => a.links.send(link, Buffer.from('first'))
    a.links.dial(2, 'learner', [b.address])
    await b.heard(/^bytes 1 first/)
    b.links.send(1, Buffer.from('second'))
    await a.heard(/^bytes 1 second/)
    expect(b.story).toEqual(['accept 1 election', 'bytes 1 first'])
  })

  it('hands on in order what came in one piece with its own bytes', async () => {
    const rig = await started({ transport: DOORMAN })
    client(rig).write('yabc')
    await rig.heard(/^bytes 1 abc/)
  })

  it('keeps out, with a warning, who sends the wrong bytes', async () => {
    const rig = await started({ transport: DOORMAN })
    const stranger = client(rig)
    const closed = new Promise((resolve) => stranger.once('close', resolve))
    stranger.write('no')
    await closed
    expect(await rig.heard(/^warn/)).toBe('warn wrong password')
    expect(rig.story).toEqual(['warn wrong password'])
  })

  it('has a deadline for who comes in and says nothing, and for who says half of it', async () => {
    const timeouts = { election: 30, learner: 30, observer: 30 }
    const rig = await started({ transport: DOORMAN, transportTimeoutMs: timeouts })
    const silent = client(rig)
    await new Promise((resolve) => silent.once('close', resolve))
    expect(rig.story).toEqual(['warn not through within 30 ms'])
  })

  it('has a deadline for whom we dial: the dial has failed then', async () => {
    const timeouts = { election: 30, learner: 30, observer: 30 }
    const rig = await started({ transport: NEVER, transportTimeoutMs: timeouts })
    const closed = new Promise((resolve) => {
      void plainServer((socket) => socket.resume().once('end', resolve)).then((address) =>
        rig.links.dial(7, 'learner', [address]),
      )
    })
    await rig.heard(/^failed 7 learner/)
    await closed
    expect(rig.story).toEqual(['warn not through within 30 ms', 'failed 7 learner'])
  })

  it('leaves nothing behind of a peer that closes in it: no accept, no close; a dial has failed', async () => {
    const rig = await started({ transport: NEVER })
    client(rig).end('y')
    client(rig).resetAndDestroy()
    const address = await plainServer((socket) => socket.resetAndDestroy())
    rig.links.dial(7, 'learner', [address])
    await rig.heard(/^failed 7 learner/)
    expect(rig.story.filter((line) => !line.startsWith('warn'))).toEqual(['failed 7 learner'])
  })

  it('does not warn of who only looks whether the port is there', async () => {
    const rig = await started({ transport: DOORMAN })
    const looking = client(rig)
    const closed = new Promise((resolve) => looking.resume().once('close', resolve))
    looking.end()
    await closed
    client(rig).write('no')
    await rig.heard(/^warn/)
    expect(rig.logged.filter((line) => line.includes('refused'))).toEqual([
      'debug connection of a member refused: closed by the other side',
      'warn connection of a member refused: wrong password',
    ])
  })

  it('is stopped with the network, which hears nothing more of it', async () => {
    const rig = await started({ transport: NEVER })
    const stranger = client(rig)
    const closed = new Promise((resolve) => stranger.once('close', resolve))
    let cut: Promise<unknown> = Promise.resolve()
    const reached = new Promise<void>((resolve) => {
      void plainServer((socket) => {
        cut = new Promise((over) => socket.resume().once('end', over).once('close', over))
        resolve()
      }).then((address) => rig.links.dial(7, 'learner', [address]))
    })
    await new Promise((resolve) => stranger.once('connect', resolve))
    await reached
    await rig.links.stop()
    await closed
    await cut
    expect(rig.story).toEqual([])
  })

  it('lets no address have more than its share under way, and none keep the others out', async () => {
    const rig = await started({ transport: NEVER, halfMadeMax: 4, halfMadePerAddressMax: 2 })
    const crowd = [client(rig), client(rig), client(rig)]
    await Promise.race(crowd.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    expect(rig.story).toEqual(['warn too many connections that are not through yet'])
  })
})

describe('half-made connections', () => {
  const crowd = (max: number, perAddressMax: number, addresses: string) => {
    const gone: string[] = []
    const half = new HalfMade(max, perAddressMax)
    const removes = [...addresses].map((address, i) => half.add(address, () => gone.push(`${address}${i}`)))
    return { half, gone, removes }
  }

  it('of one address give way to its newer ones', () => {
    expect(crowd(10, 2, 'aabaa').gone).toEqual(['a0', 'a1'])
  })

  it('in all give way where the crowd is, not where the newcomer is', () => {
    expect(crowd(4, 3, 'baaac').gone).toEqual(['a1'])
    expect(crowd(4, 3, 'abcde').gone).toEqual(['a0'])
  })

  it('count no more once they are through', () => {
    const { half, gone, removes } = crowd(3, 2, 'aa')
    for (const remove of removes) remove()
    half.add('a', () => gone.push('third'))
    half.add('a', () => gone.push('fourth'))
    expect(gone).toEqual([])
    expect(half.size).toBe(2)
  })
})

describe('authentication behind the hello of the election port', () => {
  const HELLO = encodeHello(9, ['127.0.0.1:3888'], false)
  const hello = Buffer.from(HELLO).toString('latin1')
  /** Asks '?' behind the hello, and goes on with the answer '!'. */
  const asking: Transport = {
    accept: () => {},
    connect: (socket, _to, done) =>
      setImmediate(() =>
        done(null, {
          socket,
          head: NO_BYTES,
          peer: null,
          afterHello: (authenticated) => {
            socket.write('?')
            socket.once('data', (chunk: Buffer) => {
              socket.pause()
              if (chunk[0] === 0x21) authenticated(null, chunk.subarray(1))
              else authenticated(new Error('wrong answer'), NO_BYTES)
            })
          },
        }),
      ),
  }

  async function dialed(onServer: (socket: Socket) => void, options: Partial<LinksOptions> = {}): Promise<Rig> {
    const address = await plainServer(onServer)
    const rig = await started({ sid: 9, transport: asking, ...options })
    rig.onOpened = (link) => {
      rig.links.send(link, HELLO)
      rig.links.send(link, Buffer.from('vote'))
    }
    rig.links.dial(2, 'election', [address])
    return rig
  }

  it('lets the hello out alone, then authenticates, then lets out what waited, what came meanwhile included', async () => {
    const seen: string[] = []
    const whole = new Promise<void>((resolve) => {
      void dialed(async (socket) => {
        let bytes = ''
        socket.on('data', (chunk) => {
          bytes += chunk.toString('latin1')
          if (bytes === `${hello}?`) {
            seen.push(bytes)
            rigs[0]!.links.send(1, Buffer.from(' and more'))
            setImmediate(() => setImmediate(() => socket.write('!answered')))
          } else if (bytes.endsWith('more')) {
            seen.push(bytes)
            resolve()
          }
        })
      })
    })
    await whole
    expect(seen).toEqual([`${hello}?`, `${hello}?vote and more`])
    await rigs[0]!.heard(/^bytes 1 answered/)
  })

  it('costs the link, and lets nothing else out, when it fails', async () => {
    let bytes = ''
    const rig = await dialed((socket) => {
      socket.on('data', (chunk) => {
        bytes += chunk.toString('latin1')
        if (bytes.endsWith('?')) socket.write('no')
      })
    })
    await rig.heard(/^close 1/)
    expect(rig.story).toContain('warn link given up: wrong answer')
    expect(bytes).toBe(`${hello}?`)
  })

  it('costs the link when it takes too long, and when the other side closes in it', async () => {
    const timeouts = { election: 30, learner: 30, observer: 30 }
    const slow = await dialed((socket) => socket.resume(), { transportTimeoutMs: timeouts })
    await slow.heard(/^close 1/)
    expect(slow.story).toContain('warn link given up: not through within 30 ms')
    const closed = await dialed((socket) => socket.once('data', () => socket.destroy()))
    await closed.heard(/^close 1/)
  })

  it('is not waited for by a member that waits for more, or for the end: a mere knock ends with its hello', async () => {
    let ended: () => void = () => {}
    const end = new Promise<void>((resolve) => {
      ended = resolve
    })
    const first = new Promise<string>((resolve) => {
      void dialed(
        (socket) => {
          void nextChunk(socket).then(resolve)
          socket.once('end', ended)
        },
        { sid: 1, transport: null },
      )
    })
    expect(await first).toContain(hello)
    await end
  })
})
