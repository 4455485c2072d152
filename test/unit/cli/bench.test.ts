/** `zoowarden bench`: what it prints, that it leaves nothing behind, and how it ends when a server goes. */

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Histogram } from '../../../src/cli/bench/histogram.ts'
import { type InstalledPackage, installPackage, type Running, start } from './package.ts'

const SHORT = ['--rounds', '1', '--warmup', '0.01', '--seconds', '0.05', '--keys', '20']

let installed: InstalledPackage
let server: Running
let address: string

beforeAll(async () => {
  installed = installPackage()
  server = zoowarden(['start', '--ephemeral'])
  address = (await server.stdoutMatching(/\n/)).trim()
})

afterAll(async () => {
  server.closeStdin()
  await server.ended
  installed.remove()
})

function zoowarden(args: readonly string[]): Running {
  return start(join(installed.bin, 'zoowarden'), args, installed.work, {})
}

async function bench(...args: string[]) {
  const running = zoowarden(['bench', ...SHORT, ...args])
  running.closeStdin()
  return running.ended
}

describe('bench', () => {
  test('runs every case on a server, prints a line for each, and leaves no znode', async () => {
    const { code, stdout, stderr } = await bench(address)
    expect([code, stderr]).toEqual([0, ''])
    const names = stdout
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(' ')[0])
    expect(names).toEqual([
      ...['get-1', 'get-32', 'get-32x16', 'exists-32', 'children-100', 'set-1', 'set-32', 'set-32x16', 'create-32'],
      ...['delete-32', 'mixed-90-32', 'mixed-50-32', 'multi-10', 'watch-100', 'churn-8'],
    ])
    const srvr = zoowarden(['ask', 'srvr', ...address.split(':')])
    srvr.closeStdin()
    expect((await srvr.ended).stdout).toMatch(/Node count: 5$/m)
  })

  test('two servers stand side by side, and --json has the figures of both', async () => {
    const table = (await bench('--cases', '^get-1$', address, address)).stdout
    expect(table).toMatch(/^A = 127[\s\S]*\nget-1 .* A [\s\S]* B .*\d\.\d\d\n$/)
    const { servers, cases } = JSON.parse((await bench('--cases', '^get-1$', '--json', address, address)).stdout)
    expect(servers).toEqual([address, address])
    expect(cases[0].servers.map((figures: { opsPerS: number }) => figures.opsPerS > 0)).toEqual([true, true])
  })

  test('without a server it starts one', async () => {
    const { code, stdout } = await bench('--cases', '^set-1$', '--dir', installed.work)
    expect([code, stdout.split('\n').length]).toEqual([0, 3])
  })

  test('nobody there, or a case that does not exist, is one line and a failure', async () => {
    const nobody = await bench('--cases', '^get-1$', '127.0.0.1:1')
    expect([nobody.code, nobody.stderr]).toEqual([
      1,
      'get-1 on 127.0.0.1:1: 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
    ])
    expect((await bench('--cases', 'nothing', address)).code).toBe(2)
    expect((await bench('a', 'b', 'c')).code).toBe(2)
  })
})

describe('a histogram of times', () => {
  test('gives percentiles that are at most 4 % above those of the sorted samples, and never below', () => {
    const histogram = new Histogram()
    const samples: number[] = []
    for (let i = 0; i < 5000; i++) samples.push(Math.floor(((i * 7919) % 5003) ** 2 / 3))
    for (const sample of samples) histogram.add(sample)
    samples.sort((a, b) => a - b)
    for (const share of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = samples[Math.ceil(share * samples.length) - 1]!
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(exact)
      expect(histogram.percentile(share)).toBeLessThanOrEqual(exact * 1.04)
    }
    expect(new Histogram().percentile(0.5)).toBe(0)
  })
})
