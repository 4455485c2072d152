/** Composition root: the configuration says whether this server runs alone or as a member of an ensemble. */

import type { Entrance } from './clients/clients.ts'
import type { Config } from './config/config.ts'
import type { OnProgress, RunningServer } from './life/running.ts'
import type { StandaloneServer } from './life/standalone.ts'
import type { QuorumServer } from './member/quorumserver.ts'
import type { Audit } from './report/audit.ts'
import type { Logger } from './report/logger.ts'
import type { SaslServerLogin } from './sasl/mechanism.ts'

/**
 * Resolves when it serves, or looks for a leader, or has stepped aside because there is no room on its disk. Only what is
 * needed is loaded: a server for a test is up before anybody looks.
 */
export async function startServer(
  config: Config,
  logger: Logger,
  onProgress: OnProgress | null = null,
  audit: Audit | null = null,
): Promise<RunningServer> {
  const entrance = { login: await openLogin(config), tls: await openTls(config, logger) }
  const server = await makeServer(config, logger, onProgress, entrance, audit)
  const wantsHttp = config.admin.enabled || config.metricsProvider.kind === 'prometheus'
  return wantsHttp ? withHttp(server) : server.start()
}

async function makeServer(
  config: Config,
  logger: Logger,
  onProgress: OnProgress | null,
  entrance: Entrance,
  audit: Audit | null,
): Promise<StandaloneServer | QuorumServer> {
  if (config.quorum.distributed) {
    const { QuorumServer } = await import('./member/quorumserver.ts')
    return new QuorumServer(config, logger, onProgress, entrance, audit)
  }
  const { StandaloneServer } = await import('./life/standalone.ts')
  return new StandaloneServer(config, logger, onProgress, entrance, audit)
}

/** What is slower than that to start is worth watching while it does. */
const SLOW_START_MS = 200

/** Clients first: HTTP ports are loaded and opened behind a start, or beside a long one. */
async function withHttp(server: StandaloneServer | QuorumServer): Promise<RunningServer> {
  const starting = server.start()
  const settled = starting.then(
    () => {},
    () => {},
  )
  await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, SLOW_START_MS).unref())])
  const { openHttpPorts } = await import('./admin/beside.ts')
  const opening = openHttpPorts(server.source)
  opening.catch(() => {}) // told below, behind what the start itself has to say
  const close = async (): Promise<void> => {
    await opening.then(
      (ports) => ports.close(),
      () => {},
    )
  }
  let running: RunningServer
  try {
    running = await starting
  } catch (err) {
    await close()
    throw err
  }
  try {
    await opening
  } catch (err) {
    await running.close()
    throw err
  }
  return {
    ...running,
    async close() {
      await close()
      await running.close()
    },
  }
}

async function openTls({ clientTls, x509SuperUser }: Config, logger: Logger): Promise<Entrance['tls']> {
  if (clientTls === null) return null
  const { ClientTls } = await import('./tls/clienttls.ts')
  return new ClientTls(clientTls, x509SuperUser, {
    info: (message, fields) => logger.info(fields, message),
    warn: (message, fields) => logger.warn(fields, message),
  })
}

async function openLogin({ sasl }: Config): Promise<SaslServerLogin | null> {
  if (sasl.server === null) return null
  const { openServerLogin } = await import('./sasl/login.ts')
  return openServerLogin(sasl, sasl.server)
}
