/** What becomes of a start when somebody else has the port of the admin server. */

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../../src/server/config/config.ts'
import { startServer } from '../../../../src/server/main.ts'

let other: Server
let port: number
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zw-taken-'))
  other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const address = other.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})

afterEach(async () => {
  await new Promise((resolve) => other.close(resolve))
  rmSync(folder, { recursive: true })
})

const COMMON = 'clientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64\nadmin.serverAddress=127.0.0.1\n'

function config(text: string) {
  return parseConfig(`dataDir=${folder}\n${COMMON}${text}`, 'zoo.cfg', new Map(), () => '1').config
}

describe('the port of the admin server, taken', () => {
  it('ends the start of a server that runs alone with exit code 4, as in Java', async () => {
    const starting = startServer(config(`admin.serverPort=${port}`), pino({ level: 'silent' }))
    await expect(starting).rejects.toMatchObject({ exitCode: 4 })
  })

  it('is a warning where nobody has chosen the port', async () => {
    const log: string[] = []
    const chosen = config(`admin.serverPort=${port}`)
    const unchosen = { ...chosen, admin: { ...chosen.admin, portChosen: false } }
    const server = await startServer(unchosen, pino({}, { write: (line: string) => void log.push(line) }))
    await server.close()
    expect(log.some((line) => line.includes('or admin.enableServer=false'))).toBe(true)
  })

  it('is a warning for a member, as in Java', async () => {
    const log: string[] = []
    const member = 'standaloneEnabled=false\ninitLimit=5\nsyncLimit=5\nserver.1=127.0.0.1:1:2'
    const base = config(`${member}\nadmin.serverPort=${port}`)
    const [own] = base.quorum.membership.members
    const addresses = [{ host: '127.0.0.1', quorumPort: 0, electionPort: 0 }]
    const membership = { ...base.quorum.membership, members: [{ ...own!, addresses }] }
    const free = { ...base, quorum: { ...base.quorum, membership } }
    const server = await startServer(free, pino({}, { write: (line: string) => void log.push(line) }))
    await server.close()
    expect(log.some((line) => line.includes('cannot listen on the admin port'))).toBe(true)
  })
})
