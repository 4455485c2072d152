/** `zoowarden ask`: sends a four-letter word to a server and prints the answer; what others do with nc. */

import { connect } from 'node:net'
import { ExitCode } from '../server/life/running.ts'

const TIMEOUT_MS = 5000

export function askCommand(word: string, host: string, port: number): Promise<number> {
  return new Promise((resolve) => {
    const fail = (message: string) => {
      process.stderr.write(`${host}:${port}: ${message}\n`)
      resolve(ExitCode.unexpectedError)
    }
    const socket = connect({ host, port }, () => socket.write(word))
    socket.setTimeout(TIMEOUT_MS, () => {
      fail(`no answer within ${TIMEOUT_MS} ms`)
      socket.destroy()
    })
    socket.on('data', (chunk) => process.stdout.write(chunk))
    socket.on('end', () => {
      socket.destroy()
      resolve(ExitCode.finished)
    })
    socket.on('error', (err) => fail(err.message))
  })
}
