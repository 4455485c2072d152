/** The endpoint for Prometheus: `GET /metrics`. Shell. Java: PrometheusMetricsProvider, MetricsServlet. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ExitCode, ExitError } from '../life/running.ts'
import { CONTENT_TYPE, prometheusText } from '../report/prometheus.ts'
import { Fieldset } from './json.ts'
import { ProcessMetrics } from './processmetrics.ts'
import { refuse, sendPieces } from './reply.ts'
import type { AdminSource } from './source.ts'

/** Java's summaries look back ten minutes; ours forget at such an interval what was before the last one. */
const AGE_MS = 300_000
const IDLE_MS = 30_000
const CONNECTIONS_MAX = 64

export class MetricsServer {
  private readonly source: AdminSource
  private readonly http: Server
  private readonly process: ProcessMetrics
  private readonly timer: NodeJS.Timeout

  constructor(source: AdminSource, adminDaysLeft: () => number | null) {
    this.source = source
    this.process = new ProcessMetrics(source, adminDaysLeft)
    source.metrics.moreFamilies = () => this.process.families()
    this.http = createServer({ headersTimeout: 10_000, requestTimeout: IDLE_MS }, (req, res) => this.answer(req, res))
    this.http.timeout = IDLE_MS
    this.http.maxConnections = CONNECTIONS_MAX
    this.http.on('clientError', (_err, socket) => socket.destroy())
    this.timer = setInterval(() => source.metrics.age(), AGE_MS)
    this.timer.unref()
  }

  async listen(): Promise<void> {
    const { httpHost: host, httpPort: port } = this.source.config.metricsProvider
    const { logger } = this.source
    try {
      await new Promise<void>((resolve, reject) => {
        this.http.once('error', reject)
        this.http.listen({ host, port }, () => {
          this.http.off('error', reject)
          this.http.on('error', (err) => logger.warn({ err }, 'endpoint for Prometheus'))
          resolve()
        })
      })
    } catch (err) {
      const message = `cannot listen on ${host}:${port}, the port of metricsProvider.httpPort`
      throw new ExitError(ExitCode.unexpectedError, message, { cause: err })
    }
    const bound = this.http.address()
    logger.info({ host, port: typeof bound === 'object' ? bound?.port : port }, 'endpoint for Prometheus')
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    this.process.close()
    this.source.metrics.moreFamilies = () => []
    if (!this.http.listening) return
    const closed = new Promise<void>((resolve) => this.http.close(() => resolve()))
    this.http.closeAllConnections()
    await closed
  }

  private answer(req: IncomingMessage, res: ServerResponse): void {
    if (req.method !== 'GET' && req.method !== 'HEAD' && req.method !== 'POST') {
      refuse(req, res, 405, new Fieldset([['error', `${req.method} is not answered`]]), { Allow: 'GET, HEAD, POST' })
      return
    }
    const url = req.url ?? '/'
    const query = url.indexOf('?')
    if ((query < 0 ? url : url.slice(0, query)) !== '/metrics') {
      refuse(req, res, 404, new Fieldset([['error', 'Not Found']]))
      return
    }
    const names = query < 0 ? [] : new URLSearchParams(url.slice(query + 1)).getAll('name[]')
    const { metrics } = this.source
    const text = prometheusText(metrics, metrics.moreFamilies(), names.length === 0 ? null : new Set(names))
    sendPieces(res, { status: 200, type: CONTENT_TYPE }, text)
  }
}
