/** Composition root: the configuration says whether this server runs alone or as a member of an ensemble. */

import type { Config } from './config.ts'
import type { Logger } from './logger.ts'
import type { RunningServer } from './running.ts'

/** Only what is needed is loaded: a server for a test is up before anybody looks. */
export async function startServer(config: Config, logger: Logger): Promise<RunningServer> {
  if (config.quorum.distributed) {
    const { QuorumServer } = await import('./quorumserver.ts')
    return new QuorumServer(config, logger).start()
  }
  const { StandaloneServer } = await import('./standalone.ts')
  return new StandaloneServer(config, logger).start()
}
