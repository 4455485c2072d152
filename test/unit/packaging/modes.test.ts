/** What a server leaves on the disk is for its user alone, whatever the umask and the format of its snapshots. */

import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type InstalledPackage, installPackage, start } from '../cli/package.ts'

let installed: InstalledPackage

beforeAll(() => {
  installed = installPackage()
})

afterAll(() => installed.remove())

/** Every file and folder below that others may read, write or search. */
function exposed(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const paths = ['.', ...names].map((name) => join(folder, name))
  return paths.flatMap((path) => {
    const mode = statSync(path).mode & 0o777
    return (mode & 0o077) === 0 ? [] : [`${path.slice(folder.length)} ${mode.toString(8)}`]
  })
}

describe('files are made with mode 0600, folders with 0700', () => {
  test.each(['file', 'level'])('log, snapshots (%s), lock and log file of a server alone', async (store) => {
    const dir = join(installed.work, store)
    const file = join(installed.work, `${store}.cfg`)
    const port = await freePort()
    const lines = [
      `dataDir=${dir}/data`,
      `dataLogDir=${dir}/log`,
      `clientPort=${port}`,
      'clientPortAddress=127.0.0.1',
      'admin.enableServer=false',
      'preAllocSize=64',
      'compat.snapshotAtStart=true',
      `snapshot.store=${store}`,
      'audit.enable=true',
      `audit.file=${dir}/data/audit.log`,
    ]
    writeFileSync(file, lines.join('\n'))
    const server = start(
      '/bin/sh',
      ['-c', 'umask 0; exec "$0" start "$1"', join(installed.bin, 'zoowarden'), file],
      installed.work,
    )
    try {
      await server.stdoutMatching(/"serving"/)
      const names = readdirSync(join(dir, 'data'), { recursive: true, encoding: 'utf8' })
      expect(names).toContain(store === 'level' ? join('version-2', 'checkpoint.level', 'CURRENT') : 'audit.log')
      expect(exposed(join(dir, 'data'))).toEqual([])
      expect(exposed(join(dir, 'log'))).toEqual([])
    } finally {
      server.kill('SIGTERM')
    }
    expect((await server.ended).code).toBe(0)
  })

  test('epochs, identity and the configuration that a member writes anew', async () => {
    const dir = join(installed.work, 'member')
    const file = join(installed.work, 'member.cfg')
    const [client, quorum, election] = [await freePort(), await freePort(), await freePort()]
    const lines = [
      `dataDir=${dir}`,
      'initLimit=10',
      'syncLimit=5',
      'tickTime=200',
      'standaloneEnabled=false',
      'reconfigEnabled=true',
      'admin.enableServer=false',
      'preAllocSize=64',
      `server.1=127.0.0.1:${quorum}:${election};127.0.0.1:${client}`,
    ]
    const script = 'umask 0; mkdir -m 700 "$2" && echo 1 > "$2/myid" && chmod 600 "$2/myid" && exec "$0" start "$1"'
    writeFileSync(file, lines.join('\n'))
    const server = start('/bin/sh', ['-c', script, join(installed.bin, 'zoowarden'), file, dir], installed.work)
    try {
      await server.stdoutMatching(/leading: serving/)
      expect(readdirSync(join(dir, 'version-2'))).toEqual(expect.arrayContaining(['acceptedEpoch', 'identity']))
      expect(exposed(dir)).toEqual([])
      const written = readdirSync(installed.work).filter((name) => name.startsWith('member.cfg.'))
      expect(written.length).toBeGreaterThan(0)
      for (const name of written) {
        expect([name, statSync(join(installed.work, name)).mode & 0o077]).toEqual([name, 0])
      }
    } finally {
      server.kill('SIGTERM')
    }
    expect((await server.ended).code).toBe(0)
  })
})
