/** The log: readable lines, escaped control characters, and where the level comes from. */

import { existsSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, Secret } from '../../../src/server/config/settings.ts'
import { escapeJson } from '../../../src/server/report/escape.ts'
import { formatLine, logSettings, openLog, setLevel } from '../../../src/server/report/logger.ts'

const NO_PROPERTIES = new Map<string, string>()
const PIPE = { fd: 1, isTTY: false }

function line(record: Record<string, unknown>): string {
  return formatLine(JSON.stringify({ level: 'info', time: '2026-11-23T09:20:11.123Z', ...record }))
}

describe('readable lines', () => {
  test('are time, level, message and fields', () => {
    expect(line({ port: 2181, path: '/a', note: 'two words', deep: { a: 1 }, msg: 'serving' })).toBe(
      '2026-11-23 09:20:11.123 INFO  serving port=2181 path=/a note="two words" deep={"a":1}\n',
    )
  })

  test('show the stack of an error below', () => {
    const text = line({ err: { type: 'Error', message: 'no', stack: 'Error: no\n    at here' }, msg: 'cannot start' })
    expect(text).toBe('2026-11-23 09:20:11.123 INFO  cannot start\n    Error: no\n        at here\n')
  })

  test('X13 nobody forges a line or moves the cursor with control characters', () => {
    const text = line({ path: '/a\n2026-11-23 INFO  all is well', who: '\u001b[2J\u2028\u0085', msg: 'no\rnode' })
    expect(text.trimEnd().split(/[\n\r\u2028\u0085]/)).toHaveLength(1)
    expect(text).not.toContain('\u001b')
    expect(text).toContain('no\\u000dnode')
  })
})

describe('JSON', () => {
  test('X13 says the same with control, direction and line characters escaped', () => {
    const text = 'a\u0000\u001b[2J\u007f\u009b1m\u2028\u202e\u{e0001}é'
    const json = escapeJson(JSON.stringify({ text }))
    expect(json).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
    expect(JSON.parse(json)).toEqual({ text })
  })
})

describe('both forms, written to a file', () => {
  async function written(format: 'json' | 'text'): Promise<string> {
    const dir = mkdtempSync(join(tmpdir(), 'zoowarden-log-'))
    try {
      const file = join(dir, 'log')
      const settings = { level: 'info', format, fd: openSync(file, 'w'), isTTY: false, file: null } as const
      const { logger } = openLog(settings)
      logger.debug('not this')
      logger.warn({ superDigest: new Secret('super:abc'), path: '/x\ny' }, 'careful')
      await new Promise((resolve) => logger.flush(resolve))
      // A flush may be answered while its write is still under way in another thread.
      for (let text = ''; ; text = readFileSync(file, 'utf8')) {
        if (text.endsWith('\n')) return text
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  test('X10 X13 JSON has labelled levels and ISO times, escapes control characters and hides secrets', async () => {
    expect(await written('json')).toMatch(
      /^\{"level":"warn","time":"[-\d]+T[:.\d]+Z","superDigest":"\*\*\*","path":"\/x\\ny","msg":"careful"\}\n$/,
    )
  })

  test('X10 X13 readable lines do as well', async () => {
    expect(await written('text')).toMatch(/^[-\d]+ [:.\d]+ WARN {2}careful superDigest=\*\*\* path="\/x\\ny"\n$/)
  })
})

describe('while it runs', () => {
  test('the level can be changed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'zoowarden-log-'))
    const file = join(dir, 'zookeeper.log')
    const { logger } = openLog({ level: 'info', format: 'text', fd: 1, isTTY: false, file })
    logger.debug('one')
    setLevel(logger, 'debug')
    logger.debug('two')
    setLevel(logger, 'error')
    logger.warn('three')
    logger.error('four')
    const text = await lines(file, 2)
    rmSync(dir, { recursive: true })
    expect(text.map((row) => row.split('  ').at(-1)!.split(' ').at(-1))).toEqual(['two', 'four'])
  })

  test('a file that was moved away is opened anew', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'zoowarden-log-'))
    const file = join(dir, 'logs', 'zookeeper.log')
    const { logger, reopen } = openLog({ level: 'info', format: 'json', fd: 1, isTTY: false, file })
    logger.info('before')
    await lines(file, 1)
    renameSync(file, `${file}.1`)
    reopen!()
    while (!existsSync(file)) await new Promise((resolve) => setImmediate(resolve))
    logger.info('after')
    const [before, after] = [await lines(`${file}.1`, 1), await lines(file, 1)]
    expect([before[0], after[0]]).toEqual([expect.stringContaining('before'), expect.stringContaining('after')])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    rmSync(dir, { recursive: true })
  })

  test('a file that cannot be written refuses the start', () => {
    const file = '/dev/null/zookeeper.log'
    expect(() => openLog({ level: 'info', format: 'json', fd: 1, isTTY: false, file })).toThrow(ConfigError)
  })
})

/** The file's lines, once there are so many. */
async function lines(file: string, count: number): Promise<string[]> {
  for (;;) {
    const rows = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    if (rows.length > count) return rows.slice(0, -1)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('settings', () => {
  test('ZOO_LOG_FILE is a file below ZOO_LOG_DIR, with JSON unless ZOO_LOG_FORMAT says otherwise', () => {
    const env = { ZOO_LOG_FILE: 'zookeeper.log', ZOO_LOG_DIR: '/var/log' }
    const settings = logSettings(env, NO_PROPERTIES, { fd: 1, isTTY: true }, 'info')
    expect([settings.file, settings.format]).toEqual(['/var/log/zookeeper.log', 'json'])
    expect(logSettings({}, NO_PROPERTIES, PIPE, 'info').file).toBeNull()
  })

  test('the level is ZOO_LOG_LEVEL, or the root logger of a Java setup, or the default', () => {
    const java = new Map([['zookeeper.root.logger', 'DEBUG, CONSOLE']])
    expect(logSettings({}, NO_PROPERTIES, PIPE, 'warn').level).toBe('warn')
    expect(logSettings({}, java, PIPE, 'info').level).toBe('debug')
    expect(logSettings({ ZOO_LOG4J_PROP: 'ERROR,ROLLINGFILE' }, NO_PROPERTIES, PIPE, 'info').level).toBe('error')
    expect(logSettings({ ZOO_LOG_LEVEL: 'off' }, java, PIPE, 'info').level).toBe('silent')
    expect(logSettings({ ZOO_LOG_LEVEL: 'loud' }, NO_PROPERTIES, PIPE, 'info').level).toBe('info')
  })

  test('a terminal gets readable lines, everything else JSON, and ZOO_LOG_FORMAT decides over both', () => {
    expect(logSettings({}, NO_PROPERTIES, PIPE, 'info').format).toBe('json')
    expect(logSettings({}, NO_PROPERTIES, { fd: 1, isTTY: true }, 'info').format).toBe('text')
    expect(logSettings({ ZOO_LOG_FORMAT: 'text' }, NO_PROPERTIES, PIPE, 'info').format).toBe('text')
    expect(logSettings({ ZOO_LOG_FORMAT: 'json' }, NO_PROPERTIES, { fd: 1, isTTY: true }, 'info').format).toBe('json')
  })
})
