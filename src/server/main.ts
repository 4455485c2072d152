/** Composition root: the configuration says whether this server runs alone or as a member of an ensemble. */

import type { Config } from './config.ts'
import type { Logger } from './logger.ts'
import type { RunningServer } from './running.ts'
import { StandaloneServer } from './standalone.ts'

export async function startServer(config: Config, logger: Logger): Promise<RunningServer> {
  return new StandaloneServer(config, logger).start()
}
