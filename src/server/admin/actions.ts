/**
 * Snapshot and restore over HTTP. Java: Commands.SnapshotCommand, Commands.RestoreCommand.
 *
 * Both are off unless the configuration asks for them, need all rights on the root, and leave a line in the audit log.
 * One at a time, and one a while: as in Java the interval of the setting holds for restores, a thousandth of it for
 * snapshots (Java takes the number for microseconds there).
 */

import { timingSafeEqual } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm, statfs } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TLSSocket } from 'node:tls'
import { zxidHex } from '../../jute/zxid.ts'
import { PARTIAL_PREFIX, VERSION_DIR } from '../../txnlog/names.ts'
import type { AuthId } from '../access/auth.ts'
import type { Config } from '../config/config.ts'
import { peerCertificate } from '../tls/peercertificate.ts'
import { certificateId } from '../tls/x509id.ts'
import { accessOf, checkSuper } from './access.ts'
import { failure, NOT_SERVING, type Parameters } from './commands.ts'
import { Fieldset } from './json.ts'
import { RateLimit } from './ratelimit.ts'
import { refuse, sendJson, writeHead } from './reply.ts'
import { clientAddress } from './requestgate.ts'
import { RestoreError } from './source.ts'
import type { AdminTarget } from './target.ts'

type Action = 'snapshot' | 'restore'

/** Where an upload lies until it is looked into; a start removes what was left. */
const UPLOAD_NAME = `${PARTIAL_PREFIX}upload`

/** Room that an upload leaves, and its share of a small file system; looked at now and then. */
const ROOM_BYTES = 256 * 1024 * 1024
const ROOM_PARTS = 10
const LOOK_BYTES = 8 * 1024 * 1024

export class Actions {
  private readonly target: AdminTarget
  private readonly limits: Readonly<Record<Action, RateLimit>>
  private busy: boolean

  constructor(target: AdminTarget) {
    const { rateLimitMs } = target.config.admin
    this.target = target
    this.limits = {
      restore: new RateLimit(rateLimitMs, target.nowMs()),
      snapshot: new RateLimit(Math.floor(rateLimitMs / 1000), target.nowMs()),
    }
    this.busy = false
  }

  /** Answers, at the latest when it is done. */
  async run(action: Action, req: IncomingMessage, res: ServerResponse, parameters: Parameters): Promise<void> {
    const { config, logger, metrics, nowMs } = this.target
    const access = this.target.access()
    if (access === null) {
      refuse(req, res, 200, failure(action, NOT_SERVING))
      return
    }
    const ip = clientAddress(remoteOf(req), req.headers, config.admin)
    const { authorization } = req.headers
    const isSuper = await new Promise<boolean>((done) => checkSuper(authorization, access.auth, done))
    const proved = certificateIds(req.socket, config)
    const asked = accessOf(authorization, ip, access.auth, access.rootAclId, isSuper, proved)
    if ('status' in asked) {
      this.note(action, null, ip, false)
      refuse(req, res, asked.status, failure(action, asked.error))
      return
    }
    const user = asked.ids.map((id) => access.auth.userName(id)).join(',')
    const no = (status: number, error: string): void => {
      logger.warn({ action, user, client: ip, status }, error)
      this.note(action, user, ip, false)
      refuse(req, res, status, failure(action, error))
    }
    const enabled = action === 'snapshot' ? config.admin.snapshotEnabled : config.admin.restoreEnabled
    if (!enabled) return no(503, `admin.${action}.enabled is not true`)
    if (!config.serializeLastProcessedZxid) return no(500, 'serializeLastProcessedZxid.enabled is false')
    if (this.busy) return no(429, 'another snapshot or restore is under way')
    if (!this.limits[action].allow(nowMs())) {
      metrics.counters[`${action}_rate_limited_count`]++
      return no(429, `one ${action} in admin.rateLimiterIntervalInMS only`)
    }
    this.busy = true
    try {
      if (action === 'snapshot') await this.snapshot(res, parameters)
      else await this.restore(req, res, parameters)
      this.note(action, user, ip, true)
    } catch (err) {
      metrics.counters[`${action}_error_count`]++
      const known = err instanceof RestoreError
      logger.warn({ err, action, user, client: ip }, `${action} failed`)
      this.note(action, user, ip, false)
      const reason = known ? err.message : `${action} failed: see the log`
      if (res.headersSent) res.destroy()
      else refuse(req, res, 500, failure(action, reason))
    } finally {
      if (action === 'restore') this.freed()
    }
  }

