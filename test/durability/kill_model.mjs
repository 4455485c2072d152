/**
 * What the tree must hold after a kill, told from what the clients were answered.
 *
 * Every acknowledged request is applied to the model and every refused one must have been refused for the reason the
 * model gives. A request without an answer may have happened or not: which of the two is read off the tree, all its
 * parts must tell the same, and from then on it is as good as acknowledged. Data is unique per request, so a value can
 * come from one request only.
 *
 * Directories are `/kill/rN/<session>`, `/kill/rN/<session>/seq`, `/kill/rN/shared` and `/kill/rN/shared/seq`.
 */
export class RoundModel {
  constructor(round) {
    this.round = round
    this.nodes = new Map() // path -> {data, version, czxid, mzxid, owner}; a zxid is null while nobody was told
    this.directories = new Map() // path -> {created, deleted}
    this.errors = []
    this.counts = { ok: 0, refused: 0, unknown: 0, applied: 0 }
    this.zxids = [] // {zxid, what} of every write known to have happened
  }

  fail(message) {
    this.errors.push(message)
  }

  addDirectory(path) {
    this.directories.set(path, { created: 0, deleted: 0 })
  }

  addNode(path, data, zxid, owner = '0') {
    this.nodes.set(path, { data, version: 0, czxid: zxid, mzxid: zxid, owner })
    this.directories.get(parentOf(path)).created++
  }

  removeNode(path) {
    this.nodes.delete(path)
    this.directories.get(parentOf(path)).deleted++
  }

  note(zxid, record) {
    this.zxids.push({ zxid, what: `${record.kind} ${record.session}#${record.n}` })
  }

  /** Takes the outcomes of one round; what has none waits in the lists below for `resolve`. */
  absorb(outcomes, sessionIds) {
    this.sessionIds = sessionIds
    this.unknown = []
    this.sequentialUnknown = []
    this.races = new Map()
    this.counters = new Map()
    for (const record of outcomes) {
      if (record.outcome === 'broken') {
        this.fail(`${label(record)}: the client broke: ${record.error}`)
        continue
      }
      this.counts[record.outcome]++
      if (record.kind === 'counter') group(this.counters, record.path).push(record)
      else if (record.kind === 'race') group(this.races, record.path).push(record)
      else if (record.kind === 'sequential') this.absorbSequential(record)
      else if (record.outcome === 'unknown') this.unknown.push(record)
      else this.absorbOwn(record)
    }
  }

  absorbSequential(record) {
    if (record.outcome === 'refused') this.fail(`${label(record)}: sequential create refused: ${record.error}`)
    else if (record.outcome === 'unknown') this.sequentialUnknown.push(record)
    else {
      if (this.nodes.has(record.path)) this.fail(`${label(record)}: the name ${record.path} was given twice`)
      this.addNode(record.path, record.data, record.stat.czxid)
      this.note(record.stat.czxid, record)
    }
  }

  absorbOwn(record) {
    const reason = this.refusal(record)
    if (record.outcome === 'refused') {
      if (reason !== record.error)
        this.fail(`${label(record)}: refused with ${record.error}, expected ${reason ?? 'success'}`)
      return
    }
    if (reason !== null) this.fail(`${label(record)}: succeeded, expected ${reason}`)
    else this.apply(record, record.stat?.mzxid ?? null)
  }

  /** The error that a request must meet in the present state of the model, or null. */
  refusal(record) {
    const [path] = record.paths
    const node = this.nodes.get(path)
    switch (record.kind) {
      case 'create':
        if (!this.directories.has(parentOf(path))) return 'NoNodeError'
        return node === undefined ? null : 'NodeExistsError'
      case 'set':
      case 'delete':
        if (node === undefined) return 'NoNodeError'
        return record.version === -1 || record.version === node.version ? null : 'BadVersionError'
      case 'multi': {
        const [first, second, changed, gone] = record.paths
        if (this.nodes.has(first) || this.nodes.has(second)) return 'NodeExistsError'
        if (this.nodes.get(changed)?.version !== record.version) return 'BadVersionError'
        // kazoo names the last part's error; the delete is the part that is made to fail, and the last.
        return this.nodes.get(gone)?.version === this.goneVersionSent(record) ? null : 'BadVersionError'
      }
      default:
        throw new Error(`unknown kind ${record.kind}`)
    }
  }

  goneVersionSent(record) {
    return record.fails ? record.goneVersion + 3 : record.goneVersion
  }

