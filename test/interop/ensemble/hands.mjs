/**
 * The Java client in a process of its own, driven from here: `await hands.do('create', 'a', '/x', 'data', 'PERSISTENT')`.
 * Verbs and answers: java/EnsembleClient.java.
 */
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { javaFlags, runToEnd, signalGroup, startGroup } from '../process.mjs'

const here = join(dirname(fileURLToPath(import.meta.url)), 'java')
const ANSWER_MS = 90_000

/** A request that the server refused: `code` is KeeperException's name for it. */
export class Refused extends Error {
  constructor(verb, args, code) {
    super(`${verb} ${args.join(' ')}: ${code}`)
    this.code = code
  }
}

export class Hands {
  /** Compiles and starts the program; `lib` holds the client's jars. */
  static async start(lib, workDir) {
    const sources = readdirSync(here).filter((file) => file.endsWith('.java'))
    await runToEnd('javac', ['-nowarn', '-d', workDir, '-cp', join(lib, '*'), ...sources.map((f) => join(here, f))])
    const classpath = [workDir, join(here, '..', '..'), join(lib, '*')].join(':')
    return new Hands(startGroup('java', [...javaFlags, '-cp', classpath, 'EnsembleClient'], { stdio: 'pipe' }))
  }

  constructor(child) {
    this.child = child
    this.waiting = new Map()
    this.events = [] // {client, what}, in the order they came
    this.listeners = new Set()
    this.nextId = 1
    this.noise = ''
    child.stderr.on('data', (chunk) => {
      this.noise = (this.noise + chunk).slice(-4000)
    })
    child.stdin.on('error', () => {})
    createInterface({ input: child.stdout }).on('line', (line) => this.onLine(line))
    child.on('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the Java client ended: ${this.noise}`))
      this.waiting.clear()
    })
  }

  onLine(line) {
    const [id, kind, ...rest] = line.split('\t')
    if (id === 'event') {
      this.events.push({ client: kind, what: rest.join('\t') })
      for (const listener of this.listeners) listener()
      return
    }
    const waiter = this.waiting.get(id)
    this.waiting.delete(id)
    if (kind === 'ok') waiter.resolve(rest.join('\t').replaceAll('\\n', '\n'))
    else waiter.reject(new Refused(waiter.verb, waiter.args, rest.join('\t')))
  }

  do(verb, ...args) {
    return new Promise((resolve, reject) => {
      const id = String(this.nextId++)
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(new Error(`${verb} ${args.join(' ')}: no answer from the Java client within ${ANSWER_MS} ms`))
      }, ANSWER_MS)
      const settle = (done) => (value) => {
        clearTimeout(timer)
        done(value)
      }
      this.waiting.set(id, { verb, args, resolve: settle(resolve), reject: settle(reject) })
      this.child.stdin.write(`${[id, verb, ...args].join('\t')}\n`)
    })
  }

  /** The code with which the server refuses this, or 'ok'. */
  async codeOf(verb, ...args) {
    try {
      await this.do(verb, ...args)
      return 'ok'
    } catch (error) {
      if (error instanceof Refused) return error.code
      throw error
    }
  }

  forgetEvents() {
    this.events = []
  }

  countEvents(client, what) {
    return this.events.filter((event) => event.client === client && event.what === what).length
  }

  /** Resolves once the event has come, now or earlier. */
  awaitEvent(client, what, withinMs = 30_000) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.countEvents(client, what) === 0) return
        finish()
        resolve()
      }
      const timer = setTimeout(() => {
        finish()
        const seen = this.events.filter((event) => event.client === client).map((event) => event.what)
        reject(new Error(`event "${what}" of ${client} did not come within ${withinMs} ms; seen: ${seen.join(', ')}`))
      }, withinMs)
      const finish = () => {
        clearTimeout(timer)
        this.listeners.delete(look)
      }
      this.listeners.add(look)
      look()
    })
  }

  end() {
    signalGroup(this.child, 'SIGKILL')
  }
}
