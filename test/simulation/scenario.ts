/**
 * Named scenarios as text: commands, a line `----`, and what they print. A file holds several, an empty line between;
 * the comment ahead of the commands is the title, and begins with the ids of faults-and-security.md it stands for.
 *
 *   ensemble 3 [observers 1] [reconfig] [snapCount 10] [commitLog 5] [set KEY=VALUE]...   first, where not 3 voters
 *   start 1 2 3       kill 1      power 1      pause 1      resume 1       stop, lose power, SIGSTOP, SIGCONT
 *   power 2 at|after STEP [NAME]     in the disk call STEP (write, sync, rename, ...) on a file like NAME, or behind it
 *   disk 1 slow MS | full | broken STEP | sound | empty | of 2 (a copy)
 *   list 1            its zoo.cfg is written anew and has all servers
 *   damage 1 log|snapshot    flips a bit while it is down       repair 1     as zoowarden repair
 *   partition 3 | 1 2     cut 1 2     mend 1 2     heal     break 1 2     half 1 2     delay 1 2 MS     name 1 gone|back
 *   clock 1 SECONDS       moves a wall clock        promise 1 EPOCH     it has accepted an epoch that was never begun
 *   elect [3]         waits for an established leader      follow 1 2      waits for these to be established
 *   fail 1            waits for this member to end by itself       aside 1     ... to step aside
 *   client a [at 1] [timeout MS]     move a [to 2]     leave a (without a word)     close a
 *   write /a [x] [by a] | ephemeral | sequential | container | ttl /a MS | delete /a | multi /a /b
 *   read /a | exists /a | children /a | watch /a
 *   begin ...         the same without waiting for the answer, which `answers` prints later
 *   sync [by a]       reconfig add N [observer] [at other ports] | remove N [by a]
 *   run MS            settle: all that run are established, have delivered the same, and agree with the checkers
 *   show roles|log|tree|epochs|syncs|sessions|files 1
 *
 * Every checker of the seeded runs looks on here as well.
 */

import { CreateMode } from '../../src/jute/codes.ts'
import { Input } from '../../src/jute/input.ts'
import * as records from '../../src/jute/records.ts'
import { counterOf, epochOf } from '../../src/jute/zxid.ts'
import { checkMember } from './checkers/end.ts'
import type { Client } from './client.ts'
import { copyData, damage, repair } from './damage.ts'
import { Failure } from './failure.ts'
import { CONFIG_FILE, type Machine } from './machine.ts'
import type { Operation, Reply } from './wire.ts'
import { World } from './world.ts'

export interface Scenario {
  readonly file: string
  readonly title: string
  readonly commands: readonly string[]
  readonly expected: string
}

export interface Outcome {
  readonly printed: string
  readonly story: readonly string[]
  readonly failure: Failure | null
}

const MS = 1000
const WAIT_MS = 8000
const LOST = 'connection lost'

export function parseScenarios(file: string, text: string): Scenario[] {
  return text
    .split(/\n\s*\n(?=#)/)
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const [above, below = ''] = part.trim().split(/\n?----\n?/)
      const lines = above!.split('\n')
      const title = lines.filter((line) => line.startsWith('#')).map((line) => line.slice(1).trim())
      const commands = lines.filter((line) => !line.startsWith('#') && line.trim() !== '')
      return { file, title: title.join(' '), commands, expected: below.trimEnd() }
    })
}

/** As it stands in a file, with other output. */
export function formatScenario(scenario: Scenario, printed: string): string {
  return `${wrap(scenario.title)}${scenario.commands.join('\n')}\n----\n${printed}`
}

function wrap(title: string): string {
  let text = ''
  let line = '#'
  for (const word of title.split(' ')) {
    if (line.length + word.length + 1 > 110) {
      text += `${line}\n`
      line = '#'
    }
    line += ` ${word}`
  }
  return `${text}${line}\n`
}

export async function playScenario(scenario: Scenario, keepStory: boolean): Promise<Outcome> {
  const stage = new Stage(scenario, keepStory)
  let failure: Failure | null = null
  try {
    for (const command of scenario.commands) await stage.play(command)
  } catch (err) {
    if (!(err instanceof Failure)) throw err
    failure = err
    stage.print(`FAILURE ${err.message}`)
  }
  return { printed: stage.printed.join('\n'), story: stage.world.story.lines, failure }
}

