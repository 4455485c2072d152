/**
 * Generated from zookeeper.jute by generate.ts: change the schema and run `npm run generate`.
 *
 * Buffers that a reader returns are borrowed from the input. A vector's count is checked against what is left before
 * any memory is taken for it. Malformed bytes are a ProtocolError.
 */

import type { Input } from './input.ts'
import type { Output } from './output.ts'
import { readLong, writeLong, type Zxid } from './zxid.ts'

function readVector<T>(inp: Input, itemBytesMin: number, readItem: (inp: Input) => T): T[] | null {
  const count = inp.count(itemBytesMin)
  if (count < 0) return null
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(readItem(inp))
  return items
}

function writeVector<T>(out: Output, items: readonly T[] | null, writeItem: (out: Output, item: T) => void): void {
  out.int(items === null ? -1 : items.length)
  if (items !== null) for (const item of items) writeItem(out, item)
}

const readString = (inp: Input): string | null => inp.string()
const writeString = (out: Output, value: string | null): void => out.string(value)

/** Whom a permission is given to. */
export interface Id {
  scheme: string | null
  id: string | null
}

export function readId(inp: Input): Id {
  return {
    scheme: inp.string(),
    id: inp.string(),
  }
}

export function writeId(out: Output, x: Id): void {
  out.string(x.scheme)
  out.string(x.id)
}

export interface ACL {
  /** bits of Perm */
  perms: number
  id: Id
}

export function readACL(inp: Input): ACL {
  return {
    perms: inp.int(),
    id: readId(inp),
  }
}

export function writeACL(out: Output, x: ACL): void {
  out.int(x.perms)
  writeId(out, x.id)
}

export const STAT_BYTES = 68

/** What a client sees of a node. */
export interface Stat {
  /** created by */
  czxid: Zxid
  /** data last changed by */
  mzxid: Zxid
  ctime: number
  mtime: number
  /** of the data */
  version: number
  /** of the set of children */
  cversion: number
  /** of the ACL */
  aversion: number
  /** session; 0 when the node is not ephemeral */
  ephemeralOwnerHi: number
  ephemeralOwnerLo: number
  dataLength: number
  numChildren: number
  /** set of children last changed by */
  pzxid: Zxid
}

export function readStat(inp: Input): Stat {
  const at = inp.take(STAT_BYTES)
  const view = inp.view
  return {
    czxid: readLong(view, at),
    mzxid: readLong(view, at + 8),
    ctime: readLong(view, at + 16),
    mtime: readLong(view, at + 24),
    version: view.getInt32(at + 32),
    cversion: view.getInt32(at + 36),
    aversion: view.getInt32(at + 40),
    ephemeralOwnerHi: view.getInt32(at + 44),
    ephemeralOwnerLo: view.getInt32(at + 48),
    dataLength: view.getInt32(at + 52),
    numChildren: view.getInt32(at + 56),
    pzxid: readLong(view, at + 60),
  }
}

export function writeStat(out: Output, x: Stat): void {
  out.reserve(STAT_BYTES)
  const view = out.view
  const at = out.pos
  writeLong(view, at, x.czxid)
  writeLong(view, at + 8, x.mzxid)
  writeLong(view, at + 16, x.ctime)
  writeLong(view, at + 24, x.mtime)
  view.setInt32(at + 32, x.version)
  view.setInt32(at + 36, x.cversion)
  view.setInt32(at + 40, x.aversion)
  view.setInt32(at + 44, x.ephemeralOwnerHi)
  view.setInt32(at + 48, x.ephemeralOwnerLo)
  view.setInt32(at + 52, x.dataLength)
  view.setInt32(at + 56, x.numChildren)
  writeLong(view, at + 60, x.pzxid)
  out.pos = at + STAT_BYTES
}

export const STAT_PERSISTED_BYTES = 60

/** What a snapshot keeps of a node's Stat. */
export interface StatPersisted {
  czxid: Zxid
  mzxid: Zxid
  ctime: number
  mtime: number
  version: number
  /** creations of children only */
  cversion: number
  aversion: number
  /** session, or the marks of container and TTL nodes */
  ephemeralOwnerHi: number
  ephemeralOwnerLo: number
  pzxid: Zxid
}

export function readStatPersisted(inp: Input): StatPersisted {
  const at = inp.take(STAT_PERSISTED_BYTES)
  const view = inp.view
  return {
    czxid: readLong(view, at),
    mzxid: readLong(view, at + 8),
    ctime: readLong(view, at + 16),
    mtime: readLong(view, at + 24),
    version: view.getInt32(at + 32),
    cversion: view.getInt32(at + 36),
    aversion: view.getInt32(at + 40),
    ephemeralOwnerHi: view.getInt32(at + 44),
    ephemeralOwnerLo: view.getInt32(at + 48),
    pzxid: readLong(view, at + 52),
  }
}

