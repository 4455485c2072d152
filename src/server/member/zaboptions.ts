/** What the core of agreement takes out of one Config. */

import type { ZabOptions } from '../../zab/types.ts'
import type { Config } from '../config/config.ts'

export function zabOptions(config: Config): ZabOptions {
  const { quorum } = config
  return {
    sid: config.serverId!,
    tickMs: config.tickTimeMs,
    initLimitTicks: quorum.initLimitTicks,
    syncLimitTicks: quorum.syncLimitTicks,
    connectLimitTicks: quorum.connectToLearnerMasterLimitTicks,
    commitLogCount: config.commitLogCount,
    txnLogSync: quorum.snapshotSizeFactor >= 0,
    forceSnapshotSync: quorum.forceSnapshotSync,
    heldBytesMax: 256 * 1024 * 1024,
    historyBytes: 1024 * 1024,
    snapSyncsMax: quorum.snapSyncsMax,
    diffSyncsMax: quorum.diffSyncsMax,
    reconfigEnabled: quorum.reconfigEnabled,
    connectDelayMs: quorum.connectDelayMs,
    observerDelayMs: quorum.observerDelayMs,
    epochWaitMs: quorum.epochWaitMs,
    notificationMinMs: quorum.notificationMinMs,
    notificationMaxMs: quorum.notificationMaxMs,
    finalizeWaitMs: 200,
    finalizeAlways: config.compat.electionWait,
    ignoreLaterEpochs: config.compat.laterEpochs,
    multiAddress: quorum.multiAddressEnabled,
    observerSyncs: quorum.observerSyncs,
    observerMasters: quorum.observerMasterPort > 0,
  }
}