class Stage {
  readonly world: World
  readonly printed: string[]
  private readonly clients: Map<string, Client>
  private readonly pending: { text: string; answer: string | null }[]

  constructor(scenario: Scenario, keepStory: boolean) {
    const first = scenario.commands[0]?.split(' ') ?? []
    const words = first[0] === 'ensemble' ? first : ['ensemble', '3']
    const number = (name: string, otherwise: number): number => {
      const at = words.indexOf(name)
      return at < 0 ? otherwise : Number(words[at + 1])
    }
    const settings = words.flatMap((word, i) => (words[i - 1] === 'set' ? [word] : []))
    let seed = 7
    for (const char of scenario.title) seed = (Math.imul(seed, 31) + char.charCodeAt(0)) >>> 0
    this.world = new World({
      seed,
      voters: Number(words[1]),
      observers: number('observers', 0),
      snapCount: number('snapCount', 1000),
      commitLogCount: number('commitLog', 500),
      reconfigEnabled: words.includes('reconfig'),
      settings: ['fastleader.maxNotificationInterval=2000', ...settings].join('\n'),
      keepStory,
    })
    this.printed = []
    this.clients = new Map()
    this.pending = []
  }

  print(line: string): void {
    this.printed.push(line.trimEnd())
  }

  async play(command: string): Promise<void> {
    const { world } = this
    const words = command.trim().split(/\s+/)
    const [verb, ...rest] = words
    world.story.tell('', `> ${command}`)
    switch (verb) {
      case 'ensemble':
        return
      case 'start':
        for (const machine of this.machines(rest)) machine.start()
        break
      case 'kill':
        for (const machine of this.machines(rest)) machine.kill()
        break
      case 'power':
        if (rest[1] === 'at' || rest[1] === 'after') this.powerAt(this.machine(rest[0]!), rest.slice(1))
        else for (const machine of this.machines(rest)) machine.powerOff()
        break
      case 'pause':
        for (const machine of this.machines(rest)) machine.pause()
        break
      case 'resume':
        for (const machine of this.machines(rest)) machine.resume()
        break
      case 'disk':
        this.disk(this.machine(rest[0]!), rest.slice(1))
        break
      case 'damage':
        damage(this.machine(rest[0]!), rest[1]!)
        // What it had may be gone; that it does not vote with less is for the scenario to see.
        if (rest[1] === 'log') world.observer.history.wiped(Number(rest[0]))
        break
      case 'list': {
        const machine = this.machine(rest[0]!)
        const lines = [...world.machines.keys()].map((sid) => world.serverLine(sid, true))
        machine.disk.put(CONFIG_FILE, new TextEncoder().encode(world.zooCfg(lines.join('\n'))))
        break
      }
      case 'repair':
        await this.work(this.machine(rest[0]!), repair)
        break
      case 'partition':
        this.partition(rest)
        break
      case 'cut':
        world.fabric.cut(`s${rest[0]}`, `s${rest[1]}`)
        break
      case 'mend':
        world.fabric.mend(`s${rest[0]}`, `s${rest[1]}`)
        break
      case 'heal':
        world.fabric.mendAll()
        break
      case 'break':
        world.fabric.breakStreams(`s${rest[0]}`, `s${rest[1]}`)
        break
      case 'half':
        world.fabric.breakStreams(`s${rest[0]}`, `s${rest[1]}`, true)
        break
      case 'delay':
        world.fabric.delay(`s${rest[0]}`, `s${rest[1]}`, Number(rest[2]) * MS)
        break
      case 'name':
        if (rest[1] === 'gone') world.fabric.names.set(`s${rest[0]}`, null)
        else world.fabric.names.delete(`s${rest[0]}`)
        break
      case 'promise':
        await this.work(this.machine(rest[0]!), (machine) => machine.promise(Number(rest[1])))
        break
      case 'clock':
        this.machine(rest[0]!).wallOffsetMs += Number(rest[1]) * 1000
        break
      case 'run':
        await this.run(Number(rest[0]))
        break
      case 'elect':
        await this.elect(rest[0] ?? null)
        break
      case 'follow':
        await this.until(`${command}: not established`, () =>
          this.machines(rest).every((machine) => machine.member?.zab.established === true),
        )
        break
      case 'fail': {
        const machine = this.machine(rest[0]!)
        await this.until(`${command}: it goes on`, () => !machine.up)
        this.print(`${machine.sid} has ended: ${machine.endedBy?.message ?? 'killed'}`)
        break
      }
      case 'aside': {
        const machine = this.machine(rest[0]!)
        await this.until(`${command}: it serves on`, () => machine.asideFor !== null && machine.member === null)
        this.print(`${machine.sid} has stepped aside: ${machine.asideFor}`)
        break
      }
      case 'settle':
        await this.settle()
        break
      case 'client':
        await this.openClient(rest)
        break
      case 'move':
        await this.move(this.client(rest[0]!), rest[2] ?? null)
        break
      case 'leave':
        this.client(rest[0]!).stop()
        break
      case 'show':
        this.show(rest)
        break
      case 'answers':
        this.answers()
        break
      case 'begin':
        this.begin(rest)
        break
      default:
        await this.ask(words)
    }
    world.observer.leadership.look()
  }

