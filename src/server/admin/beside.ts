/** The HTTP ports beside a server: the admin server, and the endpoint for Prometheus. Shell. */

import { ExitCode, ExitError } from '../life/running.ts'
import { AdminServer } from './adminserver.ts'
import { MetricsServer } from './metricsserver.ts'
import type { AdminSource } from './source.ts'
import { makeTarget } from './target.ts'

export interface HttpPorts {
  close(): Promise<void>
}

/** Opens those that are asked for. Rejects where one cannot be had that must be there. */
export async function openHttpPorts(source: AdminSource): Promise<HttpPorts> {
  const { config } = source
  const open: HttpPorts[] = []
  const ports: HttpPorts = {
    async close() {
      await Promise.all(open.map((each) => each.close()))
    },
  }
  try {
    let admin: AdminServer | null = null
    if (config.admin.enabled) {
      admin = new AdminServer(makeTarget(source))
      open.push(admin)
      await listen(admin, source)
    }
    if (config.metricsProvider.kind === 'prometheus') {
      const metrics = new MetricsServer(source, () => admin?.daysLeft ?? null)
      open.push(metrics)
      await metrics.listen()
    }
    return ports
  } catch (err) {
    await ports.close()
    throw err
  }
}

/**
 * Java's server that runs alone ends where the port is taken, a member goes on. Ours ends only where somebody has chosen
 * the port: two servers on one machine that never heard of an admin server would else be one.
 */
async function listen(admin: AdminServer, { config, logger }: AdminSource): Promise<void> {
  const { host, port: wanted, portChosen, commandUrl } = config.admin
  try {
    const port = await admin.listen()
    logger.info({ host, port, commandUrl }, 'admin server')
  } catch (err) {
    const message = `cannot listen on the admin port ${host}:${wanted}`
    if (portChosen && !config.quorum.distributed)
      throw new ExitError(ExitCode.adminServerFailed, message, { cause: err })
    const reason = err instanceof Error ? err.message : String(err)
    logger.warn({ reason }, `${message}: see admin.serverPort, or admin.enableServer=false`)
  }
}
