/**
 * Small file systems of the test's own: ext4 in a file where root is at hand, else tmpfs. They can be filled, and the
 * device below an ext4 can be made to fail.
 *
 * Everything is mounted in a mount namespace of the test alone, so that nothing stays behind, however it ends.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const INSIDE = 'ZOOWARDEN_OWN_MOUNTS'

/** Of a loop device in use: LOOP_GET_STATUS64, lo_sizelimit changed, LOOP_SET_STATUS64. */
const SET_SIZE_LIMIT = `
import fcntl, struct, sys
with open(sys.argv[1], 'rb+') as device:
    info = bytearray(232)
    fcntl.ioctl(device, 0x4C05, info)
    struct.pack_into('=Q', info, 32, int(sys.argv[2]))
    fcntl.ioctl(device, 0x4C04, info)
`

/**
 * Runs this program again in a namespace of its own, and ends with its status. Returns inside it: what may be mounted
 * there, 'devices' (as root), 'memory' (tmpfs alone, as anybody), or 'nothing' where there are no namespaces.
 */
export function enterOwnMounts() {
  if (process.env[INSIDE] !== undefined) return process.env[INSIDE]
  const root = process.getuid() === 0
  const own = root ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  const works = spawnSync('unshare', [...own, 'true']).status === 0
  const does = (command, word) => spawnSync(command, [word]).status === 0
  const devices = root && does('losetup', '--find') && does('mkfs.ext4', '-V')
  const env = { ...process.env, [INSIDE]: works ? (devices ? 'devices' : 'memory') : 'nothing' }
  const words = [process.execPath, ...process.argv.slice(1)]
  const command = works ? ['unshare', ...own, '--propagation', 'private', ...words] : words
  const { status } = spawnSync(command[0], command.slice(1), { stdio: 'inherit', env })
  process.exit(status ?? 1)
}

export class SmallDisk {
  /** An empty file system of `mebibytes` at `point`, which is made. `work`: a folder for its image. */
  static ext4(point, work, mebibytes) {
    mkdirSync(work, { recursive: true })
    const image = join(work, 'image')
    writeFileSync(image, '')
    truncateSync(image, mebibytes * 2 ** 20)
    // No journal: an error of its own would end the file system, not a write. All of its tables are at the beginning.
    must('mkfs.ext4', ['-q', '-b', '4096', '-O', '^has_journal', '-m', '0', '-E', 'lazy_itable_init=0', image])
    const disk = new SmallDisk(point)
    disk.mount(['-o', 'loop,errors=continue', image])
    disk.image = image
    return disk
  }

  static tmpfs(point, mebibytes) {
    const disk = new SmallDisk(point)
    disk.mount(['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs'])
    return disk
  }

  constructor(point) {
    this.point = point
    this.image = null
    this.onExit = () => spawnSync('umount', ['--lazy', point])
  }

  mount(words) {
    mkdirSync(this.point, { recursive: true })
    must('mount', [...words, this.point])
    process.prependListener('exit', this.onExit)
  }

  get filler() {
    return join(this.point, 'filler')
  }

  get freeBytes() {
    const { bavail, bsize } = statfsSync(this.point)
    return bavail * bsize
  }

  /** Takes all room but so much. */
  fill(leaveBytes) {
    const bytes = this.freeBytes - leaveBytes
    if (bytes <= 0) return
    // tmpfs and ext4 both take the room at once, without writing it.
    must('fallocate', ['--length', String(bytes), this.filler])
  }

  makeRoom() {
    rmSync(this.filler, { force: true })
  }

  /** From now on the device fails behind this byte with EIO; 0 makes it whole again. Nothing stored is lost. */
  failBehind(byte) {
    const device = must('losetup', ['--noheadings', '--output', 'NAME', '--associated', this.image]).trim()
    must('python3', ['-c', SET_SIZE_LIMIT, device, String(byte)])
  }

  unmount() {
    process.removeListener('exit', this.onExit)
    must('umount', [this.point])
  }
}

function must(command, words) {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`${command} ${words.join(' ')}: ${error?.message ?? stderr}`)
}