export function writeStatPersisted(out: Output, x: StatPersisted): void {
  out.reserve(STAT_PERSISTED_BYTES)
  const view = out.view
  const at = out.pos
  writeLong(view, at, x.czxid)
  writeLong(view, at + 8, x.mzxid)
  writeLong(view, at + 16, x.ctime)
  writeLong(view, at + 24, x.mtime)
  view.setInt32(at + 32, x.version)
  view.setInt32(at + 36, x.cversion)
  view.setInt32(at + 40, x.aversion)
  view.setInt32(at + 44, x.ephemeralOwnerHi)
  view.setInt32(at + 48, x.ephemeralOwnerLo)
  writeLong(view, at + 52, x.pzxid)
  out.pos = at + STAT_PERSISTED_BYTES
}

/** One identity of a connection, as whoAmI tells it. */
export interface ClientInfo {
  authScheme: string | null
  user: string | null
}

export function readClientInfo(inp: Input): ClientInfo {
  return {
    authScheme: inp.string(),
    user: inp.string(),
  }
}

export function writeClientInfo(out: Output, x: ClientInfo): void {
  out.string(x.authScheme)
  out.string(x.user)
}

/** The first frame of a client. */
export interface ConnectRequest {
  /** ignored */
  protocolVersion: number
  /** may be any 64-bit value: beyond 2^53 only good for comparing */
  lastZxidSeen: Zxid
  /** wish, in ms */
  timeOut: number
  /** 0 asks for a new session */
  sessionIdHi: number
  sessionIdLo: number
  passwd: Uint8Array | null
  /** clients before 3.4 leave it out */
  readOnly: boolean | null
}

export function readConnectRequest(inp: Input): ConnectRequest {
  return {
    protocolVersion: inp.int(),
    lastZxidSeen: inp.long(),
    timeOut: inp.int(),
    sessionIdHi: inp.int(),
    sessionIdLo: inp.int(),
    passwd: inp.buffer(),
    readOnly: inp.remaining > 0 ? inp.bool() : null,
  }
}

export function writeConnectRequest(out: Output, x: ConnectRequest): void {
  out.int(x.protocolVersion)
  out.long(x.lastZxidSeen)
  out.int(x.timeOut)
  out.words(x.sessionIdHi, x.sessionIdLo)
  out.buffer(x.passwd)
  if (x.readOnly !== null) out.bool(x.readOnly)
}

export interface ConnectResponse {
  protocolVersion: number
  /** granted, in ms; 0 when the session is refused */
  timeOut: number
  sessionIdHi: number
  sessionIdLo: number
  /** 16 bytes */
  passwd: Uint8Array | null
  /** left out when the request left it out */
  readOnly: boolean | null
}

export function readConnectResponse(inp: Input): ConnectResponse {
  return {
    protocolVersion: inp.int(),
    timeOut: inp.int(),
    sessionIdHi: inp.int(),
    sessionIdLo: inp.int(),
    passwd: inp.buffer(),
    readOnly: inp.remaining > 0 ? inp.bool() : null,
  }
}

export function writeConnectResponse(out: Output, x: ConnectResponse): void {
  out.int(x.protocolVersion)
  out.int(x.timeOut)
  out.words(x.sessionIdHi, x.sessionIdLo)
  out.buffer(x.passwd)
  if (x.readOnly !== null) out.bool(x.readOnly)
}

export const REQUEST_HEADER_BYTES = 8

export interface RequestHeader {
  xid: number
  /** an OpCode */
  type: number
}

export function readRequestHeader(inp: Input): RequestHeader {
  const at = inp.take(REQUEST_HEADER_BYTES)
  const view = inp.view
  return {
    xid: view.getInt32(at),
    type: view.getInt32(at + 4),
  }
}

export function writeRequestHeader(out: Output, x: RequestHeader): void {
  out.reserve(REQUEST_HEADER_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.xid)
  view.setInt32(at + 4, x.type)
  out.pos = at + REQUEST_HEADER_BYTES
}

export const REPLY_HEADER_BYTES = 16

export interface ReplyHeader {
  xid: number
  zxid: Zxid
  /** an Err */
  err: number
}

export function readReplyHeader(inp: Input): ReplyHeader {
  const at = inp.take(REPLY_HEADER_BYTES)
  const view = inp.view
  return {
    xid: view.getInt32(at),
    zxid: readLong(view, at + 4),
    err: view.getInt32(at + 12),
  }
}