  // ------------------------------------------------------------------ waiting

  private async run(ms: number): Promise<void> {
    await this.world.run(this.world.timeline.nowUs + ms * MS)
  }

  private async until(what: string, condition: () => boolean, ms = WAIT_MS): Promise<void> {
    const { world } = this
    if (!(await world.run(world.timeline.nowUs + ms * MS, condition))) throw new Failure('liveness', 'I10', what)
  }

  private async elect(sid: string | null): Promise<void> {
    const { world } = this
    const usable = (machine: Machine | null): boolean =>
      machine !== null && !machine.paused && world.observer.quorum!.containsQuorum(world.within(machine.sid))
    await this.until('no leader', () => usable(world.leader()))
    const leader = world.leader()!
    if (sid !== null && leader.sid !== Number(sid)) this.print(`elected ${leader.sid}, not ${sid}`)
  }

  private async settle(): Promise<void> {
    const { world } = this
    const up = [...world.machines.values()].filter((machine) => machine.up)
    await this.until('settle: they do not agree', () => {
      const leader = world.leader()?.member?.zab
      return (
        leader !== undefined &&
        up.every(
          ({ sid, member }) =>
            member?.zab.established === true &&
            member.zab.currentEpoch === leader.currentEpoch &&
            world.observer.history.record(sid).delivered === world.model.zxidLast,
        )
      )
    })
    for (const machine of up) checkMember(machine, world.model)
  }

  // ------------------------------------------------------------------ machines

  private machine(word: string): Machine {
    const sid = Number(word)
    const known = this.world.machines.get(sid)
    if (known !== undefined) return known
    // One that joins: its own file lists it beside those that are there.
    const { world } = this
    const lines = [...world.machines.keys()].map((each) => world.serverLine(each, true))
    return world.addMachine(sid, [...lines, world.serverLine(sid, false)].join('\n'))
  }

  private machines(words: readonly string[]): Machine[] {
    return words.map((word) => this.machine(word))
  }

  private powerAt(machine: Machine, [when, step, name = '']: readonly string[]): void {
    let done = false
    machine.disk.fault = (call, path) => {
      if (done || call !== step || !path.includes(name)) return null
      done = true
      if (when === 'after') this.world.timeline.after(0, () => machine.powerOff())
      else machine.powerOff()
      return null
    }
  }

  private disk(machine: Machine, [what, more]: readonly string[]): void {
    const { disk } = machine
    if (what === 'slow') disk.syncDelayUs = Number(more) * MS
    else if (what === 'full') disk.capacityBytes = disk.usedBytes
    else if (what === 'broken') {
      let left = 1
      disk.fault = (step) => (step === more && left-- > 0 ? 'EIO' : null)
    } else if (what === 'of') {
      copyData(this.machine(more!), machine)
      this.world.observer.history.wiped(machine.sid)
    } else if (what === 'empty') {
      disk.removeBelow('/data/version-2')
      this.world.observer.history.wiped(machine.sid)
    } else {
      disk.syncDelayUs = 0
      disk.capacityBytes = Number.POSITIVE_INFINITY
      disk.fault = () => null
    }
  }

  /** On the files of one that is down. */
  private async work(machine: Machine, run: (machine: Machine) => Promise<void>): Promise<void> {
    let done = false
    const work = run(machine).then(() => {
      done = true
    })
    machine.around.stir()
    await this.until('its disk does not answer', () => done)
    await work
  }

