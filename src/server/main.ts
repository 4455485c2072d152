/** Composition root: the configuration says whether this server runs alone or as a member of an ensemble. */

import type { Audit } from './audit.ts'
import type { Entrance } from './clients.ts'
import type { Config } from './config.ts'
import type { Logger } from './logger.ts'
import type { OnProgress, RunningServer } from './running.ts'
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
  if (config.quorum.distributed) {
    const { QuorumServer } = await import('./quorumserver.ts')
    return new QuorumServer(config, logger, onProgress, entrance, audit).start()
  }
  const { StandaloneServer } = await import('./standalone.ts')
  return new StandaloneServer(config, logger, onProgress, entrance, audit).start()
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
