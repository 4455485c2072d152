/** What a pipeline takes out of the configuration. */

import type { Config } from './config.ts'
import { lengthMaxOf } from './parts.ts'
import type { PipelineOptions } from './pipeline.ts'

export function pipelineOptions(config: Config): PipelineOptions {
  return {
    extendedTypes: config.extendedTypesEnabled,
    enforceQuota: config.enforceQuota,
    closeSessionTxn: config.closeSessionTxnEnabled,
    digest: config.treeDigestEnabled,
    reconfigEnabled: config.quorum.reconfigEnabled,
    juteLengthMax: lengthMaxOf(config),
    sessionTimeoutMinMs: config.sessionTimeoutMinMs,
    sessionTimeoutMaxMs: config.sessionTimeoutMaxMs,
    outstandingLimit: config.globalOutstandingLimit,
    requestThrottleMax: config.requestThrottleMaxRequests,
    largeRequestBytes: config.largeRequestThresholdBytes,
    largeRequestsBytesMax: config.largeRequestMaxBytes,
  }
}
