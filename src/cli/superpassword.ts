/** `zoowarden super-password`: the line of zoo.cfg that makes somebody the super user, with a salted hash. */

import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { hashSuperPassword } from '../server/access/superpassword.ts'
import { ExitCode } from '../server/life/running.ts'

export async function superPasswordCommand(user: string): Promise<number> {
  if (user === '' || user.includes(':')) {
    process.stderr.write('The name of a user is not empty and has no colon.\n')
    return ExitCode.invalidInvocation
  }
  const password = await readPassword(`Password of ${user}: `)
  if (password === '') {
    process.stderr.write('No password, no super user.\n')
    return ExitCode.invalidInvocation
  }
  process.stdout.write(`DigestAuthenticationProvider.superDigest=${await hashSuperPassword(user, password)}\n`)
  return ExitCode.finished
}

/** One line; what is typed at a terminal is not shown. */
async function readPassword(question: string): Promise<string> {
  const { stdin, stderr } = process
  const terminal = stdin.isTTY === true
  if (terminal) stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: stdin, output: silent, terminal })
  try {
    for await (const line of reader) return line
    return ''
  } finally {
    reader.close()
    if (terminal) stderr.write('\n')
  }
}
