/**
 * What a run of the command line client printed, made comparable: what differs from run to run by its nature (zxids,
 * session ids, times, ports) is replaced by marks that keep what is equal equal, events are told apart from the answers
 * between which their thread printed them, and the chatter of Java's loggers is left out.
 */

const loggers = [
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (ERROR|WARN|INFO) .*\n/gm,
  /^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M org\.jline\.utils\.Log logr\nWARNING: .*\n/gm,
]
/** Printed by two calls, between which another thread may print. */
const eventHead = /\nWATCHER::\n/g
const eventBody = /\nWatchedEvent (.*)\n/g
/** Events of goodbye race with the end of the process, and with the other end of the connection. */
const goodbye = /state:(Closed|Disconnected)/

const zxid = /(?<=[cmp]Zxid = 0x)[0-9a-f]+$/gm
const eventZxid = /(?<= zxid: )\d+$/
const owner = /(?<=^ephemeralOwner = 0x)(?!0$)[0-9a-f]+$/gm
const date = /\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]{3,4} (?!1970)\d{4}$/gm
const version = /(?<=^.*ZooKeeper CLI version: 3\.9\.5-).*$/gm
const configVersion = /(?<=^version=)[1-9a-f][0-9a-f]*$/gm
const clientVersion = /(?<=^(?:\[zk: .*\] )?)[1-9a-f][0-9a-f]{2,}(?= [\d.]+:)/gm

/** Whether a refused credential is heard of before or behind the next command is a race in Apache's client. */
const refusedInTime = /Sync has failed\. rc=-115/g
const refusedState = /\(AUTH_FAILED\)/g
/** Of hash sets in Java's server: paths in brackets, and who one is. */
const paths = /(?<=\[)\/[^\]\n]*(?=\]$)/gm
const identities = /(?<=Auth scheme: User\n)(\w+: .*\n)+/g

/** `run`: { code, out, err }; `names`: texts and the marks that stand for them; `isEvent`: which events count. */
export function normalise(run, names, isEvent = () => true) {
  const marks = new Map()
  const mark = (kind, value) => {
    const key = `${kind}${value}`
    if (!marks.has(key)) marks.set(key, `<${kind}${marks.size}>`)
    return marks.get(key)
  }
  const plain = (text) => {
    let result = text
    for (const pattern of loggers) result = result.replace(pattern, '')
    for (const [name, stands] of names) result = result.replaceAll(name, stands)
    return result
  }
  const events = []
  const out = plain(run.out)
    .replace(eventHead, '')
    .replace(eventBody, (_, event) => {
      events.push(event)
      return ''
    })
    .replace(zxid, (value) => mark('zxid', Number.parseInt(value, 16)))
    .replace(owner, (value) => mark('session', value))
    .replace(date, '<date>')
    .replace(paths, (list) => list.split(', ').sort().join(', '))
    .replace(identities, (lines) => lines.split('\n').sort().join('\n'))
    .replace(refusedInTime, 'Not connected')
    .replace(refusedState, '(CONNECTED)')
    .replace(version, '<version>')
    .replace(configVersion, (value) => mark('zxid', Number.parseInt(value, 16)))
    .replace(clientVersion, (value) => mark('zxid', Number.parseInt(value, 16)))
  return {
    code: run.code,
    out,
    err: plain(run.err),
    events: inOrder(events.filter((event) => !goodbye.test(event) && isEvent(event))).map((event) =>
      event.replace(eventZxid, (value) => mark('zxid', Number(value))),
    ),
  }
}

/** Watches removed together are told of in the order of an identity hash. */
function inOrder(events) {
  const ordered = []
  for (let at = 0; at < events.length; ) {
    let end = at + 1
    if (/WatchRemoved/.test(events[at])) while (end < events.length && /WatchRemoved/.test(events[end])) end++
    ordered.push(...events.slice(at, end).sort())
    at = end
  }
  return ordered
}

/** The first place where two transcripts differ, or null. */
export function difference(expected, got) {
  if (expected.code !== got.code) return `exit code ${got.code}, expected ${expected.code}`
  const pairs = [
    ['stdout', expected.out.split('\n'), got.out.split('\n')],
    ['stderr', expected.err.split('\n'), got.err.split('\n')],
    ['events', expected.events, got.events],
  ]
  for (const [name, want, have] of pairs) {
    const at = want.findIndex((line, i) => line !== have[i])
    if (at >= 0)
      return `${name} line ${at + 1}: ${JSON.stringify(have[at])}, expected ${JSON.stringify(want[at])}, behind ${JSON.stringify(want.slice(Math.max(0, at - 3), at))}`
    if (have.length > want.length) return `${name} goes on: ${JSON.stringify(have[want.length])}`
  }
  return null
}