export function writeReplyHeader(out: Output, x: ReplyHeader): void {
  out.reserve(REPLY_HEADER_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.xid)
  writeLong(view, at + 4, x.zxid)
  view.setInt32(at + 12, x.err)
  out.pos = at + REPLY_HEADER_BYTES
}

export const MULTI_HEADER_BYTES = 9

/** Before each operation of a multi and each of its results. */
export interface MultiHeader {
  type: number
  /** true only in the terminator */
  done: boolean
  err: number
}

export function readMultiHeader(inp: Input): MultiHeader {
  const at = inp.take(MULTI_HEADER_BYTES)
  const view = inp.view
  return {
    type: view.getInt32(at),
    done: view.getInt8(at + 4) !== 0,
    err: view.getInt32(at + 5),
  }
}

export function writeMultiHeader(out: Output, x: MultiHeader): void {
  out.reserve(MULTI_HEADER_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.type)
  view.setInt8(at + 4, x.done ? 1 : 0)
  view.setInt32(at + 5, x.err)
  out.pos = at + MULTI_HEADER_BYTES
}

export interface AuthPacket {
  /** 0, ignored */
  type: number
  scheme: string | null
  auth: Uint8Array | null
}

export function readAuthPacket(inp: Input): AuthPacket {
  return {
    type: inp.int(),
    scheme: inp.string(),
    auth: inp.buffer(),
  }
}

export function writeAuthPacket(out: Output, x: AuthPacket): void {
  out.int(x.type)
  out.string(x.scheme)
  out.buffer(x.auth)
}

export interface WatcherEvent {
  /** an EventType */
  type: number
  state: number
  path: string | null
}

export function readWatcherEvent(inp: Input): WatcherEvent {
  return {
    type: inp.int(),
    state: inp.int(),
    path: inp.string(),
  }
}

export function writeWatcherEvent(out: Output, x: WatcherEvent): void {
  out.int(x.type)
  out.int(x.state)
  out.string(x.path)
}

/** create, create2 and createContainer. */
export interface CreateRequest {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  /** a CreateMode */
  flags: number
}

export function readCreateRequest(inp: Input): CreateRequest {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    flags: inp.int(),
  }
}

export function writeCreateRequest(out: Output, x: CreateRequest): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.int(x.flags)
}

export interface CreateTTLRequest {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  flags: number
  /** ms; may be any 64-bit value */
  ttl: number
}

export function readCreateTTLRequest(inp: Input): CreateTTLRequest {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    flags: inp.int(),
    ttl: inp.long(),
  }
}

export function writeCreateTTLRequest(out: Output, x: CreateTTLRequest): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.int(x.flags)
  out.long(x.ttl)
}

export interface DeleteRequest {
  path: string | null
  /** -1 matches any */
  version: number
}

export function readDeleteRequest(inp: Input): DeleteRequest {
  return {
    path: inp.string(),
    version: inp.int(),
  }
}

export function writeDeleteRequest(out: Output, x: DeleteRequest): void {
  out.string(x.path)
  out.int(x.version)
}

export interface DeleteContainerRequest {
  path: string | null
}

export function readDeleteContainerRequest(inp: Input): DeleteContainerRequest {
  return {
    path: inp.string(),
  }
}

export function writeDeleteContainerRequest(out: Output, x: DeleteContainerRequest): void {
  out.string(x.path)
}

export interface CheckVersionRequest {
  path: string | null
  version: number
}

export function readCheckVersionRequest(inp: Input): CheckVersionRequest {
  return {
    path: inp.string(),
    version: inp.int(),
  }
}

export function writeCheckVersionRequest(out: Output, x: CheckVersionRequest): void {
  out.string(x.path)
  out.int(x.version)
}

export interface SetDataRequest {
  path: string | null
  data: Uint8Array | null
  version: number
}

export function readSetDataRequest(inp: Input): SetDataRequest {
  return {
    path: inp.string(),
    data: inp.buffer(),
    version: inp.int(),
  }
}

export function writeSetDataRequest(out: Output, x: SetDataRequest): void {
  out.string(x.path)
  out.buffer(x.data)
  out.int(x.version)
}

export interface SetACLRequest {
  path: string | null
  acl: ACL[] | null
  version: number
}

export function readSetACLRequest(inp: Input): SetACLRequest {
  return {
    path: inp.string(),
    acl: readVector(inp, 12, readACL),
    version: inp.int(),
  }
}

export function writeSetACLRequest(out: Output, x: SetACLRequest): void {
  out.string(x.path)
  writeVector(out, x.acl, writeACL)
  out.int(x.version)
}

