/** Sequences and answers as lines a person can read, and the short signature by which two differences count as the same. */
import type { Json } from './replies.ts'
import type { Operation, Request, Sequence, Step } from './steps.ts'

const NAMES: { [op: number]: string } = {
  [-11]: 'closeSession',
  [-10]: 'createSession',
  1: 'create',
  2: 'delete',
  3: 'exists',
  4: 'getData',
  5: 'setData',
  6: 'getACL',
  7: 'setACL',
  8: 'getChildren',
  9: 'sync',
  11: 'ping',
  12: 'getChildren2',
  13: 'check',
  14: 'multi',
  15: 'create2',
  16: 'reconfig',
  17: 'checkWatches',
  18: 'removeWatches',
  19: 'createContainer',
  20: 'deleteContainer',
  21: 'createTTL',
  22: 'multiRead',
  100: 'auth',
  101: 'setWatches',
  102: 'sasl',
  103: 'getEphemerals',
  104: 'getAllChildrenNumber',
  105: 'setWatches2',
  106: 'addWatch',
  107: 'whoAmI',
}

export function opName(op: number): string {
  return NAMES[op] ?? `op${op}`
}

/** "14/1" as "multi/create". */
export function opPath(ops: string): string {
  if (/^[a-z]/.test(ops)) return ops
  return ops
    .split('/')
    .map((op) => opName(Number(op)))
    .join('/')
}

function operationText(r: Operation): string {
  const parts: string[] = []
  for (const [key, value] of Object.entries(r)) {
    if (key === 'op' || key === 'subs') continue
    parts.push(`${key}=${JSON.stringify(value)}`)
  }
  if (r.subs) parts.push(`[${r.subs.map(operationText).join('; ')}]`)
  return `${opName(r.op)} ${parts.join(' ')}`.trim()
}

export function stepText(step: Step): string {
  switch (step.do) {
    case 'send':
      return `c${step.c} ${operationText(step.r)}`
    case 'burst':
      return `c${step.c} burst${step.split ? ` split=${step.split}` : ''}\n${step.rs.map((r) => `      ${operationText(r)}`).join('\n')}`
    case 'together':
      return `together\n${step.parts.map((p) => `      c${p.c} under ${p.under}\n${p.rs.map((r) => `        ${operationText(r)}`).join('\n')}`).join('\n')}`
    case 'raw':
      return `c${step.c} raw ${step.hex}${step.close ? ' (closes)' : ''}`
    case 'drop':
      return `c${step.c} drop`
    case 'connect': {
      const { c, s, how, timeoutMs, ...rest } = step
      const more = Object.entries(rest).filter(([key]) => key !== 'do')
      return `c${c} connect ${how} session slot ${s} timeout=${timeoutMs} ${more.map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(' ')}`
    }
    default:
      return JSON.stringify(step)
  }
}

export function sequenceText(sequence: Sequence): string {
  const head = `# profile ${sequence.profile}, seed ${sequence.seed}`
  return [head, ...sequence.steps.map((s, i) => `${String(i).padStart(3)}  ${stepText(s)}`)].join('\n')
}

export function requestText(r: Request): string {
  return operationText(r)
}

/** Names the fields in which two answers differ, and the codes if these do. */
export function differenceText(a: Json, b: Json, at = ''): string {
  if (
    a !== null &&
    b !== null &&
    typeof a === 'object' &&
    typeof b === 'object' &&
    !Array.isArray(a) &&
    !Array.isArray(b)
  ) {
    const out: string[] = []
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      if (JSON.stringify(a[key]) !== JSON.stringify(b[key])) {
        const here = at === '' ? key : `${at}.${key}`
        out.push(differenceText(a[key] ?? null, b[key] ?? null, here))
      }
    }
    // A different code explains a missing body.
    const code = out.find((t) => t.startsWith('err '))
    return code ?? out.join(',')
  }
  if (at === 'err' || at.endsWith('.err') || at.endsWith('.code')) return `${at} ${String(a)}/${String(b)}`
  return at
}
