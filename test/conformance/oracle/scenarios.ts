/**
 * Sequences of a fixed plot with drawn details, for what takes time or a restart: nodes that the server itself removes,
 * sessions that expire, servers that are killed, data directories that change hands.
 */
import { generate } from './generate.ts'
import { Random } from './random.ts'
import type { Sequence, Step } from './steps.ts'

/** Null for profiles whose sequences are drawn freely. */
export function generateScenario(seed: number, profile: string): Sequence | null {
  if (profile === 'reap') return { seed, profile, steps: reap(new Random(seed)) }
  if (profile === 'restart') return { seed, profile, steps: restarts(seed, new Random(seed)) }
  return null
}

/** Containers, TTL nodes and an abandoned session beside nodes that must stay; watchers on them all. */
function reap(r: Random): Step[] {
  const steps: Step[] = [
    { do: 'connect', c: 0, s: 0, how: 'new', timeoutMs: 30_000 },
    { do: 'connect', c: 1, s: 1, how: 'new', timeoutMs: r.pick([1, 400, 700]) },
  ]
  const doomed: string[] = []
  const late: Step[] = []
  // A session of a short timeout whose connection goes away without a word.
  for (let i = r.between(1, 3); i > 0; i--) {
    const path = r.pick(['$/e', '$/f/e', '$/g']) + i
    if (path.startsWith('$/f/')) steps.push({ do: 'send', c: 0, r: { op: 1, path: '$/f' } })
    steps.push({ do: 'send', c: 1, r: { op: 15, path, data: 'x', flags: 1 } })
    doomed.push(path)
  }
  for (let i = r.between(1, 4); i > 0; i--) {
    const kind = r.below(4)
    const path = `$/n${i}`
    if (kind === 0) {
      steps.push({ do: 'send', c: 0, r: { op: 21, path, flags: 5, ttl: r.between(700, 900) } })
      doomed.push(path)
    } else if (kind === 1) {
      steps.push({ do: 'send', c: 0, r: { op: 21, path, flags: 5, ttl: 3_600_000 } })
    } else {
      steps.push({ do: 'send', c: 0, r: { op: 19, path, flags: 0 } })
      if (r.chance(70)) {
        const inner = r.chance(30) ? 19 : 1
        steps.push({ do: 'send', c: 0, r: { op: inner, path: `${path}/x` } })
        if (inner === 1 && r.chance(70)) {
          late.push({ do: 'send', c: 0, r: { op: 2, path: `${path}/x`, version: -1 } })
          doomed.push(path)
        } else if (inner === 19) {
          steps.push({ do: 'send', c: 0, r: { op: 1, path: `${path}/x/y` } })
          if (r.chance(60)) {
            late.push({ do: 'send', c: 0, r: { op: 2, path: `${path}/x/y`, version: -1 } })
            doomed.push(`${path}/x`, path)
          }
        }
      }
    }
  }
  for (const path of [...doomed, '$']) {
    if (r.chance(50)) steps.push({ do: 'send', c: 0, r: { op: r.pick([3, 4, 8]), path, watch: 1 } })
    if (r.chance(20)) steps.push({ do: 'send', c: 0, r: { op: 106, path, mode: r.pick([0, 1]) } })
  }
  steps.push({ do: 'expire', s: 1 }, ...late, { do: 'vanish', paths: doomed })
  // Attaching to the expired session is refused.
  steps.push({ do: 'connect', c: 1, s: 1, how: 'attach', timeoutMs: 400 })
  for (let i = 0; i < 5; i++)
    steps.push({ do: 'send', c: 0, r: { op: 12, path: r.pick(['$', '$/n1', '$/n2', '$/f']) } })
  return steps
}

/** Parts of ordinary sequences between restarts of every kind; sessions are attached again after each. */
function restarts(seed: number, r: Random): Step[] {
  const body = generate(seed, 'rich').steps
  const sessions = body.filter((s) => s.do === 'connect' && s.how === 'new').length
  const out: Step[] = []
  const cuts = [r.between(10, Math.max(11, body.length - 5)), r.between(10, Math.max(11, body.length - 5))]
  for (const [i, step] of body.entries()) {
    out.push(step)
    if (!cuts.includes(i)) continue
    out.push({ do: 'restart', how: r.pick(['kill', 'stop', 'swap'] as const) })
    for (let s = 0; s < Math.min(4, sessions); s++)
      out.push({ do: 'connect', c: s, s, how: 'attach', timeoutMs: 30_000 })
  }
  return out
}
