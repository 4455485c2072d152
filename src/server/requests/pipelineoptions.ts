/** What a pipeline takes out of the configuration. */

import { sessionPasswords } from '../access/sessionkeys.ts'
import type { Config } from '../config/config.ts'
import { lengthMaxOf } from '../life/parts.ts'
import type { PipelineOptions, PipelineRole } from './pipeline.ts'
import type { Reconfigurer } from './reconfig.ts'

/** `reconfig`: who plans changes of the membership; a leader's alone. */
export function pipelineOptions(
  config: Config,
  role: PipelineRole = 'standalone',
  reconfig: Reconfigurer | null = null,
): PipelineOptions {
  return {
    role,
    localSessionsEnabled: config.quorum.localSessionsEnabled,
    localSessionsUpgradingEnabled: config.quorum.localSessionsUpgradingEnabled,
    reconfig,
    extendedTypes: config.extendedTypesEnabled,
    enforceQuota: config.enforceQuota,
    closeSessionTxn: config.closeSessionTxnEnabled,
    digest: config.treeDigestEnabled,
    reconfigEnabled: config.quorum.reconfigEnabled,
    juteLengthMax: lengthMaxOf(config),
    juteMaxBufferBytes: config.juteMaxBufferBytes,
    compat: config.compat,
    passwords: sessionPasswords(config.security),
    sessionTimeoutMinMs: config.sessionTimeoutMinMs,
    sessionTimeoutMaxMs: config.sessionTimeoutMaxMs,
    outstandingLimit: config.globalOutstandingLimit,
    requestThrottleMax: config.requestThrottleMaxRequests,
    dropStale: config.requestThrottleDropStale,
    staleConnectionCheck: config.requestStaleConnectionCheck,
    staleLatencyCheck: config.requestStaleLatencyCheck,
    throttledOpWaitMs: config.throttledOpWaitTimeMs,
    largeRequestBytes: config.largeRequestThresholdBytes,
    largeRequestsBytesMax: config.largeRequestMaxBytes,
    allowSaslFailedClients: config.sasl.allowFailedClients,
  }
}
