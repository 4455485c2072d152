/** What happened in one run or in many, by kind: the summary shows that a campaign met what it is meant to meet. */

/** Ids of faults-and-security.md that seeded runs count as they come into them; coverage.test.ts has the others. */
export const COUNTED: readonly string[] = [
  ...['C1', 'C3', 'C4', 'C5', 'C7', 'C8', 'C9', 'C10', 'C11', 'C13', 'C14', 'C15', 'C16', 'D1', 'D2', 'D3'],
  ...['E1', 'E2', 'E3', 'E4', 'E7', 'E9', 'E10', 'N1', 'N2', 'N3', 'N4', 'N5', 'N6', 'N7', 'N8'],
  ...['S1', 'S2', 'S4', 'S5', 'S6', 'T1', 'T2', 'T3', 'T4', 'T5'],
]

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
      `not met    ${COUNTED.filter((id) => !this.ids.has(id)).join(', ') || 'nothing'}`,
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