export interface GetDataRequest {
  path: string | null
  watch: boolean
}

export function readGetDataRequest(inp: Input): GetDataRequest {
  return {
    path: inp.string(),
    watch: inp.bool(),
  }
}

export function writeGetDataRequest(out: Output, x: GetDataRequest): void {
  out.string(x.path)
  out.bool(x.watch)
}

export interface ExistsRequest {
  path: string | null
  watch: boolean
}

export function readExistsRequest(inp: Input): ExistsRequest {
  return {
    path: inp.string(),
    watch: inp.bool(),
  }
}

export function writeExistsRequest(out: Output, x: ExistsRequest): void {
  out.string(x.path)
  out.bool(x.watch)
}

export interface GetChildrenRequest {
  path: string | null
  watch: boolean
}

export function readGetChildrenRequest(inp: Input): GetChildrenRequest {
  return {
    path: inp.string(),
    watch: inp.bool(),
  }
}

export function writeGetChildrenRequest(out: Output, x: GetChildrenRequest): void {
  out.string(x.path)
  out.bool(x.watch)
}

export interface GetChildren2Request {
  path: string | null
  watch: boolean
}

export function readGetChildren2Request(inp: Input): GetChildren2Request {
  return {
    path: inp.string(),
    watch: inp.bool(),
  }
}

export function writeGetChildren2Request(out: Output, x: GetChildren2Request): void {
  out.string(x.path)
  out.bool(x.watch)
}

export interface GetACLRequest {
  path: string | null
}

export function readGetACLRequest(inp: Input): GetACLRequest {
  return {
    path: inp.string(),
  }
}

export function writeGetACLRequest(out: Output, x: GetACLRequest): void {
  out.string(x.path)
}

export interface SyncRequest {
  path: string | null
}

export function readSyncRequest(inp: Input): SyncRequest {
  return {
    path: inp.string(),
  }
}

export function writeSyncRequest(out: Output, x: SyncRequest): void {
  out.string(x.path)
}

export interface GetAllChildrenNumberRequest {
  path: string | null
}

export function readGetAllChildrenNumberRequest(inp: Input): GetAllChildrenNumberRequest {
  return {
    path: inp.string(),
  }
}

export function writeGetAllChildrenNumberRequest(out: Output, x: GetAllChildrenNumberRequest): void {
  out.string(x.path)
}

export interface GetEphemeralsRequest {
  prefixPath: string | null
}

export function readGetEphemeralsRequest(inp: Input): GetEphemeralsRequest {
  return {
    prefixPath: inp.string(),
  }
}

export function writeGetEphemeralsRequest(out: Output, x: GetEphemeralsRequest): void {
  out.string(x.prefixPath)
}

export interface AddWatchRequest {
  path: string | null
  /** an AddWatchMode */
  mode: number
}

export function readAddWatchRequest(inp: Input): AddWatchRequest {
  return {
    path: inp.string(),
    mode: inp.int(),
  }
}

export function writeAddWatchRequest(out: Output, x: AddWatchRequest): void {
  out.string(x.path)
  out.int(x.mode)
}

export interface CheckWatchesRequest {
  path: string | null
  /** a WatcherType */
  type: number
}

export function readCheckWatchesRequest(inp: Input): CheckWatchesRequest {
  return {
    path: inp.string(),
    type: inp.int(),
  }
}

export function writeCheckWatchesRequest(out: Output, x: CheckWatchesRequest): void {
  out.string(x.path)
  out.int(x.type)
}

export interface RemoveWatchesRequest {
  path: string | null
  /** a WatcherType */
  type: number
}

export function readRemoveWatchesRequest(inp: Input): RemoveWatchesRequest {
  return {
    path: inp.string(),
    type: inp.int(),
  }
}

export function writeRemoveWatchesRequest(out: Output, x: RemoveWatchesRequest): void {
  out.string(x.path)
  out.int(x.type)
}

export interface SetWatches {
  /** may be any 64-bit value */
  relativeZxid: Zxid
  dataWatches: (string | null)[] | null
  existWatches: (string | null)[] | null
  childWatches: (string | null)[] | null
}

export function readSetWatches(inp: Input): SetWatches {
  return {
    relativeZxid: inp.long(),
    dataWatches: readVector(inp, 4, readString),
    existWatches: readVector(inp, 4, readString),
    childWatches: readVector(inp, 4, readString),
  }
}

export function writeSetWatches(out: Output, x: SetWatches): void {
  out.long(x.relativeZxid)
  writeVector(out, x.dataWatches, writeString)
  writeVector(out, x.existWatches, writeString)
  writeVector(out, x.childWatches, writeString)
}

