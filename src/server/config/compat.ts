/**
 * Where this server differs from ZooKeeper 3.9.5 on purpose, and an operator may want ZooKeeper's way: `compat.<name>=true`
 * in zoo.cfg or as -Dzookeeper.compat.<name>=true; `compat.all` stands for all of them, but for those set by themselves.
 *
 * README, "Differences on purpose", says why each differs, and which differences have no switch because ZooKeeper's way
 * spoils its data or depends on timing. Each switch is looked at in one place, and costs nothing while it is off.
 */

import type { Settings } from './settings.ts'

/** What ZooKeeper does, and so does this server with the switch on. */
const SWITCHES = {
  serverOps: 'deleteContainer and createSession, meant for servers, are taken from any client',
  junkQuotas: 'creates and changes below a quota whose limits cannot be read fail with MARSHALLINGERROR',
  quotasInMulti: 'hard quotas do not count the earlier parts of the same multi',
  containersInMulti: 'a container made with ephemeral flags takes no children in the same multi',
  identities: 'a connection may gather any number of identities, and an ACL expand as far as a transaction can be read',
  dataSize: 'zk_approximate_data_size counts paths in UTF-16 units',
  takeover: 'whoever knows the id of a session ends its connection, with a wrong password as well',
  missedEvents: 'setWatches tells of changes to znodes that the client may not read',
  multiRead: 'a multiRead may answer with as much as a connection may have unsent',
  pauses: 'sessions and connections expire although this process did not run meanwhile',
  snapshotAtStart: 'a snapshot is written when serving begins: at every start, or when a member begins to lead',
  electionWait: 'an election ends with 200 ms of silence even when nobody is left to be heard',
  laterEpochs: 'a leader goes on when a voter has promised to follow later epochs only',
  syncs: 'a leader answers syncs of its own clients without asking whether it still leads',
} as const

type Name = keyof typeof SWITCHES

/** True: ZooKeeper's way. */
export type Compat = { readonly [name in Name]: boolean }

const NAMES = Object.keys(SWITCHES) as Name[]

/** Every switch off. */
export const NO_COMPAT: Compat = all(false)

/** Throws ConfigError for a name that is none. */
export function readCompat(settings: Settings): Compat {
  for (const [key, setting] of settings.family('compat.', 'property')) {
    const name = key.slice('compat.'.length)
    if (name !== 'all' && !Object.hasOwn(SWITCHES, name)) {
      const known = NAMES.map((each) => `\n  compat.${each}: ${SWITCHES[each]}`).join('')
      throw settings.refuse(setting, `there is no compat.${name}; there are compat.all and${known}`)
    }
  }
  const fallback = settings.boolean('compat.all', false)
  const set = (name: Name): [Name, boolean] => [name, settings.boolean(`compat.${name}`, fallback)]
  return Object.freeze(Object.fromEntries(NAMES.map(set)) as { [name in Name]: boolean })
}

function all(on: boolean): Compat {
  return Object.freeze(Object.fromEntries(NAMES.map((name) => [name, on])) as { [name in Name]: boolean })
}