  private partition(words: readonly string[]): void {
    const sides: string[][] = [[]]
    for (const word of words) {
      if (word === '|') sides.push([])
      else sides.at(-1)!.push(`s${word}`)
    }
    for (const a of sides) {
      for (const b of sides) if (a !== b) for (const from of a) for (const to of b) this.world.fabric.cut(from, to)
    }
  }

  // ------------------------------------------------------------------ clients

  private client(name: string): Client {
    const client = this.clients.get(name)
    if (client === undefined) throw new Error(`no client ${name}`)
    return client
  }

  private async openClient(words: readonly string[]): Promise<void> {
    const after = (word: string): string | null => words[words.indexOf(word) + 1] ?? null
    const timeoutMs = words.includes('timeout') ? Number(after('timeout')) : 4000
    const client = this.world.addClient(timeoutMs)
    this.clients.set(words[0]!, client)
    if (words.includes('at')) client.stays = `s${after('at')}`
    client.start()
    await this.until(`client ${words[0]}: no session`, () => client.state === 'open')
  }

  private async move(client: Client, to: string | null): Promise<void> {
    client.stays = to === null ? null : `s${to}`
    client.move(client.stays)
    await this.until('move: no session', () => client.state === 'open')
  }

  private byWhom(words: readonly string[]): { words: string[]; client: Client } {
    const at = words.indexOf('by')
    if (at < 0) {
      const first = [...this.clients.values()][0]
      if (first === undefined) throw new Error(`${words.join(' ')}: no client`)
      return { words: [...words], client: first }
    }
    return { words: words.slice(0, at), client: this.client(words[at + 1]!) }
  }

  private operation(words: readonly string[]): Operation {
    const [verb, path = '/', value = 'x'] = words
    const data = new TextEncoder().encode(value)
    switch (verb) {
      case 'write': {
        const there = this.world.model.node(path) !== null
        if (there) return { op: 'setData', path, data, version: -1 }
        return { op: 'create', path, data, flags: CreateMode.persistent }
      }
      case 'create':
        return { op: 'create', path, data, flags: CreateMode.persistent }
      case 'container':
        return { op: 'create', path, data, flags: CreateMode.container }
      case 'ttl':
        return { op: 'create', path, data, flags: CreateMode.persistentWithTTL, ttlMs: Number(value) }
      case 'set':
        return { op: 'setData', path, data, version: words[3] === undefined ? -1 : Number(words[3]) }
      case 'ephemeral':
        return { op: 'create', path, data, flags: CreateMode.ephemeral }
      case 'sequential':
        return { op: 'create', path, data, flags: CreateMode.persistentSequential }
      case 'delete':
        return { op: 'delete', path, version: -1 }
      case 'multi':
        return {
          op: 'multi',
          writes: words.slice(1).map((each) => ({ op: 'create', path: each, data, flags: CreateMode.persistent })),
        }
      case 'read':
        return { op: 'getData', path, watch: false }
      case 'watch':
        return { op: 'exists', path, watch: true }
      case 'exists':
        return { op: 'exists', path, watch: false }
      case 'children':
        return { op: 'getChildren', path, watch: false }
      case 'sync':
        return { op: 'sync', path: '/' }
      case 'close':
        return { op: 'closeSession' }
      case 'reconfig': {
        if (words[1] === 'remove') return { op: 'reconfig', joining: null, leaving: words[2]! }
        const shift = words.includes('ports') ? 10 : 0
        const joining = this.world.serverLine(Number(words[2]), words[3] !== 'observer', shift)
        return { op: 'reconfig', joining, leaving: null }
      }
      default:
        throw new Error(`no command ${words.join(' ')}`)
    }
  }

  /** Waits for a connection, then for the answer. A request that changes nothing is sent again where that broke. */
  private async ask(given: readonly string[]): Promise<void> {
    const { world } = this
    const command = given[0] === 'close' ? ['close', 'by', given[1] ?? 'a'] : given
    const { client, words } = this.byWhom(command)
    const untilUs = world.timeline.nowUs + WAIT_MS * MS
    const again = ['read', 'exists', 'children', 'sync'].includes(words[0]!)
    let answer: string | null = null
    do {
      await world.run(untilUs, () => client.state === 'open')
      const entry = this.begin(command)
      await world.run(untilUs, () => entry.answer !== null)
      this.pending.splice(this.pending.indexOf(entry), 1)
      answer = entry.answer
    } while (again && answer === LOST && world.timeline.nowUs < untilUs)
    // An answer that says no more than that all went well is not worth a line.
    if (answer !== 'ok') this.print(`${given.join(' ')}: ${answer ?? 'no answer'}`)
  }

