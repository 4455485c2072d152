/** Links over real loopback sockets: what a member may rely on, whatever TCP does with its bytes. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LINKS_DEFAULTS, Links, type LinksOptions, type NetworkSink, ROOM_BYTES } from '../../../src/zab/links.ts'
import { Names, parseAddress } from '../../../src/zab/sockets.ts'
import type { LinkId, LinkKind, Sid } from '../../../src/zab/types.ts'

/** One network, its story as lines, and a way to wait until the story has a line. */
class Rig implements NetworkSink {
  readonly links: Links
  readonly story: string[] = []
  readonly logged: string[] = []
  readonly input = new Map<LinkId, number[]>()
  /** Decides how much of an offer is consumed; all of it unless a test says otherwise. */
  consume: (link: LinkId, bytes: Uint8Array) => number = (_, bytes) => bytes.length
  onOpened: (link: LinkId) => void = () => {}
  private waiting: { pattern: RegExp; from: number; resolve(line: string): void }[] = []
  private busy = false

  constructor(options: Partial<LinksOptions> = {}) {
    const own = [{ host: '127.0.0.1', port: 0 }]
    this.links = new Links(
      { ...LINKS_DEFAULTS, electionAddresses: own, learnerAddresses: own, learnerBindRetryMs: 10, ...options },
      this,
      () => setImmediate(() => this.call(() => this.links.flush())),
      (level, _, message) => this.logged.push(`${level} ${message}`),
    )
    rigs.push(this)
  }

  /** Runs a call of the network, and fails if it calls back before it returns. */
  call<T>(run: () => T): T {
    expect(this.busy).toBe(false)
    this.busy = true
    try {
      return run()
    } finally {
      this.busy = false
    }
  }

  tell(line: string): void {
    expect(this.busy).toBe(false)
    this.story.push(line)
    this.waiting = this.waiting.filter(({ pattern, resolve }) => {
      if (!pattern.test(line)) return true
      resolve(line)
      return false
    })
  }

  /** The first line that fits, from the story so far or yet to come. */
  heard(pattern: RegExp, from = 0): Promise<string> {
    const line = this.story.slice(from).find((told) => pattern.test(told))
    if (line !== undefined) return Promise.resolve(line)
    return new Promise((resolve) => this.waiting.push({ pattern, from, resolve }))
  }

  onAccept(link: LinkId, kind: LinkKind): void {
    this.input.set(link, [])
    this.tell(`accept ${link} ${kind}`)
  }
  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void {
    this.input.set(link, [])
    this.onOpened(link)
    this.tell(`open ${link} ${sid} ${kind}`)
  }
  onDialFailed(sid: Sid, kind: LinkKind): void {
    this.tell(`failed ${sid} ${kind}`)
  }
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    const consumed = this.consume(link, buf.subarray(off, end))
    this.input.get(link)!.push(...buf.subarray(off, off + consumed))
    this.tell(`bytes ${link} ${this.input.get(link)!.length}`)
    return consumed
  }
  onClose(link: LinkId): void {
    this.tell(`close ${link}`)
  }

  /** Where others reach this rig. */
  address(kind: LinkKind = 'election'): string {
    return `127.0.0.1:${this.links.boundPorts(kind)[0]}`
  }

  /** Dials `other`'s election port; the ids of the link here and there. */
  async join(other: Rig): Promise<[here: LinkId, there: LinkId]> {
    const [from, fromThere] = [this.story.length, other.story.length]
    this.call(() => this.links.dial(2, 'election', [other.address()]))
    const here = idOf(await this.heard(/^open/, from))
    return [here, idOf(await other.heard(/^accept/, fromThere))]
  }
}

const idOf = (line: string): LinkId => Number(line.split(' ')[1])

let rigs: Rig[] = []
let others: (Server | Socket)[] = []

afterEach(async () => {
  for (const rig of rigs) await rig.links.stop()
  for (const other of others) 'destroy' in other ? other.destroy() : other.close()
  rigs = []
  others = []
})

