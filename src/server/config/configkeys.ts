/**
 * Every setting that ZooKeeper 3.9.5 knows, and the few that are ours: where it may be written, and whether it does
 * something here.
 *
 * Three kinds of key, by where Java reads them:
 * - `file`: only the configuration file (fields of QuorumPeerConfig);
 * - `property`: a system property `zookeeper.<key>`. The file sets it too, without the prefix, and then overrides -D:
 *   QuorumPeerConfig turns every key it does not know into such a property;
 * - `jvm`: a system property named `<key>` itself, which the file cannot reach.
 */

export type KeyKind = 'file' | 'property' | 'jvm'

export interface KnownKey {
  readonly kind: KeyKind
  /** Why setting it changes nothing in this server; null when it does what it does in Java. */
  readonly noEffect: string | null
}

/** The key as the file or -D names it (without `zookeeper.` for properties), or null when nobody knows it. */
export function knownKey(key: string): KnownKey | null {
  const exact = KNOWN.get(key)
  if (exact !== undefined) return exact
  for (const [prefix, known] of FAMILIES) if (key.startsWith(prefix)) return known
  return null
}

/** The known key that differs from `key` in the fewest letters, or null when none is near enough to be meant. */
export function nearestKey(key: string): string | null {
  const plain = key.startsWith('zookeeper.') ? key.slice('zookeeper.'.length) : key
  const lower = plain.toLowerCase()
  let nearest: string | null = null
  let distanceMin = Math.max(2, Math.floor(plain.length * 0.4)) + 1
  for (const candidate of KNOWN.keys()) {
    const distance = editDistance(lower, candidate.toLowerCase(), distanceMin)
    if (distance < distanceMin) {
      distanceMin = distance
      nearest = candidate
    }
  }
  return nearest
}

/** -D names below `zookeeper.` that configure Java's own logging, management or clients: nothing to say about them. */
export function isForeignProperty(name: string): boolean {
  return FOREIGN.test(name)
}

/** -D names without the prefix that look like a misspelt `jvm` key. */
export function looksLikeJvmKey(name: string): boolean {
  return /^(jute|znode|readonlymode|fsync|leader|follower)\./.test(name)
}

const FOREIGN =
  /^zookeeper\.(log\.|console\.|tracelog\.|root\.logger|auditlog|audit\.logger|jmx\.|client(\.|CnxnSocket)|sasl\.client|server\.(principal|realm)|disableAutoWatchReset|kinit|version$|request\.timeout|shuffleServers)/

const THREADS = 'there are no worker threads to size: one event loop serves every connection'
const NO_CACHE = 'there is no response cache: replies are copied straight from the tree'
const WATCHES = 'there is one kind of watch table, and it cleans up as connections close'
const NO_JVM = 'there is no JVM here'
const BATCHING = 'writes are grouped by what arrives during the previous disk sync, without a delay to tune'
const NO_CANONICAL = 'names of hosts are taken as they are written'
const ONE_HTTP = 'the admin server speaks HTTP/1.1'
const NO_STATS = 'requests are not sampled by path'
const NO_STALL = 'a request that waits goes on as soon as there is room, without a pause to tune'
const NO_TUNING = 'there is nothing of that kind to tune here'
const NO_ORACLE = 'there is no oracle: two voters need each other'
const NO_PROBE = 'all addresses of a server are tried at once, at every attempt'
const OPENSSL = 'TLS is always done by OpenSSL, and host names are always checked in one way'
const NETTY = 'the network layer is not Netty'

