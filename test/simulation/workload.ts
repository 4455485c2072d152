/**
 * What clients of a seeded run do: sessions that read, write, watch, move, close and begin anew, over a few paths that
 * all of them share, so that conditional writes meet.
 */

import { CreateMode } from '../../src/jute/codes.ts'
import type { Client } from './client.ts'
import type { Random } from './random.ts'
import type { Operation, Write } from './wire.ts'
import type { World } from './world.ts'

export interface WorkloadOptions {
  clients: number
  /** Requests in flight per client. */
  depth: number
  /** Between two requests of a client, about, in ms. */
  thinkMs: number
  sessionTimeoutMs: number
}

const REGISTERS = ['/r0', '/r1', '/r2']
const PAIR = ['/m0', '/m1']
const FOLDER = '/d'

export class Workload {
  private readonly world: World
  private readonly options: WorkloadOptions
  private running: boolean
  private serial: number

  constructor(world: World, options: WorkloadOptions) {
    this.world = world
    this.options = options
    this.running = true
    this.serial = 0
  }

  start(): void {
    for (let i = 0; i < this.options.clients; i++) {
      const client = this.world.addClient(this.options.sessionTimeoutMs)
      client.onReady = () => this.think(client)
      client.start()
    }
  }

  /** No more requests but those that are waited for. */
  stop(): void {
    this.running = false
  }

  private think(client: Client): void {
    const { random } = client
    const us = random.between(0, this.options.thinkMs * 2000)
    this.world.timeline.after(us, () => client.input(() => this.act(client)))
  }

  private act(client: Client): void {
    if (!this.running || client.state !== 'open' || client.outstanding.length >= this.options.depth) return
    const { random } = client
    if (random.chance(0.01)) {
      client.move(null)
      return
    }
    if (random.chance(0.004)) {
      client.ask({ op: 'closeSession' })
      return
    }
    if (random.chance(0.004)) {
      client.abandon()
      return
    }
    client.ask(this.draw(random))
    if (client.outstanding.length < this.options.depth && random.chance(0.5)) this.think(client)
  }

  private value(): Uint8Array {
    return new TextEncoder().encode(`v${++this.serial}`)
  }

  private version(random: Random, path: string): number {
    if (random.chance(0.4)) return -1
    // Right now and then, and at times out of date by one.
    const node = this.world.model.node(path)
    return Math.max(0, (node?.version ?? 0) - (random.chance(0.2) ? 1 : 0))
  }

  private draw(random: Random): Operation {
    const kind = random.weighted({
      set: 20,
      create: 12,
      delete: 8,
      get: 16,
      exists: 8,
      children: 8,
      sequential: 6,
      ephemeral: 6,
      multi: 8,
      sync: 4,
      addWatch: 1,
      container: 2,
      below: 2,
      ttl: 3,
    })
    const register = random.pick(REGISTERS)
    switch (kind) {
      case 'set':
        return { op: 'setData', path: register, data: this.value(), version: this.version(random, register) }
      case 'create': {
        const path = random.pick([...REGISTERS, ...PAIR, FOLDER, FOLDER])
        return { op: 'create', path, data: this.value(), flags: CreateMode.persistent }
      }
      case 'delete': {
        const path = this.someChild(random) ?? register
        return { op: 'delete', path, version: random.chance(0.7) ? -1 : this.version(random, path) }
      }
      case 'get':
        return { op: 'getData', path: random.pick([...REGISTERS, ...PAIR]), watch: random.chance(0.4) }
      case 'exists':
        return {
          op: 'exists',
          path: random.pick([...REGISTERS, `${FOLDER}/e1`, `${FOLDER}/e2`]),
          watch: random.chance(0.5),
        }
      case 'children':
        return { op: 'getChildren', path: FOLDER, watch: random.chance(0.4) }
      case 'sequential': {
        const flags = random.pick([CreateMode.persistentSequential, CreateMode.ephemeralSequential])
        return { op: 'create', path: `${FOLDER}/s`, data: this.value(), flags }
      }
      case 'ephemeral':
        return {
          op: 'create',
          path: `${FOLDER}/e${random.between(1, 4)}`,
          data: this.value(),
          flags: CreateMode.ephemeral,
        }
      case 'multi':
        return { op: 'multi', writes: this.multi(random) }
      case 'sync':
        return { op: 'sync', path: '/' }
      case 'addWatch':
        return { op: 'addWatch', path: random.pick([FOLDER, register]), recursive: random.chance(0.5) }
      case 'container':
        return { op: 'create', path: `/c${random.int(2)}`, data: null, flags: CreateMode.container }
      case 'below': {
        // In a container, or in a znode with a TTL: neither goes while it has children.
        const path = `${random.pick(['/c0', '/c1', '/t0', '/t1'])}/x`
        if (random.chance(0.5)) return { op: 'delete', path, version: -1 }
        return { op: 'create', path, data: null, flags: CreateMode.persistent }
      }
      case 'ttl':
        return this.ttl(random)
    }
  }

  private someChild(random: Random): string | null {
    if (random.chance(0.4)) return null
    const { model } = this.world
    const names = model.children(FOLDER, model.zxidLast)
    return names.length === 0 ? null : `${FOLDER}/${random.pick(names)}`
  }

  private ttl(random: Random): Write {
    const flags = CreateMode.persistentWithTTL
    return { op: 'create', path: `/t${random.int(2)}`, data: this.value(), flags, ttlMs: random.between(1, 400) }
  }

  private multi(random: Random): Write[] {
    const data = this.value()
    switch (random.int(4)) {
      case 0:
        // Both, or neither.
        return PAIR.map((path) => ({ op: 'setData', path, data, version: -1 }))
      case 1: {
        const register = random.pick(REGISTERS)
        return [
          { op: 'check', path: register, version: this.version(random, register) },
          { op: 'setData', path: register, data, version: -1 },
          { op: 'create', path: `${FOLDER}/m`, data, flags: CreateMode.persistentSequential },
        ]
      }
      case 2:
        return [{ op: 'setData', path: PAIR[0]!, data, version: -1 }, this.ttl(random)]
      default: {
        const first = random.int(3)
        return [
          { op: 'create', path: `${FOLDER}/x${first}`, data, flags: CreateMode.ephemeral },
          { op: 'delete', path: `${FOLDER}/x${(first + 1) % 3}`, version: -1 },
        ]
      }
    }
  }
}