async function started(options: Partial<LinksOptions> = {}): Promise<Rig> {
  const rig = new Rig(options)
  await rig.links.start()
  return rig
}

/** A plain server, for ports that are taken; its port. */
async function plainServer(onSocket: (socket: Socket) => void = () => {}): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    others.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  others.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as { port: number }).port }
}

/** A port that nobody listens on. */
async function deadPort(): Promise<number> {
  const { server, port } = await plainServer()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function plainClient(address: string): Socket {
  const { host, port } = parseAddress(address)!
  const socket = connect({ host, port })
  socket.on('error', () => {})
  others.push(socket)
  return socket
}

/** What a socket has received until it ended. */
function readAll(socket: Socket): Promise<number> {
  let total = 0
  socket.on('data', (chunk) => {
    total += chunk.length
  })
  return new Promise((resolve) => socket.on('close', () => resolve(total)))
}

const counting = (bytes: number, from = 0): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (from + i) & 0xff)

describe('links between members', () => {
  it('carry bytes both ways in the order they were sent, with ids of their own', async () => {
    const [a, b] = [await started(), await started()]
    const [first, firstThere] = await a.join(b)
    const [second, secondThere] = await a.join(b)
    expect(second).not.toBe(first)
    expect(secondThere).not.toBe(firstThere)
    for (let i = 0; i < 100; i++) a.call(() => a.links.send(first, counting(7, i * 7)))
    a.call(() => a.links.send(second, counting(3)))
    b.call(() => b.links.send(firstThere, counting(5)))
    await b.heard(new RegExp(`^bytes ${firstThere} 700$`))
    await b.heard(new RegExp(`^bytes ${secondThere} 3$`))
    await a.heard(new RegExp(`^bytes ${first} 5$`))
    expect(b.input.get(firstThere)).toEqual([...counting(700)])
    expect(a.input.get(first)).toEqual([...counting(5)])
  })

  it('copy what they are given to send: the bytes are only borrowed', async () => {
    const [a, b] = [await started(), await started()]
    const [here, there] = await a.join(b)
    const bytes = counting(100_000)
    a.call(() => a.links.send(here, bytes))
    bytes.fill(0)
    await b.heard(new RegExp(`^bytes ${there} 100000$`))
    expect(b.input.get(there)).toEqual([...counting(100_000)])
  })

  it('say which port a connection came in on', async () => {
    const [a, b] = [await started(), await started()]
    b.call(() => b.links.listen('learner', true))
    await until(() => b.links.boundPorts('learner').length === 1)
    a.call(() => a.links.dial(7, 'learner', [b.address('learner')]))
    expect(await a.heard(/^open/)).toBe('open 1 7 learner')
    expect(await b.heard(/^accept/)).toBe('accept 1 learner')
  })

  it('N5 offer again, ahead of what came later, what was not consumed', async () => {
    const rig = await started()
    const offers: string[] = []
    rig.consume = (_, bytes) => {
      offers.push([...bytes].join())
      return bytes.length >= 4 ? 3 : 0
    }
    const client = plainClient(rig.address())
    client.setNoDelay(true)
    for (let i = 1; i <= 6; i++) {
      client.write(Uint8Array.of(i))
      await until(() => offers.length === i)
    }
    expect(offers).toEqual(['1', '1,2', '1,2,3', '1,2,3,4', '4,5', '4,5,6'])
  })

  it('gather a packet of 64 MiB from thousands of chunks without moving bytes for each of them', async () => {
    const rig = await started()
    const bytes = 64 * 1024 * 1024
    let offered = 0
    const done = new Promise<void>((resolve) => {
      rig.onBytes = (_, buf, off, end) => {
        offered++
        if (end - off < bytes) return 0
        expect(buf[off]).toBe(1)
        expect(buf[end - 1]).toBe(9)
        resolve()
        return end - off
      }
    })
    const packet = new Uint8Array(bytes)
    packet[0] = 1
    packet[bytes - 1] = 9
    const client = plainClient(rig.address())
    const startedMs = performance.now()
    client.write(packet)
    await done
    expect(offered).toBeGreaterThan(100)
    // Moving all of it at each chunk would be some 30 GB and take many seconds.
    expect(performance.now() - startedMs).toBeLessThan(8000)
  })

  it('end with one onClose when the other side ends them, whatever is still unsent', async () => {
    const rig = await started()
    const client = plainClient(rig.address())
    const link = idOf(await rig.heard(/^accept/))
    client.end()
    await rig.heard(/^close/)
    rig.call(() => rig.links.send(link, counting(3)))
    rig.call(() => rig.links.close(link, 'again'))
    const [here] = await rig.join(await started())
    await rig.heard(new RegExp(`^open ${here}`))
    expect(rig.story.filter((line) => line === `close ${link}`)).toHaveLength(1)
  })

  it('end with one onClose when the connection is reset', async () => {
    const rig = await started()
    const client = plainClient(rig.address())
    const link = idOf(await rig.heard(/^accept/))
    client.resetAndDestroy()
    await rig.heard(new RegExp(`^close ${link}`))
  })

  it('end without onClose when we close them, and what was not flushed is dropped', async () => {
    const rig = await started()
    const client = plainClient(rig.address())
    const received = readAll(client)
    const link = idOf(await rig.heard(/^accept/))
    rig.call(() => {
      rig.links.send(link, counting(10))
      rig.links.close(link, 'test')
    })
    expect(await received).toBe(0)
    await rig.join(await started())
    expect(rig.story).not.toContain(`close ${link}`)
  })

  it('may be closed while their bytes are looked at', async () => {
    const rig = await started()
    rig.consume = (link) => {
      rig.links.close(link, 'nonsense')
      return 0
    }
    const client = plainClient(rig.address())
    const received = readAll(client)
    client.write(counting(100))
    await received
    expect(rig.story).toEqual(['accept 1 election', 'bytes 1 0'])
  })

  it('N9 are given up, with a warning and an onClose, when the other side does not read', async () => {
    const rig = await started({ outputBytesMax: 8 * 1024 * 1024 })
    const { port } = await plainServer((socket) => socket.pause())
    rig.call(() => rig.links.dial(3, 'learner', [`127.0.0.1:${port}`]))
    const link = idOf(await rig.heard(/^open/))
    for (let i = 0; i < 30; i++) {
      rig.call(() => rig.links.send(link, new Uint8Array(1024 * 1024)))
      rig.call(() => rig.links.flush())
    }
    await rig.heard(new RegExp(`^close ${link}`))
    expect(rig.logged).toContain('warn link given up: it does not read what it is sent')
  })

  it('are given up when their bytes never make a packet', async () => {
    const rig = await started({ inputBytesMax: 1024 * 1024 })
    rig.consume = () => 0
    plainClient(rig.address()).write(new Uint8Array(3 * 1024 * 1024))
    await rig.heard(/^close 1/)
  })
})

