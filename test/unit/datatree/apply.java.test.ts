import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Rig } from './rig.ts'

/** Seeds of the scripts: plain writes; strays of a replay and habits of old servers; strays alone. */
const SCRIPTS = [61, 62, 63]

function fixture(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`./fixtures/java-3.9.5.apply.${name}.gz`, import.meta.url)))
}

/** The events of a transaction with those of one trigger in the order of connections, which Java leaves open. */
function inOrder(events: string[]): string[] {
  const sorted: string[] = []
  const run: string[] = []
  const what = (event: string | undefined) => event?.slice(event.indexOf(' '))
  for (const event of events) {
    if (run.length > 0 && what(event) !== what(run[0])) sorted.push(...run.splice(0).sort())
    run.push(event)
  }
  return [...sorted, ...run.sort()]
}

/** Runs a script (its format is in fixtures/ApplyOracle.java) and gives the lines that Java gave. */
function answer(script: Buffer): string[] {
  const rig = new Rig({ extendedTypes: true })
  const { watches, tree } = rig.state
  const lines: string[] = []
  let at = 0
  const int = () => {
    at += 4
    return script.readInt32BE(at - 4)
  }
  const run = () => {
    const length = int()
    at += length
    return new Uint8Array(script.subarray(at - length, at))
  }
  while (at < script.length) {
    const letter = String.fromCharCode(script[at++]!)
    if (letter === 'T') {
      rig.results.length = 0
      rig.events.length = 0
      rig.applyBytes(run())
      const results = rig.results.map((result) => result.split(' ').slice(1, 3).join(':'))
      const events = rig.events.map((event) => event.split(' ').slice(0, 4).join(' '))
      const figures = [watches.countConnections, watches.countPaths, watches.countTotal, watches.countChild].join(' ')
      lines.push(line(results, String(rig.digest), events, figures))
    } else if (letter === 'C') {
      watches.removeConnection(int())
    } else {
      const kind = script[at++]!
      const conn = int()
      const path = run()
      if (letter === 'R') {
        const contained = watches.contains(kind, conn, path, 0, path.length)
        lines.push(`R ${contained} ${watches.remove(kind, conn, path, 0, path.length)}`)
      } else if (kind === 0) watches.addData(conn, path, 0, path.length)
      else if (kind === 1) watches.addChild(conn, path, 0, path.length)
      else if (kind === 2) watches.addPersistent(conn, path, 0, path.length)
      else watches.addRecursive(conn, path, 0, path.length)
    }
  }
  const add = (path: string) => {
    const s = rig.stat(path)
    const acl = tree.acls.entries(tree.aclId(rig.node(path)))[0]!
    const data = rig.data(path)
    const fields = [s.czxid, s.mzxid, s.ctime, s.mtime, s.version, s.cversion, s.aversion, s.owner, s.pzxid]
    lines.push(`N ${path} ${fields.join(' ')} ${data === null ? 'null' : `'${data}'`} ${acl.scheme}${acl.perms}`)
    for (const name of rig.children(path)) add(path === '/' ? `/${name}` : `${path}/${name}`)
  }
  add('/')
  tree.check()
  return lines
}

function line(results: string[], digest: string, events: string[], figures: string): string {
  // In which order a session's nodes go is open, too.
  const told = (results[0] === '-11:0' ? events.sort() : inOrder(events)).map((event) => ` | ${event}`)
  return `T${results.map((result) => ` ${result}`).join('')} = ${digest}${told.join('')} # ${figures}`
}

describe('Against DataTree of 3.9.5', () => {
  for (const seed of SCRIPTS) {
    it(`2,500 transactions give its results, digests, events, watch figures, quota counts and znodes (${seed})`, () => {
      const want = fixture(`${seed}.answers`)
        .toString('utf8')
        .trimEnd()
        .split('\n')
        .map((text) => {
          const parts = /^T(.*) = (\d+)((?: \| [^|#]*)*) # (.*)$/.exec(text)
          if (parts === null) return text
          const events = parts[3] === '' ? [] : parts[3]!.slice(3).split(' | ')
          return line(parts[1]!.split(' ').slice(1), parts[2]!, events, parts[4]!)
        })
      expect(want.filter((text) => text.startsWith('T'))).toHaveLength(2500)
      const got = answer(fixture(`${seed}.script`))
      for (const [i, text] of got.entries()) expect(text, `line ${i}`).toBe(want[i])
      expect(got.length).toBe(want.length)
    })
  }
})