  private readonly freed = (): void => {
    this.busy = false
  }

  private async snapshot(res: ServerResponse, parameters: Parameters): Promise<void> {
    // Who reads slowly holds up nobody.
    const { zxid, zxidEnd, path } = await this.target.snapshot().finally(this.freed)
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const headers = {
        last_zxid: `0x${zxidHex(zxid)}`,
        snapshot_size: String(size),
        // Ours: another zxid than the first says that writes went on, and that the log up to there belongs to it.
        zxid_end: `0x${zxidHex(zxidEnd)}`,
      }
      if ((parameters.get('streaming') ?? 'true').toLowerCase() !== 'true') {
        sendJson(res, 200, failure('snapshot', null), headers)
        return
      }
      const type = 'application/octet-stream'
      writeHead(res, { status: 200, type, headers: { ...headers, 'Content-Length': String(size) } })
      await pipeline(createReadStream(path, { fd: file, autoClose: false }), res)
    } finally {
      await file.close()
    }
  }

  private async restore(req: IncomingMessage, res: ServerResponse, parameters: Parameters): Promise<void> {
    const { config, metrics, nowMs } = this.target
    const startMs = nowMs()
    const path = join(config.dataDir, VERSION_DIR, UPLOAD_NAME)
    const bytesMax = config.admin.restoreBytesMax
    if (Number(req.headers['content-length'] ?? 0) > bytesMax) throw tooLong(bytesMax)
    if (req.headers.expect !== undefined) res.writeContinue()
    try {
      const limits = bounded(bytesMax, () => hasRoom(dirname(path)))
      await pipeline(req, limits, createWriteStream(path, { mode: 0o600, flush: true }))
      const zxid = await this.target.restore(path, { fuzzy: parameters.get('fuzzy') === 'true' })
      metrics.basic.restore_time.add(Math.round(nowMs() - startMs))
      sendJson(
        res,
        200,
        new Fieldset([
          ['last_zxid', zxid],
          ['command', 'restore'],
          ['error', null],
        ]),
      )
    } finally {
      await rm(path, { force: true })
    }
  }

  private note(operation: Action, user: string | null, ip: string, done: boolean): void {
    this.target.audit?.record({ user, ip, operation, result: done ? 'success' : 'failure' })
  }
}

/** Who a client is by its certificate, as on the client port. */
function certificateIds(socket: Socket, { clientTls, x509SuperUser }: Config): AuthId[] {
  const certificate = socket instanceof TLSSocket ? peerCertificate(socket) : undefined
  if (certificate === undefined) return []
  const id = certificateId(certificate, clientTls?.clientCertId ?? null)
  const own = { scheme: 'x509', id }
  return id === x509SuperUser ? [{ scheme: 'super', id }, own] : [own]
}

/** In constant time, whatever their lengths. */
export function equalTexts(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  if (left.length === right.length) return timingSafeEqual(left, right)
  timingSafeEqual(right, right)
  return false
}

export function remoteOf(req: IncomingMessage): string {
  return (req.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

function tooLong(bytesMax: number): RestoreError {
  return new RestoreError(`the snapshot is longer than ${bytesMax} bytes: see admin.restore.maxMb`)
}

/** An upload must not take the room that the log of a server that works still needs. */
async function hasRoom(folder: string): Promise<boolean> {
  const { bavail, bsize, blocks } = await statfs(folder)
  return bavail * bsize > Math.min(ROOM_BYTES, (blocks * bsize) / ROOM_PARTS)
}

function bounded(bytesMax: number, room: () => Promise<boolean>): Transform {
  let bytes = 0
  let lookedAt = Number.NEGATIVE_INFINITY
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > bytesMax) done(tooLong(bytesMax))
      else if (bytes - lookedAt < LOOK_BYTES) done(null, chunk)
      else {
        lookedAt = bytes
        room().then((enough) => {
          if (enough) done(null, chunk)
          else done(new RestoreError('there is no room for this snapshot on the disk'))
        }, done)
      }
    },
  })
}
