/** The systemd unit: what it says about ends, limits and rights. systemd's own verdict is in the interop suite `package`. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ExitCode } from '../../../src/server/life/running.ts'

const text = readFileSync(fileURLToPath(new URL('../../../conf/systemd/zoowarden.service', import.meta.url)), 'utf8')

function values(key: string): string[] {
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value ?? '')
}

describe('the systemd unit', () => {
  test('starts again after an error, but not what would end in the same way', () => {
    expect(values('Restart')).toEqual(['on-failure'])
    const kept = values('RestartPreventExitStatus')[0]!.split(' ').map(Number)
    expect(kept).toEqual([ExitCode.invalidInvocation, ExitCode.dataDirInaccessible])
  })

  test('has room for ten thousand clients', () => {
    expect(Number(values('LimitNOFILE')[0])).toBeGreaterThan(10_000 * 2)
  })

  test('runs as a user without rights, who writes data and configuration only', () => {
    expect(values('User')).toEqual(['zookeeper'])
    expect(values('CapabilityBoundingSet')).toEqual([''])
    expect(values('NoNewPrivileges')).toEqual(['yes'])
    expect(values('ProtectSystem')).toEqual(['strict'])
    expect(values('StateDirectory')).toEqual(['zookeeper'])
    expect(values('ReadWritePaths')).toEqual(['-/etc/zookeeper'])
    expect(values('UMask')).toEqual(['0077'])
  })

  test('does not forbid memory that is written and run: without it there is no JavaScript', () => {
    expect(values('MemoryDenyWriteExecute')).toEqual([])
  })
})