describe('room on a link', () => {
  it('is told later and once, at once where little is unsent, and to those who wait when the other side reads', async () => {
    const rig = await started()
    let reader: Socket | null = null
    const { port } = await plainServer((socket) => {
      reader = socket
      socket.pause()
    })
    rig.call(() => rig.links.dial(3, 'learner', [`127.0.0.1:${port}`]))
    const link = idOf(await rig.heard(/^open/))
    rig.call(() => rig.links.whenRoom(link, () => rig.tell('room at once')))
    await rig.heard(/^room at once/)
    rig.call(() => {
      rig.links.send(link, new Uint8Array(16 * ROOM_BYTES))
      rig.links.flush()
    })
    rig.call(() => rig.links.whenRoom(link, () => rig.tell('room later')))
    await turns(20)
    expect(rig.story).not.toContain('room later')
    reader!.resume()
    await rig.heard(/^room later/)
    expect(rig.story.filter((line) => line === 'room later')).toHaveLength(1)
  })

  it('counts what this turn has gathered and not yet sent', async () => {
    const [a, b] = [await started(), await started()]
    const [here] = await a.join(b)
    a.call(() => {
      a.links.send(here, new Uint8Array(2 * ROOM_BYTES))
      a.links.whenRoom(here, () => a.tell('room'))
    })
    expect(a.story).not.toContain('room')
    await a.heard(/^room/)
  })

  it('is told too when the link is closed by us, is lost, or was gone before', async () => {
    const rig = await started()
    const { port } = await plainServer((socket) => socket.pause())
    for (const end of ['closed', 'gone']) {
      const from = rig.story.length
      rig.call(() => rig.links.dial(3, 'learner', [`127.0.0.1:${port}`]))
      const link = idOf(await rig.heard(/^open/, from))
      rig.call(() => {
        rig.links.send(link, new Uint8Array(16 * ROOM_BYTES))
        rig.links.flush()
        if (end === 'closed') rig.links.whenRoom(link, () => rig.tell(end))
        rig.links.close(link, 'test')
        if (end === 'gone') rig.links.whenRoom(link, () => rig.tell(end))
      })
      await rig.heard(new RegExp(`^${end}`))
    }
  })
})