export interface SetWatches2 {
  /** may be any 64-bit value */
  relativeZxid: Zxid
  dataWatches: (string | null)[] | null
  existWatches: (string | null)[] | null
  childWatches: (string | null)[] | null
  persistentWatches: (string | null)[] | null
  persistentRecursiveWatches: (string | null)[] | null
}

export function readSetWatches2(inp: Input): SetWatches2 {
  return {
    relativeZxid: inp.long(),
    dataWatches: readVector(inp, 4, readString),
    existWatches: readVector(inp, 4, readString),
    childWatches: readVector(inp, 4, readString),
    persistentWatches: readVector(inp, 4, readString),
    persistentRecursiveWatches: readVector(inp, 4, readString),
  }
}

export function writeSetWatches2(out: Output, x: SetWatches2): void {
  out.long(x.relativeZxid)
  writeVector(out, x.dataWatches, writeString)
  writeVector(out, x.existWatches, writeString)
  writeVector(out, x.childWatches, writeString)
  writeVector(out, x.persistentWatches, writeString)
  writeVector(out, x.persistentRecursiveWatches, writeString)
}

export interface ReconfigRequest {
  /** null: absent; so for the next two */
  joiningServers: string | null
  leavingServers: string | null
  newMembers: string | null
  /** version the change builds on; -1 is any */
  curConfigId: Zxid
}

export function readReconfigRequest(inp: Input): ReconfigRequest {
  return {
    joiningServers: inp.string(),
    leavingServers: inp.string(),
    newMembers: inp.string(),
    curConfigId: inp.long(),
  }
}

export function writeReconfigRequest(out: Output, x: ReconfigRequest): void {
  out.string(x.joiningServers)
  out.string(x.leavingServers)
  out.string(x.newMembers)
  out.long(x.curConfigId)
}

export interface GetSASLRequest {
  token: Uint8Array | null
}

export function readGetSASLRequest(inp: Input): GetSASLRequest {
  return {
    token: inp.buffer(),
  }
}

export function writeGetSASLRequest(out: Output, x: GetSASLRequest): void {
  out.buffer(x.token)
}

export interface CreateResponse {
  path: string | null
}

export function readCreateResponse(inp: Input): CreateResponse {
  return {
    path: inp.string(),
  }
}

export function writeCreateResponse(out: Output, x: CreateResponse): void {
  out.string(x.path)
}

export interface Create2Response {
  path: string | null
  stat: Stat
}

export function readCreate2Response(inp: Input): Create2Response {
  return {
    path: inp.string(),
    stat: readStat(inp),
  }
}

export function writeCreate2Response(out: Output, x: Create2Response): void {
  out.string(x.path)
  writeStat(out, x.stat)
}

export interface SetDataResponse {
  stat: Stat
}

export function readSetDataResponse(inp: Input): SetDataResponse {
  return {
    stat: readStat(inp),
  }
}

export function writeSetDataResponse(out: Output, x: SetDataResponse): void {
  writeStat(out, x.stat)
}

export interface SetACLResponse {
  stat: Stat
}

export function readSetACLResponse(inp: Input): SetACLResponse {
  return {
    stat: readStat(inp),
  }
}

export function writeSetACLResponse(out: Output, x: SetACLResponse): void {
  writeStat(out, x.stat)
}

export interface ExistsResponse {
  stat: Stat
}

export function readExistsResponse(inp: Input): ExistsResponse {
  return {
    stat: readStat(inp),
  }
}

export function writeExistsResponse(out: Output, x: ExistsResponse): void {
  writeStat(out, x.stat)
}

export interface GetDataResponse {
  data: Uint8Array | null
  stat: Stat
}

export function readGetDataResponse(inp: Input): GetDataResponse {
  return {
    data: inp.buffer(),
    stat: readStat(inp),
  }
}

export function writeGetDataResponse(out: Output, x: GetDataResponse): void {
  out.buffer(x.data)
  writeStat(out, x.stat)
}

export interface GetChildrenResponse {
  children: (string | null)[] | null
}

export function readGetChildrenResponse(inp: Input): GetChildrenResponse {
  return {
    children: readVector(inp, 4, readString),
  }
}

export function writeGetChildrenResponse(out: Output, x: GetChildrenResponse): void {
  writeVector(out, x.children, writeString)
}

export interface GetChildren2Response {
  children: (string | null)[] | null
  stat: Stat
}

export function readGetChildren2Response(inp: Input): GetChildren2Response {
  return {
    children: readVector(inp, 4, readString),
    stat: readStat(inp),
  }
}

export function writeGetChildren2Response(out: Output, x: GetChildren2Response): void {
  writeVector(out, x.children, writeString)
  writeStat(out, x.stat)
}

