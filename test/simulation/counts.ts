/** What happened in one run or in many, by kind: the summary shows that a campaign met what it is meant to meet. */

export class Counts {
  runs: number
  virtualMs: number
  happenings: number
  committed: number
  elections: number
  readonly faults: Map<string, number>
  readonly syncs: Map<string, number>
  readonly operations: Map<string, number>
  readonly errors: Map<string, number>
  /** Ids of faults-and-security.md. */
  readonly ids: Map<string, number>
  snapshots: number
  events: number
  sessionsLost: number

  constructor() {
    this.runs = 0
    this.virtualMs = 0
    this.happenings = 0
    this.committed = 0
    this.elections = 0
    this.faults = new Map()
    this.syncs = new Map()
    this.operations = new Map()
    this.errors = new Map()
    this.ids = new Map()
    this.snapshots = 0
    this.events = 0
    this.sessionsLost = 0
  }

  add(other: Counts): void {
    this.runs += other.runs
    this.virtualMs += other.virtualMs
    this.happenings += other.happenings
    this.committed += other.committed
    this.elections += other.elections
    this.snapshots += other.snapshots
    this.events += other.events
    this.sessionsLost += other.sessionsLost
    for (const key of ['faults', 'syncs', 'operations', 'errors', 'ids'] as const) {
      for (const [name, count] of other[key]) bump(this[key], name, count)
    }
  }

  lines(): string[] {
    const hours = (this.virtualMs / 3_600_000).toFixed(2)
    return [
      `${this.runs} runs, ${hours} simulated hours, ${this.happenings} happenings`,
      `${this.committed} transactions committed, ${this.elections} leaders, ${this.snapshots} snapshots, ${this.events} watch events, ${this.sessionsLost} sessions expired`,
      `syncs      ${listed(this.syncs)}`,
      `faults     ${listed(this.faults)}`,
      `operations ${listed(this.operations)}`,
      `errors     ${listed(this.errors)}`,
      `covered    ${[...this.ids]
        .sort(([a], [b]) => byId(a, b))
        .map(([id, count]) => `${id} ${count}`)
        .join(', ')}`,
    ]
  }
}

export function bump(map: Map<string, number>, name: string, by = 1): void {
  map.set(name, (map.get(name) ?? 0) + by)
}

function listed(map: ReadonlyMap<string, number>): string {
  return [...map]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function byId(a: string, b: string): number {
  return a[0] === b[0] ? Number(a.slice(1)) - Number(b.slice(1)) : a < b ? -1 : 1
}