  private begin(command: readonly string[]): { text: string; answer: string | null } {
    const { words, client } = this.byWhom(command)
    const entry: { text: string; answer: string | null } = { text: command.join(' '), answer: null }
    this.pending.push(entry)
    const operation = this.operation(words)
    const sent = client.ask(operation, (reply) => {
      entry.answer = reply === null ? LOST : answerText(operation, reply)
    })
    if (!sent) entry.answer = 'not connected'
    return entry
  }

  private answers(): void {
    for (const { text, answer } of this.pending.splice(0)) this.print(`${text}: ${answer ?? 'no answer'}`)
  }

  // ------------------------------------------------------------------ showing

  private show([what, sid]: readonly string[]): void {
    const { world } = this
    for (const machine of world.machines.values()) {
      if (sid !== undefined && machine.sid !== Number(sid)) continue
      const record = world.observer.history.record(machine.sid)
      const zab = machine.member?.zab
      const head = `${machine.sid}:`
      switch (what) {
        case 'roles':
          this.print(`${head} ${zab === undefined ? 'down' : zab.established ? zab.role : `${zab.role}, not yet`}`)
          break
        case 'log':
          this.print(
            `${head} ${record.log
              .map((zxid) => this.entryText(zxid))
              .filter(Boolean)
              .join('  ')}`.trimEnd(),
          )
          break
        case 'epochs':
          this.print(`${head} accepted ${record.acceptedEpoch}, current ${record.currentEpoch}`)
          break
        case 'tree':
          this.print(`${head} ${machine.member === null ? 'down' : this.treeText(machine)}`)
          break
        case 'syncs':
          this.print(`${head} ${world.observer.syncText(machine.sid)}`)
          break
        case 'sessions':
          this.print(`${head} ${machine.member?.state.sessions.size ?? 'down'}`)
          break
        case 'files':
          this.print(`${head} ${machine.disk.names('/data/version-2').join(' ')}`)
          break
        default:
          throw new Error(`show ${what}`)
      }
    }
  }

  private entryText(zxid: number): string {
    const bytes = this.world.observer.history.proposal(zxid)
    const input = new Input(bytes)
    const { type } = records.readTxnHeader(input)
    const place = `${epochOf(zxid)}/${counterOf(zxid)}`
    if (type === 1 || type === 15 || type === 19) return `${place} ${records.readCreateTxn(input).path}`
    if (type === 5) return `${place} ${records.readSetDataTxn(input).path}`
    if (type === 2 || type === 20) return `${place} -${records.readDeleteTxn(input).path}`
    if (type === 14) return `${place} multi`
    if (type === 16) return `${place} reconfig`
    if (type === -11) return `${place} close`
    return ''
  }

  private treeText(machine: Machine): string {
    const { tree } = machine.member!.state
    const paths: string[] = []
    tree.forEachDescendant(tree.find(new Uint8Array([0x2f]), 0, 1), (node) => {
      const path = new TextDecoder().decode(tree.pathOf(node))
      if (path !== '/' && !path.startsWith('/zookeeper')) {
        paths.push(`${path}=${new TextDecoder().decode(tree.dataOf(node) ?? new Uint8Array(0))}`)
      }
    })
    return paths.sort().join(' ')
  }
}

function answerText(operation: Operation, { err, body, bodyOff }: Reply): string {
  if (err !== 0) return ERRORS[err] ?? `error ${err}`
  const input = new Input(body.buf, bodyOff, body.end)
  switch (operation.op) {
    case 'getData':
      return new TextDecoder().decode(records.readGetDataResponse(input).data ?? new Uint8Array(0))
    case 'getChildren':
      return `[${(records.readGetChildren2Response(input).children ?? []).sort().join(' ')}]`
    case 'exists':
      return 'there'
    default:
      return 'ok'
  }
}

const ERRORS: Readonly<Record<number, string>> = {
  [-13]: 'no quorum of the new configuration',
  [-14]: 'another reconfiguration is in progress',
  [-101]: 'no node',
  [-103]: 'bad version',
  [-110]: 'node exists',
  [-112]: 'session expired',
  [-118]: 'session moved',
  [-119]: 'not in read-only mode',
}