export interface GetACLResponse {
  acl: ACL[] | null
  stat: Stat
}

export function readGetACLResponse(inp: Input): GetACLResponse {
  return {
    acl: readVector(inp, 12, readACL),
    stat: readStat(inp),
  }
}

export function writeGetACLResponse(out: Output, x: GetACLResponse): void {
  writeVector(out, x.acl, writeACL)
  writeStat(out, x.stat)
}

export const GET_ALL_CHILDREN_NUMBER_RESPONSE_BYTES = 4

export interface GetAllChildrenNumberResponse {
  totalNumber: number
}

export function readGetAllChildrenNumberResponse(inp: Input): GetAllChildrenNumberResponse {
  const at = inp.take(GET_ALL_CHILDREN_NUMBER_RESPONSE_BYTES)
  const view = inp.view
  return {
    totalNumber: view.getInt32(at),
  }
}

export function writeGetAllChildrenNumberResponse(out: Output, x: GetAllChildrenNumberResponse): void {
  out.reserve(GET_ALL_CHILDREN_NUMBER_RESPONSE_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.totalNumber)
  out.pos = at + GET_ALL_CHILDREN_NUMBER_RESPONSE_BYTES
}

export interface GetEphemeralsResponse {
  ephemerals: (string | null)[] | null
}

export function readGetEphemeralsResponse(inp: Input): GetEphemeralsResponse {
  return {
    ephemerals: readVector(inp, 4, readString),
  }
}

export function writeGetEphemeralsResponse(out: Output, x: GetEphemeralsResponse): void {
  writeVector(out, x.ephemerals, writeString)
}

export interface SyncResponse {
  path: string | null
}

export function readSyncResponse(inp: Input): SyncResponse {
  return {
    path: inp.string(),
  }
}

export function writeSyncResponse(out: Output, x: SyncResponse): void {
  out.string(x.path)
}

export interface WhoAmIResponse {
  clientInfo: ClientInfo[] | null
}

export function readWhoAmIResponse(inp: Input): WhoAmIResponse {
  return {
    clientInfo: readVector(inp, 8, readClientInfo),
  }
}

export function writeWhoAmIResponse(out: Output, x: WhoAmIResponse): void {
  writeVector(out, x.clientInfo, writeClientInfo)
}

export const ERROR_RESPONSE_BYTES = 4

/** addWatch's reply, and a failed operation's place in a multi's. */
export interface ErrorResponse {
  /** an Err */
  err: number
}

export function readErrorResponse(inp: Input): ErrorResponse {
  const at = inp.take(ERROR_RESPONSE_BYTES)
  const view = inp.view
  return {
    err: view.getInt32(at),
  }
}

export function writeErrorResponse(out: Output, x: ErrorResponse): void {
  out.reserve(ERROR_RESPONSE_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.err)
  out.pos = at + ERROR_RESPONSE_BYTES
}

export interface SetSASLResponse {
  token: Uint8Array | null
}

export function readSetSASLResponse(inp: Input): SetSASLResponse {
  return {
    token: inp.buffer(),
  }
}

export function writeSetSASLResponse(out: Output, x: SetSASLResponse): void {
  out.buffer(x.token)
}

export const TXN_HEADER_BYTES = 32

export interface TxnHeader {
  /** session */
  clientIdHi: number
  clientIdLo: number
  /** the client's xid */
  cxid: number
  zxid: Zxid
  time: number
  /** an OpCode */
  type: number
}

export function readTxnHeader(inp: Input): TxnHeader {
  const at = inp.take(TXN_HEADER_BYTES)
  const view = inp.view
  return {
    clientIdHi: view.getInt32(at),
    clientIdLo: view.getInt32(at + 4),
    cxid: view.getInt32(at + 8),
    zxid: readLong(view, at + 12),
    time: readLong(view, at + 20),
    type: view.getInt32(at + 28),
  }
}

export function writeTxnHeader(out: Output, x: TxnHeader): void {
  out.reserve(TXN_HEADER_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.clientIdHi)
  view.setInt32(at + 4, x.clientIdLo)
  view.setInt32(at + 8, x.cxid)
  writeLong(view, at + 12, x.zxid)
  writeLong(view, at + 20, x.time)
  view.setInt32(at + 28, x.type)
  out.pos = at + TXN_HEADER_BYTES
}

export const TXN_DIGEST_BYTES = 12

/** The tree's digest after the transaction; behind the body where digests are on. */
export interface TxnDigest {
  version: number
  treeDigestHi: number
  treeDigestLo: number
}

