/** The disk in memory, by its old name. */

export { MemDisk, pathIn, seeded } from '../../disk/memdisk.ts'
export { systemError } from '../../disk/platter.ts'
