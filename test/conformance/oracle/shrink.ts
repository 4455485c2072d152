/**
 * Reduces a failing sequence: delta debugging over steps, then over the requests of bursts and the parts of transactions.
 * `fails` runs a candidate and says whether the same difference shows.
 */
import type { Request, Sequence, Step } from './steps.ts'

export async function shrink(
  sequence: Sequence,
  fails: (s: Sequence) => Promise<boolean>,
  limitMs: number,
): Promise<Sequence> {
  const deadline = Date.now() + limitMs
  const test = async (steps: Step[]): Promise<boolean> => {
    if (Date.now() > deadline) return false
    return fails({ ...sequence, steps })
  }
  let steps = await reduce(sequence.steps, test)
  // One by one what is inside a step: bursts to fewer requests or to single ones, transactions to fewer parts.
  for (let i = 0; i < steps.length; i++) {
    const at = i
    const with_ = (step: Step): Step[] => steps.map((s, j) => (j === at ? step : s))
    const step = steps[at]!
    if (step.do === 'burst') {
      const singles = [
        ...steps.slice(0, at),
        ...step.rs.map((r): Step => ({ do: 'send', c: step.c, r })),
        ...steps.slice(at + 1),
      ]
      if (await test(singles)) {
        steps = await reduce(singles, test)
        i = -1
        continue
      }
      const rs = await reduce(step.rs, (rs) => test(with_({ ...step, rs })))
      steps = with_({ ...step, rs })
    } else if (step.do === 'together') {
      let { parts } = step
      for (const [j, part] of parts.entries()) {
        const rebuilt = (rs: Request[]) => parts.map((p, k) => (k === j ? { ...part, rs } : p))
        parts = rebuilt(await reduce(part.rs, (rs) => test(with_({ ...step, parts: rebuilt(rs) }))))
      }
      steps = with_({ ...step, parts })
    } else if (step.do === 'send' && step.r.subs !== undefined && step.r.subs.length > 0) {
      const rebuilt = (subs: Request[]): Step => ({ ...step, r: { ...step.r, subs } })
      const subs = await reduce(step.r.subs, (kept) => test(with_(rebuilt(kept))))
      steps = with_(rebuilt(subs))
    }
  }
  return { ...sequence, steps: await reduce(steps, test) }
}

/** The smallest list found by leaving out ever smaller runs of items. */
async function reduce<T>(items: readonly T[], test: (items: T[]) => Promise<boolean>): Promise<T[]> {
  let kept = [...items]
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = kept.length - size; at > -size; at -= size) {
      const from = Math.max(0, at)
      const fewer = [...kept.slice(0, from), ...kept.slice(at + size)]
      if (fewer.length < kept.length && (await test(fewer))) kept = fewer
    }
  }
  return kept
}
