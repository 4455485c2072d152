/**
 * The program's side of the line protocol with the runner, and what the checks share.
 */
import { createInterface } from 'node:readline'

export const server = process.env.ZW_SERVER
export const relay = process.env.ZW_RELAY
const timeoutMs = 30_000
const checkTimeoutMs = 90_000

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
let count = 0

/** Has the runner act on the server and returns when that is done. */
export async function ask(what) {
  console.log(`ask ${what}`)
  const { value } = await answers.next()
  if (value !== 'done') throw new Error(`the runner said ${value}`)
}

export async function check(name, body) {
  count++
  console.log(`begin ${name}`)
  try {
    await inTime(body(), checkTimeoutMs, 'the check')
    console.log(`ok ${name}`)
  } catch (error) {
    const at = [...String(error.stack).matchAll(/main\.mjs:\d+/g)].join(' ')
    console.log(`not ok ${name} :: ${String(error.message).replaceAll('\n', ' ')} at ${at}`)
  }
}

export function finish() {
  console.log(`end ${count}`)
  process.exit(0)
}

function inTime(promise, ms, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export function equal(expected, got, what) {
  const [a, b] = [JSON.stringify(expected), JSON.stringify(got)]
  if (a !== b) throw new Error(`${what}: expected <${a}>, got <${b}>`)
}

/** The call is refused with this error name. */
export async function fails(name, promise) {
  const got = await promise.then(
    () => 'success',
    (error) => error.name,
  )
  equal(name, got, 'error')
}

/** Calls `method` of `target` with a callback behind `args`; the results as a list. */
export function call(target, method, ...args) {
  const answer = new Promise((resolve, reject) => {
    target[method](...args, (error, ...results) => (error ? reject(error) : resolve(results)))
  })
  return inTime(answer, timeoutMs, `${method} ${args[0]}`)
}

/** Things that were heard, in the order of their coming. */
export class Heard {
  constructor() {
    this.list = []
    this.wake = () => {}
  }

  add(text) {
    this.list.push(text)
    this.wake()
  }

  async next() {
    if (this.list.length === 0) {
      const woken = new Promise((resolve) => {
        this.wake = resolve
      })
      await inTime(woken, timeoutMs, 'the next event')
    }
    return this.list.shift()
  }

  async expect(text) {
    equal(text, await this.next(), 'event')
  }

  /** Skips what comes before. */
  async await(text) {
    while ((await this.next()) !== text);
  }
}
