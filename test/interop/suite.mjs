/**
 * Runs one peer's program against one server and turns what it prints into results.
 *
 * The program and the runner speak lines. From the program, on stdout:
 *   begin NAME             a check starts (so that a hang can be named)
 *   ok NAME                it held
 *   not ok NAME :: WHY     it did not; WHY says expected and got, on one line
 *   ask WHAT               do something to the server, see `answers`; the program waits for `done` on its stdin
 *   end COUNT              the last line: how many checks there were
 * Anything else on stdout or stderr is kept and shown only when the program itself fails.
 */
import { createInterface } from 'node:readline'
import { signalGroup, startGroup } from './process.mjs'
import { Relay } from './relay.mjs'
import { baseConfig, Server, superUser } from './server.mjs'
import { keepTempDir, makeTempDir, removeTempDir } from './tempdir.mjs'

const answers = {
  kill: ({ server }) => server.kill(),
  start: ({ server }) => server.start(),
  'kill-restart': async ({ server }) => {
    await server.kill()
    await server.start()
  },
  'stop-restart': async ({ server }) => {
    await server.stop()
    await server.start()
  },
  // Silence (the server expires who is behind it), hang-up, and back to normal.
  freeze: ({ relay }) => relay.freeze(),
  thaw: ({ relay }) => relay.thaw(),
  cut: ({ relay }) => relay.closeConnections(),
}

/**
 * Runs `suite` and reports each check through `results`. A suite is
 *   { name, fetch, program(lib, workDir, target) -> { command, args, env, cwd }, config, timeoutMs }
 * or has, in place of `program`, `run(lib, target, report)` that makes its checks itself, or `runAlone(lib, options,
 * report)` that makes its servers too.
 */
export async function runSuite(suite, options, results) {
  const report = (ok, name, why) => results.add(ok, suite.name, name, why)
  let lib
  try {
    lib = await suite.fetch()
  } catch (error) {
    report(false, 'the client library can be fetched', error.message)
    return
  }
  if (suite.runAlone) {
    await suite.runAlone(lib, options, report).catch((error) => report(false, 'the suite runs', oneLine(error.message)))
    return
  }
  const server = new Server(options.server, suite.name, { ...baseConfig, ...suite.config }, suite.serverEnv)
  const workDir = makeTempDir(`${suite.name}-work`)
  let relay = null
  try {
    await server.start()
    relay = new Relay(server.port)
    await relay.start()
    const target = { server, relay, workDir, verbose: options.verbose }
    if (suite.run) await suite.run(lib, target, report)
    else await runProgram(suite, await suite.program(lib, target), target, report)
    if (server.diedUnasked) report(false, 'the server stays up', `${server.diedUnasked}: ${oneLine(server.logTail())}`)
    else {
      await server.stop()
      report(true, 'the server stops in order when asked')
    }
  } catch (error) {
    report(false, 'the suite runs', oneLine(error.message))
  } finally {
    relay?.stop()
    await server.kill()
    server.release()
    if (options.keep) {
      keepTempDir(server.dir)
      process.stdout.write(`# kept ${suite.name}: ${server.dir}\n`)
    } else removeTempDir(server.dir)
    removeTempDir(workDir)
  }
}

/** What every program finds in its environment. */
export function peerEnv(target) {
  return {
    ...process.env,
    ZW_SERVER: `127.0.0.1:${target.server.port}`,
    ZW_RELAY: `127.0.0.1:${target.relay.port}`,
    ZW_SUPER: `${superUser.name}:${superUser.password}`,
  }
}

/** Runs a program to its end; each of its checks is reported. */
export function runProgram(suite, program, target, report) {
  return new Promise((resolve) => {
    const child = startGroup(program.command, program.args, {
      cwd: program.cwd ?? target.workDir,
      env: { ...peerEnv(target), ...program.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const state = { count: 0, countPromised: -1, begun: '', noise: '' }
    const keep = (text) => {
      state.noise = (state.noise + text).slice(-8000)
      if (target.verbose) process.stderr.write(text)
    }
    const timer = setTimeout(() => {
      report(false, 'ends in time', `not finished after ${suite.timeoutMs} ms, last begun: ${state.begun}`)
      signalGroup(child, 'SIGKILL')
    }, suite.timeoutMs)
    child.on('error', (error) => keep(`${program.command}: ${error.message}\n`))
    child.stderr.on('data', (chunk) => keep(String(chunk)))
    child.stdin.on('error', () => {})
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (line) => onLine(line, state, target, report, child, keep))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code !== 0 || state.countPromised !== state.count) {
        const why = `ended with ${signal ?? code} after ${state.count} checks (last begun: ${state.begun})`
        report(false, 'the program runs to its end', `${why}: ${oneLine(state.noise)}`)
      }
      resolve()
    })
  })
}

function onLine(line, state, target, report, child, keep) {
  if (line.startsWith('begin ')) {
    state.begun = line.slice(6)
  } else if (line.startsWith('ok ')) {
    state.count++
    report(true, line.slice(3))
  } else if (line.startsWith('not ok ')) {
    state.count++
    const [name, ...why] = line.slice(7).split(' :: ')
    report(false, name, why.join(' :: '))
  } else if (line.startsWith('end ')) {
    state.countPromised = Number(line.slice(4))
  } else if (line.startsWith('ask ')) {
    answer(line.slice(4), target).then(
      () => child.stdin.write('done\n'),
      (error) => {
        report(false, `the server can be asked to ${line.slice(4)}`, oneLine(error.message))
        signalGroup(child, 'SIGKILL')
      },
    )
  } else keep(`${line}\n`)
}

async function answer(what, target) {
  const act = answers[what]
  if (!act) throw new Error(`the program asks for the unknown "${what}"`)
  await act(target)
}

function oneLine(text) {
  return text
    .trim()
    .replace(/\s*\n\s*/g, ' | ')
    .slice(-3000)
}
