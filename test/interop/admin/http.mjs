/** HTTP requests as scripts make them, and what is compared of the answers. */
import { request } from 'node:http'

/** @returns {Promise<{status: number, type: string, headers: object, body: Buffer}>} */
export function http(port, path, { method = 'GET', headers = {}, body = null, withinMs = 20_000 } = {}) {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('end', () => {
        const type = res.headers['content-type'] ?? ''
        resolve({ status: res.statusCode, type, headers: res.headers, body: Buffer.concat(chunks) })
      })
      res.on('error', reject)
    })
    req.setTimeout(withinMs, () => req.destroy(new Error(`${method} ${path}: no answer within ${withinMs} ms`)))
    req.on('error', reject)
    req.end(body)
  })
}

/** Keys and types, whatever the values: ids and addresses, where they are keys, are all one. */
export function shapeOf(value) {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  const entries = Object.entries(value).map(([key, item]) => [/^\d+$|^\//.test(key) ? '<id>' : key, shapeOf(item)])
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** As text that a difference can be seen in. */
export function shapeText(answer) {
  const kind = answer.type.split(';')[0]
  if (kind !== 'application/json') return `${answer.status} ${kind}`
  return `${answer.status} ${kind} ${JSON.stringify(shapeOf(JSON.parse(answer.body)))}`
}

/** Families by name: type, suffixes and names of labels of the samples. */
export function familiesOf(text) {
  const families = new Map()
  for (const line of text.split('\n')) {
    const typed = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (typed) families.set(typed[1], `${typed[2]}`)
  }
  return families
}

/** Samples as `name{label names}`. */
export function samplesOf(text) {
  const samples = new Set()
  for (const line of text.split('\n')) {
    const sample = /^([a-z]\w*)(?:\{(.*)\})? \S+$/.exec(line)
    if (!sample) continue
    const labels = [...(sample[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)]
    samples.add(`${sample[1]}{${labels.map(([, key, value]) => (key === 'quantile' ? `${key}=${value}` : key))}}`)
  }
  return samples
}