describe('dialing a member', () => {
  it('fails later, and once, at a port where nobody listens, at nonsense, and without any address', async () => {
    const rig = await started()
    const dead = await deadPort()
    for (const [sid, addresses] of [
      [11, [`127.0.0.1:${dead}`]],
      [12, ['127.0.0.1', 'x:y', ':3', '127.0.0.1:99999']],
      [13, []],
    ] as const) {
      rig.call(() => rig.links.dial(sid, 'election', addresses))
      await rig.heard(new RegExp(`^failed ${sid} election`))
    }
    expect(rig.story).toHaveLength(3)
  })

  it('N8 goes on with the addresses that a name has left when another one cannot be resolved', async () => {
    const rig = await started({
      lookup: (host, got) =>
        setImmediate(() => (host === 'good.example' ? got(null, ['127.0.0.1']) : got(new Error('ENOTFOUND'), []))),
    })
    const other = await started()
    const port = other.links.boundPorts('election')[0]
    rig.call(() => rig.links.dial(2, 'election', [`gone.example:${port}`, `good.example:${port}`]))
    await rig.heard(/^open 1 2 election/)
    rig.call(() => rig.links.dial(3, 'election', [`gone.example:${port}`]))
    await rig.heard(/^failed 3 election/)
  })

  it('takes the first of several addresses that connects, and gives up the others', async () => {
    const rig = await started()
    const other = await started()
    const dead = await deadPort()
    rig.call(() => rig.links.dial(2, 'election', [`127.0.0.1:${dead}`, other.address(), other.address()]))
    await rig.heard(/^open/)
    await rig.join(other)
    expect(rig.story.filter((line) => /^(open|failed)/.test(line))).toHaveLength(2)
  })

  it('takes IPv6 addresses in brackets', () => {
    expect(parseAddress('[::1]:2888')).toEqual({ host: '::1', port: 2888 })
    expect(parseAddress('zoo1.example.org:2888')).toEqual({ host: 'zoo1.example.org', port: 2888 })
    for (const bad of ['zoo1', 'zoo1:', ':2888', 'zoo1:65536', '[]:1', 'zoo1:-1', 'zoo1:2 ']) {
      expect(parseAddress(bad)).toBeNull()
    }
  })

  it('is over when there is no answer in time, name service included', async () => {
    const rig = await started({ connectTimeoutMs: 30, lookup: () => {} })
    rig.call(() => rig.links.dial(4, 'learner', ['slow.example:2888']))
    expect(await rig.heard(/^failed/)).toBe('failed 4 learner')
  })
})