export function readTxnDigest(inp: Input): TxnDigest {
  const at = inp.take(TXN_DIGEST_BYTES)
  const view = inp.view
  return {
    version: view.getInt32(at),
    treeDigestHi: view.getInt32(at + 4),
    treeDigestLo: view.getInt32(at + 8),
  }
}

export function writeTxnDigest(out: Output, x: TxnDigest): void {
  out.reserve(TXN_DIGEST_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.version)
  view.setInt32(at + 4, x.treeDigestHi)
  view.setInt32(at + 8, x.treeDigestLo)
  out.pos = at + TXN_DIGEST_BYTES
}

export interface CreateTxn {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  ephemeral: boolean
  /** -1: add one to whatever is there */
  parentCVersion: number
}

export function readCreateTxn(inp: Input): CreateTxn {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    ephemeral: inp.bool(),
    parentCVersion: inp.int(),
  }
}

export function writeCreateTxn(out: Output, x: CreateTxn): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.bool(x.ephemeral)
  out.int(x.parentCVersion)
}

/** CreateTxn as logs before 3.4 have it. */
export interface CreateTxnV0 {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  ephemeral: boolean
}

export function readCreateTxnV0(inp: Input): CreateTxnV0 {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    ephemeral: inp.bool(),
  }
}

export function writeCreateTxnV0(out: Output, x: CreateTxnV0): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.bool(x.ephemeral)
}

export interface CreateTTLTxn {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  parentCVersion: number
  /** ms */
  ttl: number
}

export function readCreateTTLTxn(inp: Input): CreateTTLTxn {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    parentCVersion: inp.int(),
    ttl: inp.long(),
  }
}

export function writeCreateTTLTxn(out: Output, x: CreateTTLTxn): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.int(x.parentCVersion)
  out.long(x.ttl)
}

export interface CreateContainerTxn {
  path: string | null
  data: Uint8Array | null
  acl: ACL[] | null
  parentCVersion: number
}

export function readCreateContainerTxn(inp: Input): CreateContainerTxn {
  return {
    path: inp.string(),
    data: inp.buffer(),
    acl: readVector(inp, 12, readACL),
    parentCVersion: inp.int(),
  }
}

export function writeCreateContainerTxn(out: Output, x: CreateContainerTxn): void {
  out.string(x.path)
  out.buffer(x.data)
  writeVector(out, x.acl, writeACL)
  out.int(x.parentCVersion)
}

/** delete and deleteContainer. */
export interface DeleteTxn {
  path: string | null
}

export function readDeleteTxn(inp: Input): DeleteTxn {
  return {
    path: inp.string(),
  }
}

export function writeDeleteTxn(out: Output, x: DeleteTxn): void {
  out.string(x.path)
}

/** setData and reconfig. */
export interface SetDataTxn {
  path: string | null
  data: Uint8Array | null
  /** the new one */
  version: number
}

export function readSetDataTxn(inp: Input): SetDataTxn {
  return {
    path: inp.string(),
    data: inp.buffer(),
    version: inp.int(),
  }
}

export function writeSetDataTxn(out: Output, x: SetDataTxn): void {
  out.string(x.path)
  out.buffer(x.data)
  out.int(x.version)
}

export interface SetACLTxn {
  path: string | null
  acl: ACL[] | null
  /** the new aversion */
  version: number
}

export function readSetACLTxn(inp: Input): SetACLTxn {
  return {
    path: inp.string(),
    acl: readVector(inp, 12, readACL),
    version: inp.int(),
  }
}

export function writeSetACLTxn(out: Output, x: SetACLTxn): void {
  out.string(x.path)
  writeVector(out, x.acl, writeACL)
  out.int(x.version)
}

export interface CheckVersionTxn {
  path: string | null
  version: number
}

export function readCheckVersionTxn(inp: Input): CheckVersionTxn {
  return {
    path: inp.string(),
    version: inp.int(),
  }
}

export function writeCheckVersionTxn(out: Output, x: CheckVersionTxn): void {
  out.string(x.path)
  out.int(x.version)
}

export const CREATE_SESSION_TXN_BYTES = 4

export interface CreateSessionTxn {
  /** ms */
  timeOut: number
}

export function readCreateSessionTxn(inp: Input): CreateSessionTxn {
  const at = inp.take(CREATE_SESSION_TXN_BYTES)
  const view = inp.view
  return {
    timeOut: view.getInt32(at),
  }
}

export function writeCreateSessionTxn(out: Output, x: CreateSessionTxn): void {
  out.reserve(CREATE_SESSION_TXN_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.timeOut)
  out.pos = at + CREATE_SESSION_TXN_BYTES
}

