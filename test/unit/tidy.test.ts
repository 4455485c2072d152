/**
 * The code's own tidiness, as far as a machine can check it: who imports whom, which files are pure, how long and how
 * finished they are. A failure names file and line and says what to do; when a rule no longer fits, change the table
 * here in the same commit and say why.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Each folder of src and the folders it may import from. Lower layers never know the upper ones. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  jute: [],
  datatree: ['jute'],
  txnlog: ['datatree', 'jute'],
  zab: ['jute'],
  client: ['jute'],
  server: ['zab', 'txnlog', 'datatree', 'jute'],
  tools: ['txnlog', 'datatree', 'jute'],
  cli: ['tools', 'client', 'server', 'zab', 'txnlog', 'datatree', 'jute'],
}

/**
 * The pure cores: same calls, same results, and a call runs to its end. A folder stands for all of its files, but those
 * behind `except`, or for those behind `only`. The rest are the thin shells around sockets, files and timers.
 */
const PURE: readonly { folder: string; only?: readonly string[]; except?: readonly string[] }[] = [
  { folder: 'src/jute/', except: ['generate.ts'] },
  { folder: 'src/datatree/' },
  { folder: 'src/zab/', except: ['links.ts', 'sockets.ts', 'transport.ts'] },
  { folder: 'src/client/', except: ['session.ts', 'subtree.ts', 'zookeeper.ts'] },
  {
    folder: 'src/txnlog/',
    only: ['adler32.ts', 'crc32c.ts', 'leveltables.ts', 'logfile.ts', 'names.ts', 'snappy.ts', 'snapshot.ts'],
  },
  { folder: 'src/tools/', only: ['javaorder.ts', 'logformat.ts', 'manifest.ts', 'ustar.ts'] },
  {
    folder: 'src/server/',
    only: [
      'admin/access.ts',
      'admin/commands.ts',
      'admin/health.ts',
      'admin/json.ts',
      'admin/ratelimit.ts',
      'admin/requestgate.ts',
      'report/audit.ts',
      'access/auth.ts',
      'requests/connection.ts',
      'requests/containers.ts',
      'report/escape.ts',
      'requests/fifo.ts',
      'requests/handshake.ts',
      'access/ip.ts',
      'report/latencies.ts',
      'requests/learnerflow.ts',
      'requests/load.ts',
      'requests/newsessions.ts',
      'requests/outcome.ts',
      'requests/outstanding.ts',
      'requests/paths.ts',
      'requests/pipeline.ts',
      'requests/prep.ts',
      'report/prometheus.ts',
      'requests/proposer.ts',
      'member/quorumauth.ts',
      'requests/quotagate.ts',
      'requests/reads.ts',
      'requests/reconfig.ts',
      'requests/replies.ts',
      'requests/requesttext.ts',
      'requests/sessiongate.ts',
      'sasl/digestmd5.ts',
      'sasl/gssapi.ts',
      'sasl/jaas.ts',
      'sasl/kerberos/acceptor.ts',
      'sasl/kerberos/ccache.ts',
      'sasl/kerberos/context.ts',
      'sasl/kerberos/der.ts',
      'sasl/kerberos/initiator.ts',
      'sasl/kerberos/keytab.ts',
      'sasl/kerberos/krb5conf.ts',
      'sasl/kerberos/messages.ts',
      'sasl/kerberosname.ts',
      'access/sessionpasswords.ts',
      'config/secrets.ts',
      'requests/sessions.ts',
      'slices.ts',
      'report/summaries.ts',
      'report/turns.ts',
      'tls/ciphers.ts',
      'tls/der.ts',
      'tls/rc2.ts',
      'tls/tlsconfig.ts',
      'tls/x500name.ts',
      'clients/unsent.ts',
      'requests/writeop.ts',
    ],
  },
]

