/** What `/live` and `/ready` answer. Pure. */

import type { AdminView } from './adminview.ts'
import { Fieldset, type Json, List } from './json.ts'

export interface Health {
  readonly status: 200 | 503
  readonly body: Fieldset
}

/** Somebody answers: the process is there, and its event loop turns. What else is wrong is no reason to kill it. */
export function live(): Health {
  return { status: 200, body: new Fieldset([['live', true]]) }
}

/** Would a client be served? In read-only mode it would, if it can do with that. */
export function ready(view: AdminView, openDoors: readonly string[]): Health {
  const reason = view.reason()
  const fields: [string, Json][] = [
    ['ready', reason === null],
    ['state', view.serving() ? view.mode() : 'not serving'],
    ['reason', reason ?? (view.readOnly() ? 'no quorum: serving reads only' : null)],
  ]
  fields.push(
    ...(view.serving() ? [] : (view.standing?.()?.values ?? [])).map(([key, value]): [string, Json] => [key, value]),
  )
  fields.push(['open_doors', new List(openDoors)])
  return { status: reason === null ? 200 : 503, body: new Fieldset(fields) }
}