/** May be missing behind its header. */
export interface CloseSessionTxn {
  paths2Delete: (string | null)[] | null
}

export function readCloseSessionTxn(inp: Input): CloseSessionTxn {
  return {
    paths2Delete: readVector(inp, 4, readString),
  }
}

export function writeCloseSessionTxn(out: Output, x: CloseSessionTxn): void {
  writeVector(out, x.paths2Delete, writeString)
}

export const ERROR_TXN_BYTES = 4

export interface ErrorTxn {
  /** an Err */
  err: number
}

export function readErrorTxn(inp: Input): ErrorTxn {
  const at = inp.take(ERROR_TXN_BYTES)
  const view = inp.view
  return {
    err: view.getInt32(at),
  }
}

export function writeErrorTxn(out: Output, x: ErrorTxn): void {
  out.reserve(ERROR_TXN_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.err)
  out.pos = at + ERROR_TXN_BYTES
}

/** A part of a MultiTxn. */
export interface Txn {
  /** an OpCode */
  type: number
  data: Uint8Array | null
}

export function readTxn(inp: Input): Txn {
  return {
    type: inp.int(),
    data: inp.buffer(),
  }
}

export function writeTxn(out: Output, x: Txn): void {
  out.int(x.type)
  out.buffer(x.data)
}

export interface MultiTxn {
  txns: Txn[] | null
}

export function readMultiTxn(inp: Input): MultiTxn {
  return {
    txns: readVector(inp, 8, readTxn),
  }
}

export function writeMultiTxn(out: Output, x: MultiTxn): void {
  writeVector(out, x.txns, writeTxn)
}

export const FILE_HEADER_BYTES = 16

/** At the head of every log and snapshot file. */
export interface FileHeader {
  magic: number
  version: number
  dbid: number
}

export function readFileHeader(inp: Input): FileHeader {
  const at = inp.take(FILE_HEADER_BYTES)
  const view = inp.view
  return {
    magic: view.getInt32(at),
    version: view.getInt32(at + 4),
    dbid: readLong(view, at + 8),
  }
}

export function writeFileHeader(out: Output, x: FileHeader): void {
  out.reserve(FILE_HEADER_BYTES)
  const view = out.view
  const at = out.pos
  view.setInt32(at, x.magic)
  view.setInt32(at + 4, x.version)
  writeLong(view, at + 8, x.dbid)
  out.pos = at + FILE_HEADER_BYTES
}

/** Everything between a leader and its learners; no length before it. */
export interface QuorumPacket {
  type: number
  zxid: Zxid
  data: Uint8Array | null
  /** null but in a forwarded request */
  authinfo: Id[] | null
}

export function readQuorumPacket(inp: Input): QuorumPacket {
  return {
    type: inp.int(),
    zxid: inp.long(),
    data: inp.buffer(),
    authinfo: readVector(inp, 8, readId),
  }
}

export function writeQuorumPacket(out: Output, x: QuorumPacket): void {
  out.int(x.type)
  out.long(x.zxid)
  out.buffer(x.data)
  writeVector(out, x.authinfo, writeId)
}

export const LEARNER_INFO_BYTES = 20

/** The data of FOLLOWERINFO and OBSERVERINFO. Older learners send a prefix of it. */
export interface LearnerInfo {
  serverid: number
  protocolVersion: number
  configVersion: Zxid
}

export function readLearnerInfo(inp: Input): LearnerInfo {
  const at = inp.take(LEARNER_INFO_BYTES)
  const view = inp.view
  return {
    serverid: readLong(view, at),
    protocolVersion: view.getInt32(at + 8),
    configVersion: readLong(view, at + 12),
  }
}

export function writeLearnerInfo(out: Output, x: LearnerInfo): void {
  out.reserve(LEARNER_INFO_BYTES)
  const view = out.view
  const at = out.pos
  writeLong(view, at, x.serverid)
  view.setInt32(at + 8, x.protocolVersion)
  writeLong(view, at + 12, x.configVersion)
  out.pos = at + LEARNER_INFO_BYTES
}

/** SASL between servers, before the first QuorumPacket. */
export interface QuorumAuthPacket {
  magicHi: number
  magicLo: number
  status: number
  token: Uint8Array | null
}

export function readQuorumAuthPacket(inp: Input): QuorumAuthPacket {
  return {
    magicHi: inp.int(),
    magicLo: inp.int(),
    status: inp.int(),
    token: inp.buffer(),
  }
}

export function writeQuorumAuthPacket(out: Output, x: QuorumAuthPacket): void {
  out.words(x.magicHi, x.magicLo)
  out.int(x.status)
  out.buffer(x.token)
}
