/**
 * What a sequence is made of. Everything here is plain JSON, so that a sequence can be printed, shrunk by leaving steps
 * out, and kept as a named case. A step never depends on what an earlier one answered; that is what makes leaving out safe.
 *
 * In every text, `$` stands for the prefix path under which the sequence runs.
 */

/** A string on the wire: text, null (length -1), raw bytes, a claimed length with other bytes, or a repeated filler. */
export type Text = string | null | { hex: string } | { claim: number; hex: string } | { fill: string; times: number }

export interface Acl {
  perms: number
  scheme: Text
  id: Text
}

/** Number of entries that follow without any entry, to send counts that lie; or the entries. */
export type AclList = null | { count: number } | Acl[]

/** A zxid that must be meaningful on both servers: 0, ahead of everything, or some steps before the last one seen. */
export type ZxidRef = 'zero' | 'ahead' | 'max' | 'minus' | { back: number }

export interface Operation {
  op: number
  path?: Text
  data?: Text
  acl?: AclList
  flags?: number
  ttl?: number
  version?: number
  /** Written as one byte: 0, 1, or anything else that counts as true. */
  watch?: number
  mode?: number
  type?: number
  zxid?: ZxidRef
  /** data, exist, child, persistent, recursive */
  lists?: (Text[] | null)[]
  joining?: Text
  leaving?: Text
  members?: Text
  scheme?: Text
  token?: Text
  subs?: Operation[]
  /** Multi only: leave out the terminator. */
  open?: boolean
}

export interface Request extends Operation {
  /** The connection's own counter when absent. */
  xid?: number
  /** Bytes to cut from the end of the body. */
  cut?: number
  /** Bytes to add after the body, as hex. */
  tail?: string
}

export type Password = 'right' | 'wrong' | 'short' | 'null' | 'empty'

export interface Part {
  c: number
  /** In place of the sequence's own prefix. */
  under: string
  rs: Request[]
}

export type Step =
  | {
      do: 'connect'
      /** connection slot */
      c: number
      /** session slot; the answer's id and password are kept there */
      s: number
      how: 'new' | 'attach' | 'unknown'
      timeoutMs: number
      password?: Password
      /** Whether the read-only byte is sent; absent: yes, false. */
      readOnly?: 'absent' | 'yes'
      zxid?: ZxidRef
      protocol?: number
    }
  | { do: 'send'; c: number; r: Request }
  | { do: 'burst'; c: number; rs: Request[]; split?: number }
  /**
   * Bursts on several connections at once, each below a path of its own, so that nobody's answers depend on the order in
   * which the server takes them: only zxids do, and when a watcher hears of somebody else's change.
   */
  | { do: 'together'; parts: Part[] }
  /** A frame or part of one, as it is. Answers are not waited for unless `close` says that the server must close. */
  | { do: 'raw'; c: number; hex: string; close?: boolean }
  | { do: 'drop'; c: number }
  | { do: 'word'; word: string }
  | { do: 'expire'; s: number }
  | { do: 'vanish'; paths: string[] }
  | { do: 'restart'; how: 'kill' | 'stop' | 'swap' }
  | { do: 'dump' }

export interface Sequence {
  seed: number
  profile: string
  steps: Step[]
  /** Of a kept case. */
  name?: string
  note?: string
  /** Of use only where our switches are on. */
  compat?: boolean
}
