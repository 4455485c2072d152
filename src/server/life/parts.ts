/**
 * What every server is put together from, alone or in an ensemble: the state machine with its sinks, authentication,
 * and the options that the parts take out of one Config.
 */

import { createHash } from 'node:crypto'
import { type ApplySink, StateMachine } from '../../datatree/apply.ts'
import type { WatchSink } from '../../datatree/watches.ts'
import { type Zxid, zxidHex } from '../../jute/zxid.ts'
import type { FileSnapshotOptions } from '../../txnlog/filestore.ts'
import { RECOVER_DEFAULTS, type RecoverOptions } from '../../txnlog/recover.ts'
import type { TxnLogOptions } from '../../txnlog/txnlog.ts'
import { Auth } from '../access/auth.ts'
import { isSuperHash, parseSuperHash, superPassword } from '../access/superpassword.ts'
import type { Config } from '../config/config.ts'
import type { AuthScheme } from '../config/configsecurity.ts'
import type { Metrics } from '../report/metrics.ts'
import type { Pipeline } from '../requests/pipeline.ts'

/** Sinks that a state machine is born with, before the pipeline that answers them exists, and after. */
export class Relay {
  pipeline: Pipeline | null
  private readonly onDigestMismatch: (zxid: Zxid) => void
  private readonly metrics: Metrics | null

  constructor(onDigestMismatch: (zxid: Zxid) => void, metrics: Metrics | null = null) {
    this.pipeline = null
    this.metrics = metrics
    this.onDigestMismatch = onDigestMismatch
  }

  readonly watches: WatchSink = {
    onWatch: (conn, type, zxid, path, off, end, aclId) =>
      this.pipeline?.onWatch(conn, type, zxid, path, off, end, aclId),
    onTriggered: (type, count) => this.metrics?.addTriggered(type, count),
  }
  readonly apply: ApplySink = {
    onResult: (index, type, err, node) => this.pipeline?.applySink.onResult(index, type, err, node),
    onWritten: (buf, off, end, bytes) => this.metrics?.writePerNamespace.add(buf, off, end, bytes),
    onSessionCreated: (hi, lo, timeoutMs) => this.pipeline?.applySink.onSessionCreated(hi, lo, timeoutMs),
    onSessionClosed: (hi, lo) => this.pipeline?.applySink.onSessionClosed(hi, lo),
    // Counted during recovery as well, when there is no pipeline yet.
    onDigestMismatch: (zxid) => this.onDigestMismatch(zxid),
  }
}

/** `hashSeed`: unpredictable in production, so that no client can choose paths that collide. */
export function makeState(config: Config, relay: Relay, hashSeed: number): StateMachine {
  return new StateMachine(relay.watches, relay.apply, {
    digest: config.treeDigestEnabled,
    hashSeed,
    utf16Sizes: config.compat.dataSize,
    extendedTypes: config.extendedTypesEnabled,
    emulate353: config.emulate353TTLNodes,
  })
}

/** `superUser`: one for all that is made of a configuration, so that checks of its password wait for each other. */
export function makeAuth(config: Config, state: StateMachine, superUser = superUserOf(config)): Auth {
  const provided = (wanted: AuthScheme) => config.authProviders.some(({ scheme }) => scheme === wanted)
  const { anyUser, superUsers } = config.sasl
  return new Auth(state.tree.acls, {
    skipACL: config.skipACL,
    ...superUser,
    digestAuthEnabled: config.digestAuthEnabled,
    digest: digester(config.digestAlg),
    aclBytesMax: config.compat.identities ? lengthMaxOf(config) : config.juteMaxBufferBytes,
    ensembleNames: provided('ensemble') ? config.ensembleAuthNames : null,
    x509: provided('x509') ? { superUser: config.x509SuperUser } : null,
    sasl: { provided: provided('sasl'), anyUser, superUsers },
    enforcedSchemes: config.enforceAuthEnabled ? config.enforceAuthSchemes : [],
  })
}

export function superUserOf({ superDigest }: Config) {
  const text = superDigest?.reveal() ?? null
  if (text === null || !isSuperHash(text)) return { superDigest: text, superPassword: null }
  return { superDigest: null, superPassword: superPassword(parseSuperHash(text)!) }
}

/** `user:password` to the id that ACLs carry. */
function digester(algorithm: string): (idPassword: string) => string {
  return (idPassword) => {
    const colon = idPassword.indexOf(':')
    const user = colon < 0 ? idPassword : idPassword.slice(0, colon)
    return `${user}:${createHash(algorithm).update(idPassword, 'utf8').digest('base64')}`
  }
}

export function snapshotOptions(config: Config): FileSnapshotOptions {
  return {
    compression: config.snapshotCompression,
    digest: config.treeDigestEnabled,
    lastZxid: config.serializeLastProcessedZxid,
  }
}

export function recoverOptions(config: Config): RecoverOptions {
  return {
    ...RECOVER_DEFAULTS,
    trustEmpty: config.snapshotTrustEmpty,
    dbAutocreate: config.dbAutocreate,
    dirAutocreate: config.dataDirAutocreate,
    lengthMax: lengthMaxOf(config),
    snapshot: snapshotOptions(config),
  }
}

export function logOptions(config: Config): TxnLogOptions {
  return {
    preAllocBytes: config.preAllocBytes,
    sizeLimitBytes: config.txnLogSizeLimitBytes,
    forceSync: config.forceSync,
    fsyncWarnMs: config.fsyncWarningThresholdMs,
  }
}

/** The longest string, buffer or log entry believed. */
export function lengthMaxOf(config: Config): number {
  return config.juteMaxBufferBytes + config.juteExtraBytes
}

/** A zxid as operators know it. */
export function zxidText(zxid: Zxid): string {
  return `0x${zxidHex(zxid)}`
}
