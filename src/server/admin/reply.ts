/**
 * Answers over HTTP: headers that no page of a browser can misuse, and bodies that go as fast as they are read.
 *
 * A long body is made slice by slice, one a turn of the event loop, and no further than the socket takes it.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { gather } from '../slices.ts'
import { type Json, jsonPieces } from './json.ts'

export const JSON_TYPE = 'application/json'

const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

export interface Head {
  readonly status: number
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
}

export function writeHead(res: ServerResponse, { status, type, headers = {} }: Head): void {
  res.writeHead(status, { ...SAFE_HEADERS, ...headers, 'Content-Type': type })
}

export function sendJson(res: ServerResponse, status: number, value: Json, headers = {}): void {
  sendPieces(res, { status, type: JSON_TYPE, headers }, jsonPieces(value))
}

/** Sends what `pieces` yields; they are asked for over as many turns as it takes. */
export function sendPieces(res: ServerResponse, head: Head, pieces: Iterable<string>): void {
  const slices = gather(pieces)
  const first = slices.next()
  const second = slices.next()
  if (first.done === true || second.done === true) {
    const body = Buffer.from(first.done === true ? '' : first.value)
    writeHead(res, { ...head, headers: { ...head.headers, 'Content-Length': String(body.length) } })
    res.end(body)
    return
  }
  writeHead(res, head)
  res.write(first.value)
  sendRest(res, second.value, slices)
}

function sendRest(res: ServerResponse, slice: string, slices: Generator<string>): void {
  if (res.destroyed) return
  const more = res.write(slice)
  const next = (): void => {
    if (res.destroyed) return
    const { done, value } = slices.next()
    if (done === true) res.end()
    else sendRest(res, value, slices)
  }
  if (more) setImmediate(next)
  else res.once('drain', next)
}

/** Refuses without reading what else would come of the request. */
export function refuse(req: IncomingMessage, res: ServerResponse, status: number, value: Json, headers = {}): void {
  const whole = req.complete || Number(req.headers['content-length'] ?? 0) === 0
  sendJson(res, status, value, whole ? headers : { ...headers, Connection: 'close' })
}