/** What a core may not contain, and what to do instead. */
const IMPURE: readonly { what: string; pattern: RegExp; instead: string }[] = [
  { what: 'async, await or a Promise', pattern: /\b(async|await|Promise)\b/, instead: 'call a sink; the shell waits' },
  { what: 'a clock', pattern: /\b(Date\.now|performance\.now)\b/, instead: 'take nowMs as a parameter' },
  { what: 'chance', pattern: /\bMath\.random\b/, instead: 'take a Random as a parameter' },
  {
    what: 'a timer',
    pattern: /\bset(Timeout|Immediate|Interval)\b/,
    instead: 'offer nextDeadlineMs() and onDeadline(nowMs)',
  },
  { what: 'the process', pattern: /\bprocess\./, instead: 'take what you need as an option' },
  { what: 'a node: module', pattern: /from 'node:/, instead: 'declare an interface and be handed one' },
]

const LINES_MAX = 700
const LONG_BY_NATURE = ['src/jute/records.ts'] // generated

interface SourceFile {
  path: string // relative to the repository, with forward slashes
  text: string
  code: string // without comments, and with strings emptied except those of imports
}

const sources = filesBelow('src')
const all = [...sources, ...filesBelow('test'), ...filesBelow('bin')]

describe('the code keeps its own house rules', () => {
  it('finds the sources it is to check', () => {
    expect(sources.length).toBeGreaterThan(20)
  })

  it('imports only downwards: jute <- datatree <- txnlog <- server <- cli, and jute <- zab <- server', () => {
    const found: string[] = []
    for (const file of sources) {
      const from = folderOf(file.path)
      const allowed = MAY_IMPORT[from]
      if (allowed === undefined) {
        found.push(`${file.path}: src/${from} is new here; give it a row in MAY_IMPORT of this test`)
        continue
      }
      for (const target of importsOf(file)) {
        const to = folderOf(target)
        if (to === from || allowed.includes(to)) continue
        found.push(`${file.path} imports ${target}: ${from} may not know ${to}; declare an interface and be handed one`)
      }
    }
    expect(found).toEqual([])
  })

  it('has no cycle of imports between files', () => {
    // `import type` leaves nothing to load: a part may name the type of the whole that it is handed.
    const graph = new Map(sources.map((file) => [file.path, importsOf(file, 'values')]))
    expect(findCycles(graph).map((cycle) => `${cycle.join(' -> ')}: move what both need into a third file`)).toEqual([])
  })

  it('keeps its cores pure', () => {
    const found: string[] = []
    for (const file of sources.filter((f) => isPure(f.path))) {
      for (const { what, pattern, instead } of IMPURE) {
        for (const line of linesWith(file.code, pattern)) found.push(`${file.path}:${line} has ${what}; ${instead}`)
      }
    }
    expect(found).toEqual([])
  })

  it('names only files in the table of cores that exist', () => {
    const named = PURE.flatMap(({ folder, only }) => (only ?? []).map((name) => folder + name))
    const missing = named.filter((path) => !sources.some((file) => file.path === path))
    expect(missing.map((path) => `${path} is gone: take it out of PURE, or name its successor`)).toEqual([])
  })

  it('has files that can be read in one sitting', () => {
    const found = all
      .filter((file) => !LONG_BY_NATURE.includes(file.path))
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX)
    expect(found.map(({ path, lines }) => `${path} has ${lines} lines: which second chapter is in it?`)).toEqual([])
  })

  it('opens every source file with a comment that says what it is for', () => {
    const found = sources.filter((file) => !/^(#!.*\n)?\s*\/(\*\*|\/)/.test(file.text))
    expect(found.map((file) => `${file.path}: begin with a comment: its duty, its invariants, its format`)).toEqual([])
  })

  it('has no barrels', () => {
    const found = sources.filter((file) => /(^|\/)index\.[a-z]+$/.test(file.path))
    expect(found.map((file) => `${file.path}: import the file that has the thing instead`)).toEqual([])
  })

  it('leaves nothing for later', () => {
    const mark = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`)
    const found = all.flatMap((file) => linesWith(file.text, mark).map((line) => `${file.path}:${line}`))
    expect(found.map((place) => `${place}: do it now, or write down in plain words what is missing and why`)).toEqual(
      [],
    )
  })

  it('prints through its logger only; the command line alone talks to the terminal', () => {
    const talkers = sources.filter((file) => folderOf(file.path) !== 'cli')
    const found = talkers.flatMap((file) => linesWith(file.code, /\bconsole\./).map((line) => `${file.path}:${line}`))
    expect(found.map((place) => `${place}: take a logger as a parameter`)).toEqual([])
  })
})

describe('the tidy test itself', () => {
  it('does not take words in comments and strings for code', () => {
    const text =
      '// await\nconst a = \'setTimeout\' /* process.env */ + `Date.now \u0024{b} x`\nconst c = /\'/.test("\\"await")\n'
    expect(stripped(text)).not.toMatch(/await|setTimeout|process|Date/)
    expect(stripped(text)).toContain('b')
    expect(stripped(text).split('\n')).toHaveLength(4)
  })

  it('finds a cycle and not a diamond', () => {
    const diamond = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
      ['d', []],
    ])
    expect(findCycles(diamond)).toEqual([])
    expect(findCycles(new Map([...diamond, ['d', ['a']]]))).toHaveLength(1)
  })
})

function filesBelow(folder: string): SourceFile[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && /\.(ts|mjs|py)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\/(node_modules|corpus|fixtures)\//.test(path))
    .sort()
    .map((path) => {
      const text = readFileSync(path, 'utf8')
      return { path: relative(root, path), text, code: stripped(text) }
    })
}

function isPure(path: string): boolean {
  return PURE.some(({ folder, only, except }) => {
    if (!path.startsWith(folder)) return false
    const name = path.slice(folder.length)
    return only === undefined ? !except?.includes(name) : only.includes(name)
  })
}

/** The folder below src: `src/jute/zxid.ts` is in jute. */
function folderOf(path: string): string {
  return path.split('/')[1] ?? ''
}

/** Our own files that a file imports or re-exports from, relative to the repository. */
function importsOf(file: SourceFile, which: 'all' | 'values' = 'all'): string[] {
  const found = file.code.matchAll(/^\s*(?:import|export)\b([^'"]*?)\bfrom '(\.[^']+)'|^\s*import '(\.[^']+)'/gm)
  return [...found]
    .filter(([, names]) => which === 'all' || !/^\s+type\b/.test(names ?? ''))
    .map(([, , path, bare]) => relative(root, join(root, dirname(file.path), path ?? bare ?? '')))
}

function linesWith(text: string, pattern: RegExp): number[] {
  return text.split('\n').flatMap((line, i) => (pattern.test(line) ? [i + 1] : []))
}

/** Each cycle once, as the files on it. Depth first; a file is left for good when all below it has been seen. */
function findCycles(graph: Map<string, string[]>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  const onPath: string[] = []
  const visit = (file: string) => {
    const at = onPath.indexOf(file)
    if (at >= 0) cycles.push([...onPath.slice(at), file])
    if (at >= 0 || done.has(file)) return
    onPath.push(file)
    for (const next of graph.get(file) ?? []) visit(next)
    onPath.pop()
    done.add(file)
  }
  for (const file of graph.keys()) visit(file)
  return cycles
}

/** Source without comments and without what strings say, line for line; strings behind `from` and `import` stay. */
function stripped(text: string): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|((?:\bfrom|\bimport)\s+'[^'\n]*')|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[=(,:?&|!]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/|`(?:\\[\s\S]|[^`\\])*`/g
  return text.replace(token, (found, imported: string | undefined) => {
    if (imported !== undefined) return imported
    if (found.startsWith('`')) return templateCode(found)
    return found.replace(/[^\n]/g, ' ')
  })
}

/** Of a template literal, what stands between `${` and `}`; nested templates are rare enough to be read as code. */
function templateCode(template: string): string {
  let kept = ''
  let depth = 0
  for (let i = 0; i < template.length; i++) {
    const char = template[i]!
    if (depth === 0 && char === '$' && template[i + 1] === '{') depth = 1
    else if (depth > 0 && char === '{' && template[i - 1] !== '$') depth++
    else if (depth > 0 && char === '}') depth--
    kept += depth > 0 || char === '\n' ? char : ' '
  }
  return kept
}