  apply(record, zxid) {
    const [path] = record.paths
    if (zxid !== null) this.note(zxid, record)
    if (record.kind === 'create') {
      this.addNode(path, record.data, zxid, record.ephemeral ? this.sessionIds.get(record.session) : '0')
    } else if (record.kind === 'set') this.change(path, record, zxid)
    else if (record.kind === 'delete') this.removeNode(path)
    else {
      const [first, second, changed, gone] = record.paths
      this.addNode(first, record.data, zxid)
      this.change(changed, record, zxid)
      this.addNode(second, record.data, zxid)
      this.removeNode(gone)
    }
  }

  change(path, record, zxid) {
    const node = this.nodes.get(path)
    node.version++
    node.data = record.data
    node.mzxid = zxid
    if (record.stat !== undefined && record.stat.version !== node.version) {
      this.fail(`${label(record)}: answered version ${record.stat.version}, expected ${node.version}`)
    }
  }

  /**
   * Decides the requests without an answer by what is there.
   * @param {Map<string, {data: string, stat: object}>} actual every node below this round's directories
   */
  resolve(actual) {
    for (const record of this.unknown) this.resolveOwn(record, actual)
    this.resolveSequential(actual)
    for (const [path, records] of this.races) this.resolveRace(path, records, actual.get(path))
    for (const [path, records] of this.counters) this.resolveCounter(path, records, actual.get(path))
    this.checkSuffixes(actual)
  }

  resolveOwn(record, actual) {
    if (this.refusal(record) !== null) return // it would have been refused: nothing may have changed
    const signs = record.paths.map((path, i) => {
      const there = actual.get(path)
      const deletes = record.kind === 'delete' || (record.kind === 'multi' && i === 3)
      return deletes ? there === undefined : there?.data === record.data
    })
    if (signs.some((sign) => sign !== signs[0])) {
      const parts = record.paths.map((path, i) => `${path} ${signs[i] ? 'yes' : 'no'}`)
      this.fail(`${label(record)}: done by halves: ${parts.join(', ')}`)
      return
    }
    if (!signs[0]) return
    this.counts.applied++
    const witness = record.kind === 'delete' ? null : actual.get(record.paths[record.kind === 'multi' ? 2 : 0])
    this.apply(record, witness === null ? null : Number(witness.stat.mzxid))
  }

  resolveSequential(actual) {
    const byData = new Map(this.sequentialUnknown.map((record) => [record.data, record]))
    for (const [path, { data, stat }] of actual) {
      const record = byData.get(data)
      if (record === undefined || !path.startsWith(record.prefix)) continue
      byData.delete(data) // a second node with this data is one too many, and the comparison will say so
      this.counts.applied++
      this.addNode(path, data, Number(stat.czxid))
      this.note(Number(stat.czxid), record)
    }
  }

  /** Children of a sequential directory are numbered without hole or repetition, in the order of their zxids. */
  checkSuffixes(actual) {
    for (const directory of this.directories.keys()) {
      if (!directory.endsWith('/seq')) continue
      const children = [...actual].filter(([path]) => parentOf(path) === directory)
      children.sort(([, a], [, b]) => Number(a.stat.czxid - b.stat.czxid))
      const wrong = children.findIndex(([path], i) => Number(path.slice(-10)) !== i)
      if (wrong >= 0) this.fail(`${children[wrong][0]}: child number ${wrong} by zxid has another suffix`)
    }
  }

  resolveRace(path, records, there) {
    const winners = records.filter((r) => r.outcome === 'ok')
    if (winners.length > 1) this.fail(`${path}: created twice, by ${winners.map(label).join(' and ')}`)
    const winner = winners[0] ?? records.find((r) => r.outcome === 'unknown' && r.data === there?.data)
    const strange = records.find((r) => r.outcome === 'refused' && r.error !== 'NodeExistsError')
    if (strange !== undefined) this.fail(`${label(strange)}: refused with ${strange.error}`)
    if (winner !== undefined) {
      if (winner.outcome === 'unknown') this.counts.applied++
      const zxid = winner.stat?.czxid ?? Number(there.stat.czxid)
      this.addNode(path, winner.data, zxid)
      this.note(zxid, winner)
    } else if (records.some((r) => r.outcome === 'refused')) {
      this.fail(`${path}: refused as existing, but nobody created it`)
    }
  }

