/** What happens to a machine's files while it is down: damage, the operator's repair, another machine's disk. */

import { removeIdentity } from '../../src/txnlog/identity.ts'
import { logNames, snapshotNames } from '../../src/txnlog/names.ts'
import { asideName, moveAside, writeMark } from '../../src/txnlog/repair.ts'
import { DiskPort } from './disk.ts'
import type { Machine } from './machine.ts'

const FOLDER = '/data/version-2'
const FOLDERS = { snapDir: FOLDER, logDir: FOLDER }

/** Flips a bit in the middle of the newest log, or of the newest snapshot: of what is written there. */
export function damage(machine: Machine, what: string): void {
  const { disk } = machine
  const names = disk.names(FOLDER)
  const name = what === 'log' ? logNames(names).at(-1)!.name : snapshotNames(names)[0]!.name
  const path = `${FOLDER}/${name}`
  const used = disk.get(path)!.findLastIndex((byte) => byte !== 0)
  disk.flip(path, used >> 1, 3)
  machine.spoiled = true
}

/** `zoowarden repair`, without its lock and its words. */
export async function repair(machine: Machine): Promise<void> {
  const { disk, process, around } = machine
  if (process !== null) throw new Error('it runs')
  const port = new DiskPort(disk, (run) => {
    run()
    around.stir()
  })
  const mark = { aside: await asideName(port, FOLDERS, Date.UTC(2026, 0, 1)), keep: null }
  await writeMark(port, FOLDER, mark)
  await removeIdentity(port, FOLDER)
  await moveAside(port, FOLDERS, mark)
  machine.spoiled = false
}

/** The data folder of another machine in the place of its own. */
export function copyData(from: Machine, to: Machine): void {
  to.spoiled = true
  to.disk.removeBelow(FOLDER)
  to.disk.makeFolder(FOLDER)
  for (const name of from.disk.names(FOLDER)) to.disk.put(`${FOLDER}/${name}`, from.disk.get(`${FOLDER}/${name}`)!)
}