describe('names of members', () => {
  it('N8 are looked up anew each time, and keep their last addresses while the name service fails', async () => {
    const answers: (string[] | null)[] = [['10.0.0.1'], ['10.0.0.2', '10.0.0.3'], null]
    const names = new Names((_, got) => {
      const answer = answers.shift()!
      setImmediate(() => (answer === null ? got(new Error('EAI_AGAIN'), []) : got(null, answer)))
    })
    const ask = (host: string): Promise<string> =>
      new Promise((resolve) => names.resolve(host, (err, found) => resolve(err?.message ?? found.join())))
    expect(await ask('zoo2')).toBe('10.0.0.1')
    expect(await ask('zoo2')).toBe('10.0.0.2,10.0.0.3')
    expect(await ask('zoo2')).toBe('10.0.0.2,10.0.0.3')
    answers.push(null)
    expect(await ask('zoo3')).toBe('EAI_AGAIN')
    expect(await ask('10.1.1.1')).toBe('10.1.1.1')
  })

  it('are asked for once by all who want to know at the same time', async () => {
    let asked = 0
    const names = new Names((_, got) => {
      asked++
      setImmediate(() => got(null, ['10.0.0.1']))
    })
    const ask = (): Promise<void> => new Promise((resolve) => names.resolve('zoo2', () => resolve()))
    await Promise.all([ask(), ask(), ask()])
    expect(asked).toBe(1)
  })

  it('N8 go on with what is known when the name service takes long, and take its answer for the next time', async () => {
    const asked: ((addresses: string[]) => void)[] = []
    const names = new Names((_, got) => asked.push((addresses) => got(null, addresses)), 10)
    const ask = (): Promise<string> =>
      new Promise((resolve) => names.resolve('zoo2', (_, found) => resolve(found.join())))
    const first = ask()
    asked[0]!(['10.0.0.1'])
    expect(await first).toBe('10.0.0.1')
    expect(await ask()).toBe('10.0.0.1')
    asked[1]!(['10.0.0.9'])
    expect(await ask()).toBe('10.0.0.9')
  })
})

