/** What stands open in a configuration, in one word each: for `/ready`, and for who watches. Pure. */

import type { Config } from '../config.ts'

export function openDoors(config: Config): string[] {
  const doors: string[] = []
  if (config.skipACL) doors.push('skipACL')
  if (!config.forceSync) doors.push('forceSync')
  return doors
}