  /** Each version of a counter has one author; a gap is only explained by a request without an answer. */
  resolveCounter(path, records, there) {
    const authors = new Map()
    for (const r of records) {
      if (r.outcome === 'refused' && r.error !== 'BadVersionError') this.fail(`${label(r)}: refused with ${r.error}`)
      if (r.outcome !== 'ok') continue
      if (r.stat.version !== r.version + 1) this.fail(`${label(r)}: version ${r.version} became ${r.stat.version}`)
      if (authors.has(r.stat.version)) this.fail(`${path}: version ${r.stat.version} acknowledged twice`)
      authors.set(r.stat.version, r)
      this.note(r.stat.mzxid, r)
    }
    const node = this.nodes.get(path)
    const last = Math.max(0, ...authors.keys(), there?.stat.version ?? 0)
    for (let version = 1; version <= last; version++) {
      const candidates = records.filter((r) => r.outcome === 'unknown' && r.version === version - 1)
      const isLast = version === last
      const author = authors.get(version) ?? candidates.find((r) => !isLast || r.data === there?.data)
      if (author === undefined) {
        this.fail(`${path}: version ${version} has no author`)
        return
      }
      if (author.outcome === 'unknown') this.counts.applied++
      const zxid = author.stat?.mzxid ?? (isLast ? Number(there.stat.mzxid) : null)
      Object.assign(node, { version, data: author.data, mzxid: zxid })
      if (author.outcome === 'unknown' && zxid !== null) this.note(zxid, author)
    }
  }

  /** Compares the whole round with what is there: nothing missing, nothing more, nothing different. */
  compare(actual, actualDirectories) {
    for (const [path, node] of this.nodes) {
      const there = actual.get(path)
      if (there === undefined) {
        this.fail(`${path} is missing (version ${node.version}, czxid ${node.czxid})`)
        continue
      }
      const { stat } = there
      if (there.data !== node.data) this.fail(`${path}: data is "${shown(there.data)}", expected "${shown(node.data)}"`)
      if (stat.version !== node.version) this.fail(`${path}: version ${stat.version}, expected ${node.version}`)
      // A deletion or a superseded version may hide a zxid nobody was told; what is visible now is kept for later.
      if (node.czxid === null) node.czxid = Number(stat.czxid)
      if (node.mzxid === null) node.mzxid = Number(stat.mzxid)
      if (Number(stat.czxid) !== node.czxid) this.fail(`${path}: czxid ${stat.czxid}, expected ${node.czxid}`)
      if (Number(stat.mzxid) !== node.mzxid) this.fail(`${path}: mzxid ${stat.mzxid}, expected ${node.mzxid}`)
      if (String(stat.ephemeralOwner) !== node.owner) {
        this.fail(`${path}: ephemeral owner ${stat.ephemeralOwner}, expected ${node.owner}`)
      }
    }
    for (const [path, { data }] of actual) {
      if (!this.nodes.has(path)) this.fail(`${path} is there and should not be: "${shown(data)}"`)
    }
    for (const [path, { created, deleted }] of this.directories) {
      const stat = actualDirectories.get(path)
      if (stat === undefined) this.fail(`directory ${path} is missing`)
      else if (stat.cversion !== created + deleted) {
        this.fail(`${path}: cversion ${stat.cversion}, expected ${created} creations + ${deleted} deletions`)
      } else if (stat.numChildren !== created - deleted) {
        this.fail(`${path}: ${stat.numChildren} children, expected ${created - deleted}`)
      }
    }
  }

  takeErrors() {
    const errors = this.errors
    this.errors = []
    return errors
  }
}

/** Watches over all rounds that no zxid serves two writes and none comes after a kill that is not above all seen before it. */
export class ZxidLedger {
  constructor() {
    this.writers = new Map()
    this.highestSeen = 0
    this.floor = 0
  }

  see(zxid) {
    if (zxid > this.highestSeen) this.highestSeen = zxid
  }

  /** From here on every new write must be above all that was seen. */
  raiseFloor() {
    this.floor = this.highestSeen
  }

  add(zxid, what, floor, fail) {
    const other = this.writers.get(zxid)
    if (other !== undefined && other !== what) fail(`zxid ${zxid} was given twice: ${other}, and again ${what}`)
    if (zxid <= floor) fail(`${what} has zxid ${zxid}, not above ${floor} seen before the kill`)
    this.writers.set(zxid, what)
    this.see(zxid)
  }
}

export function parentOf(path) {
  return path.slice(0, path.lastIndexOf('/'))
}

function group(map, key) {
  if (!map.has(key)) map.set(key, [])
  return map.get(key)
}

function label(record) {
  return `${record.kind} ${record.session}#${record.n} ${record.path ?? record.paths.join(' ') ?? ''}`.trimEnd()
}

function shown(data) {
  return data.length <= 60 ? data : `${data.slice(0, 60)}... (${data.length} bytes)`
}