const KNOWN: ReadonlyMap<string, KnownKey> = table([
  [
    'file',
    null,
    'dataDir dataLogDir clientPort clientPortAddress tickTime minSessionTimeout ' +
      'maxSessionTimeout initLimit syncLimit connectToLearnerMasterLimit maxClientCnxns clientPortListenBacklog ' +
      'autopurge.snapRetainCount autopurge.purgeInterval dynamicConfigFile standaloneEnabled reconfigEnabled electionAlg ' +
      'peerType version metricsProvider.className secureClientPort secureClientPortAddress',
  ],
  [
    'file',
    null,
    'multiAddress.enabled syncEnabled localSessionsEnabled localSessionsUpgradingEnabled quorumListenOnAllIPs ' +
      'observerMasterPort',
  ],
  ['file', NO_ORACLE, 'oraclePath'],
  ['file', NO_PROBE, 'multiAddress.reachabilityCheckEnabled multiAddress.reachabilityCheckTimeoutMs'],
  ['file', null, 'sslQuorum portUnification sslQuorumReloadCertFiles'],
  [
    'file',
    null,
    'quorum.auth.enableSasl quorum.auth.learnerRequireSasl quorum.auth.serverRequireSasl ' +
      'quorum.auth.learner.saslLoginContext quorum.auth.server.saslLoginContext quorum.auth.kerberos.servicePrincipal',
  ],
  ['file', THREADS, 'quorum.cnxn.threads.size'],
  ['file', NO_JVM, 'jvm.pause.monitor jvm.pause.sleep.time.ms jvm.pause.info-threshold.ms jvm.pause.warn-threshold.ms'],
  [
    'property',
    null,
    'maxCnxns snapCount snapSizeLimitInKb txnLogSizeLimitInKb preAllocSize forceSync ' +
      'fsync.warningthresholdms snapshot.compression.method snapshot.trust.empty serializeLastProcessedZxid.enabled ' +
      'digest.enabled closeSessionTxn.enabled datadir.autocreate db.autocreate globalOutstandingLimit ' +
      'extendedTypesEnabled emulate353TTLNodes enforceQuota 4lw.commands.whitelist skipACL ' +
      'DigestAuthenticationProvider.superDigest DigestAuthenticationProvider.digestAlg ' +
      'DigestAuthenticationProvider.enabled enforce.auth.enabled enforce.auth.schemes sessionRequireClientSASLAuth ' +
      'ensembleAuthName serverCnxnFactory nio.sessionlessCnxnTimeout clientTcpKeepAlive ' +
      'request_throttle_max_requests request_throttle_drop_stale request_stale_connection_check ' +
      'request_stale_latency_check throttled_op_wait_time largeRequestThreshold largeRequestMaxBytes connection_throttle_tokens connection_throttle_fill_time connection_throttle_fill_count ' +
      'connection_throttle_freeze_time connection_throttle_drop_increase connection_throttle_drop_decrease ' +
      'connection_throttle_decrease_ratio connection_throttle_weight_enabled connection_throttle_global_session_weight ' +
      'connection_throttle_renew_session_weight connection_throttle_local_session_weight',
  ],
  ['property', NO_STALL, 'request_throttle_stall_time'],
  ['property', BATCHING, 'flushDelay maxWriteQueuePollTime maxBatchSize'],
  [
    'property',
    null,
    'commitLogCount snapshotSizeFactor observer.syncEnabled leaderServes cnxTimeout electionPortBindRetry ' +
      'fastleader.minNotificationInterval fastleader.maxNotificationInterval leader.maxConcurrentSnapSyncs ' +
      'leader.maxConcurrentDiffSyncs leader.maxTimeToWaitForEpoch forceSnapshotSync leaderConnectDelayDuringRetryMs ' +
      'observer.election.DelayMs tcpKeepAlive quorumCnxnTimeoutMs',
  ],
  ['property', null, 'audit.enable audit.impl.class'],
  ['property', null, 'autoRepair storageResumeRoomInKb snapshot.store audit.file unsentMaxInKb unsentTotalMaxInKb'],
  ['property', null, 'security security.allow sessionPassword sessionPassword.keyFile'],
  [
    'property',
    NO_TUNING,
    'enableEagerACLCheck leader.ackLoggingFrequency learner.asyncSending ' +
      'learner.closeSocketAsync leader.closeSocketAsync observer.reconnectDelayMs observerMaster.sizeLimit ' +
      'follower.skipLearnerRequestToNextProcessor forward_learner_requests_to_commit_processor_disabled ' +
      'testingonly.initialZxid',
  ],
  [
    'property',
    THREADS,
    'commitProcessor.numWorkerThreads commitProcessor.maxReadBatchSize commitProcessor.maxCommitBatchSize ' +
      'commitProcessor.shutdownTimeout nio.numSelectorThreads nio.numWorkerThreads nio.directBufferBytes ' +
      'nio.shutdownTimeout request_throttler.shutdownTimeout intBufferStartingSizeBytes',
  ],
  ['property', NO_CACHE, 'maxResponseCacheSize maxGetChildrenResponseCacheSize'],
  [
    'property',
    WATCHES,
    'watchManagerName watcherCleanThreshold watcherCleanIntervalInSeconds watcherCleanThreadsNum ' +
      'maxInProcessingDeadWatchers bitHashCacheSize',
  ],
  [
    'property',
    null,
    'ssl.keyStore.location ssl.keyStore.password ssl.keyStore.passwordPath ssl.keyStore.type ssl.trustStore.location ' +
      'ssl.trustStore.password ssl.trustStore.passwordPath ssl.trustStore.type ssl.protocol ssl.enabledProtocols ' +
      'ssl.ciphersuites ssl.clientAuth ssl.hostnameVerification ssl.clientHostnameVerification ' +
      'ssl.allowReverseDnsLookup ssl.crl ssl.crl.location ssl.ocsp ssl.handshakeDetectionTimeoutMillis ' +
      'ssl.authProvider ssl.context.supplier.class client.portUnification client.certReload ' +
      'X509AuthenticationProvider.superUser ssl.x509.clientCertIdType ssl.x509.clientCertIdSanMatchType ' +
      'ssl.x509.clientCertIdSanMatchRegex ssl.x509.clientCertIdSanExtractRegex ' +
      'ssl.x509.clientCertIdSanExtractMatcherGroupIndex netty.server.outstandingHandshake.limit ' +
      'netty.server.earlyDropSecureConnectionHandshakes',
  ],
  ['property', OPENSSL, 'ssl.sslProvider fips-mode'],
  ['property', NETTY, 'netty.advancedFlowControl.enabled'],
  [
    'property',
    null,
    'admin.enableServer admin.serverAddress admin.serverPort admin.idleTimeout admin.commandURL ' +
      'admin.portUnification admin.forceHttps admin.needClientAuth admin.snapshot.enabled admin.restore.enabled ' +
      'admin.rateLimiterIntervalInMS IPAuthenticationProvider.usexforwardedfor',
  ],
  ['property', null, 'admin.token admin.tokenPath admin.allowedHosts admin.trustedProxies admin.restore.maxMb'],
  ['property', ONE_HTTP, 'admin.httpVersion'],
  [
    'file',
    THREADS,
    'metricsProvider.numWorkerThreads metricsProvider.maxQueueSize metricsProvider.workerShutdownTimeoutMs',
  ],
  [
    'property',
    NO_STATS,
    'pathStats.enabled pathStats.sampleRate pathStats.slotCapacity pathStats.slotDuration pathStats.maxDepth ' +
      'pathStats.topPathMax pathStats.initialDelay pathStats.delay messageTracker.Enabled messageTracker.BufferSize',
  ],
  [
    'property',
    null,
    'sasl.serverconfig allowSaslFailedClients letAnySaslUserDoX superUser SASLAuthenticationProvider.superPassword ' +
      'kerberos.removeHostFromPrincipal kerberos.removeRealmFromPrincipal security.auth_to_local requireKerberosConfig',
  ],
  ['property', NO_CANONICAL, 'kerberos.canonicalizeHostNames'],
  [
    'jvm',
    null,
    'jute.maxbuffer jute.maxbuffer.extrasize znode.container.checkIntervalMs znode.container.maxPerMinute ' +
      'znode.container.maxNeverUsedIntervalMs readonlymode.enabled java.security.auth.login.config ' +
      'java.security.krb5.conf java.security.krb5.realm java.security.krb5.kdc',
  ],
  ['jvm', NO_TUNING, 'leader.nodelay follower.nodelay'],
])

/** Keys with a name of the operator's choosing after the prefix. Longer prefixes first. */
const FAMILIES: ReadonlyArray<readonly [string, KnownKey]> = [
  ['server.', { kind: 'file', noEffect: null }],
  ['group', { kind: 'file', noEffect: null }],
  ['weight', { kind: 'file', noEffect: null }],
  ['metricsProvider.', { kind: 'file', noEffect: null }],
  ['compat.', { kind: 'property', noEffect: null }],
  ['authProvider.', { kind: 'property', noEffect: null }],
  ['superUser.', { kind: 'property', noEffect: null }],
  ['ssl.quorum.', { kind: 'property', noEffect: null }],
]

function table(rows: ReadonlyArray<readonly [KeyKind, string | null, string]>): Map<string, KnownKey> {
  const keys = new Map<string, KnownKey>()
  for (const [kind, noEffect, names] of rows) for (const name of names.split(' ')) keys.set(name, { kind, noEffect })
  return keys
}

/** Levenshtein distance, or `limit` as soon as it cannot be less. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + change))
    }
    row = next
  }
  return Math.min(limit, row[b.length]!)
}
