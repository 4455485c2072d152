/**
 * The protocol's numbers: op codes, error codes, event and watcher types, create modes, permissions.
 * Java: ZooDefs.OpCode, KeeperException.Code, Watcher.Event, CreateMode, ZooDefs.Perms (release 3.9.5).
 */

export const OpCode = {
  closeSession: -11,
  createSession: -10,
  error: -1,
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTTL: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
} as const

export const Err = {
  ok: 0,
  systemError: -1,
  runtimeInconsistency: -2,
  dataInconsistency: -3,
  connectionLoss: -4,
  marshallingError: -5,
  unimplemented: -6,
  operationTimeout: -7,
  badArguments: -8,
  unknownSession: -12,
  newConfigNoQuorum: -13,
  reconfigInProgress: -14,
  apiError: -100,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidCallback: -113,
  invalidACL: -114,
  authFailed: -115,
  sessionMoved: -118,
  notReadOnly: -119,
  ephemeralOnLocalSession: -120,
  noWatcher: -121,
  requestTimeout: -122,
  reconfigDisabled: -123,
  sessionClosedRequireSaslAuth: -124,
  quotaExceeded: -125,
  throttledOp: -127,
} as const

/** Reserved xids. A ping is always answered with its own, whatever the request carried. */
export const Xid = { notification: -1, ping: -2, auth: -4, setWatches: -8 } as const

export const EventType = {
  nodeCreated: 1,
  nodeDeleted: 2,
  nodeDataChanged: 3,
  nodeChildrenChanged: 4,
} as const

/** The only keeper state a server sends in a watcher event. */
export const STATE_SYNC_CONNECTED = 3

/** The `type` of checkWatches and removeWatches. */
export const WatcherType = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const

/** The `mode` of addWatch. */
export const AddWatchMode = { persistent: 0, persistentRecursive: 1 } as const

export const CreateMode = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentWithTTL: 5,
  persistentSequentialWithTTL: 6,
} as const

export const Perm = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const

/** ACL id of world:anyone ALL, which has no entry in the table (Java: ReferenceCountedACLCache.OPEN_UNSAFE_ACL_ID). */
export const OPEN_ACL_ID = -1