describe('listening', () => {
  it('starts to listen for elections only once its port is free, and gives up after the tries it was given', async () => {
    const { server, port } = await plainServer()
    const electionAddresses = [{ host: '127.0.0.1', port }]
    const failing = new Rig({ electionAddresses, bindTriesMax: 3, bindRetryMs: 10 })
    await expect(failing.links.start()).rejects.toThrow(
      new RegExp(`cannot listen on election address 127.0.0.1:${port}.*EADDRINUSE`),
    )
    expect(failing.logged.filter((line) => line.startsWith('warn'))).toHaveLength(1)

    const patient = new Rig({ electionAddresses, bindTriesMax: 0, bindRetryMs: 10 })
    const bound = patient.links.start()
    await until(() => patient.logged.length >= 4)
    server.close()
    await bound
    expect(patient.links.boundPorts('election')).toEqual([port])
  })

  it('is content with one of its own addresses, and takes the others when they can be had', async () => {
    const { server, port } = await plainServer()
    const rig = new Rig({
      electionAddresses: [
        { host: '127.0.0.1', port },
        { host: '127.0.0.1', port: 0 },
      ],
      bindRetryMs: 10,
    })
    await rig.links.start()
    expect(rig.links.boundPorts('election')).toHaveLength(1)
    server.close()
    await until(() => rig.links.boundPorts('election').length === 2)
  })

  it('opens the learner port when asked, closes it when asked, and has it again at once', async () => {
    const port = await deadPort()
    const rig = await started({ learnerAddresses: [{ host: '127.0.0.1', port }] })
    const other = await started()
    const dial = async (): Promise<string> => {
      const from = other.story.length
      other.call(() => other.links.dial(1, 'learner', [`127.0.0.1:${port}`]))
      return (await other.heard(/^(open|failed)/, from)).split(' ')[0]!
    }
    expect(await dial()).toBe('failed')
    rig.call(() => rig.links.listen('learner', true))
    await until(() => rig.links.boundPorts('learner').length === 1)
    expect(await dial()).toBe('open')
    const link = idOf(await rig.heard(/^accept \d+ learner/))
    rig.call(() => rig.links.listen('learner', false))
    expect(await dial()).toBe('failed')
    for (let i = 0; i < 5; i++) {
      rig.call(() => rig.links.listen('learner', true))
      rig.call(() => rig.links.listen('learner', false))
    }
    rig.call(() => rig.links.listen('learner', true))
    await until(() => rig.links.boundPorts('learner').length === 1)
    expect(await dial()).toBe('open')
    // A link that was accepted before lives as long as its core lets it.
    expect(rig.story).not.toContain(`close ${link}`)
  })

  it('opens the port for observers when asked, on its own, and tells its links from those of learners', async () => {
    const port = await deadPort()
    const rig = await started({ observerAddresses: [{ host: '127.0.0.1', port }] })
    const other = await started()
    rig.call(() => rig.links.listen('learner', true))
    await until(() => rig.links.boundPorts('learner').length === 1)
    expect(rig.links.boundPorts('observer')).toEqual([])
    rig.call(() => rig.links.listen('learner', false))
    rig.call(() => rig.links.listen('observer', true))
    await until(() => rig.links.boundPorts('observer').length === 1)
    expect(rig.links.boundPorts('learner')).toEqual([])
    other.call(() => other.links.dial(1, 'observer', [`127.0.0.1:${port}`]))
    await rig.heard(/^accept \d+ observer/)
    await other.heard(/^open \d+ 1 observer/)
  })

  it('takes a learner port that is still in use as soon as it is free', async () => {
    const { server, port } = await plainServer()
    const rig = await started({ learnerAddresses: [{ host: '127.0.0.1', port }] })
    rig.call(() => rig.links.listen('learner', true))
    await until(() => rig.logged.includes('warn cannot listen for other members'))
    server.close()
    await until(() => rig.links.boundPorts('learner').length === 1)
    expect(rig.links.boundPorts('learner')).toEqual([port])
  })

  it('moves to other addresses while it runs, and keeps those that stay', async () => {
    const [kept, left, taken] = [await deadPort(), await deadPort(), await deadPort()]
    const at = (port: number) => ({ host: '127.0.0.1', port })
    const rig = await started({ electionAddresses: [at(kept), at(left)] })
    await until(() => rig.links.boundPorts('election').length === 2)
    const client = plainClient(`127.0.0.1:${left}`)
    await rig.heard(/^accept 1/)
    rig.call(() => rig.links.setOwnAddresses([at(kept), at(taken)], [at(0)], []))
    await until(() => rig.links.boundPorts('election').length === 2)
    expect(rig.links.boundPorts('election').sort()).toEqual([kept, taken].sort())
    expect(client.destroyed).toBe(false)
    expect(rig.links.boundPorts('learner')).toEqual([])
  })

  it('listens on every address of the machine when it is told to', async () => {
    const port = await deadPort()
    const rig = await started({
      electionAddresses: [{ host: 'name.that.is.nobodys.example', port }],
      listenOnAllAddresses: true,
    })
    plainClient(`127.0.0.1:${port}`)
    plainClient(`127.0.0.2:${port}`)
    await rig.heard(/^accept 2/)
  })

  it('hears nothing more once it has stopped, and its ports are free', async () => {
    const port = await deadPort()
    const rig = await started({ electionAddresses: [{ host: '127.0.0.1', port }] })
    const client = plainClient(`127.0.0.1:${port}`)
    const closed = readAll(client)
    await rig.heard(/^accept/)
    rig.call(() => rig.links.dial(2, 'election', [`127.0.0.1:${port}`]))
    await rig.links.stop()
    await closed
    expect(rig.story).toEqual(['accept 1 election'])
    const next = await started({ electionAddresses: [{ host: '127.0.0.1', port }] })
    expect(next.links.boundPorts('election')).toEqual([port])
  })
})

/** Turns of the event loop until something holds; the test's own timeout ends a wait in vain. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1))
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
