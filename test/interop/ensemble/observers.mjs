/** Five members, one of them an observer, of both kinds: it serves and forwards, and its absence takes no vote away. */
import { Ensemble, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

export async function checkObservers(kinds, context) {
  const voters = kinds.slice(0, 4)
  const check = (name, body) => context.check(`${voters.join(' ')} with an observer ${kinds[4]}: ${name}`, body)
  const { hands } = context
  const ensemble = await Ensemble.of(context.makeDirectory(), context.commands, kinds, { observers: [5] })
  const observer = ensemble.member(5)
  try {
    await check('five members form an ensemble', async () => {
      await ensemble.start([1, 2, 3, 4])
      await ensemble.start([5])
      const mode = await observer.mode()
      if (mode !== 'observer') throw new Error(`member 5 is ${mode}`)
    })
    await check('a client of the observer writes, reads, and hears of the writes of others', async () => {
      hands.forgetEvents()
      await hands.do('open', 'afar', ensemble.connectString([observer]), 20_000)
      await hands.do('open', 'near', ensemble.connectString([ensemble.member(1)]), 20_000)
      await hands.do('create', 'afar', '/far', 'one', 'PERSISTENT')
      await hands.do('create', 'afar', '/far/alive', '', 'EPHEMERAL')
      await hands.do('watch', 'afar', '/far')
      await hands.do('sync', 'near', '/far')
      await hands.do('set', 'near', '/far', 'two', 0)
      await hands.awaitEvent('afar', 'NodeDataChanged /far')
      const seen = await hands.do('get', 'afar', '/far')
      if (seen !== 'two') throw new Error(`behind the event the observer shows <${seen}>`)
    })
    await check('I7 the observer dies; its session moves to a voter with its ephemeral', async () => {
      const session = await hands.do('id', 'afar')
      await observer.kill()
      await hands.do('move', 'afar', ensemble.connectString([ensemble.member(2)]))
      await until('the session is back', async () => (await hands.codeOf('set', 'afar', '/far', 'three', -1)) === 'ok')
      const owner = await hands.do('owner', 'near', '/far/alive')
      if (owner !== session) throw new Error(`the ephemeral of 0x${session} is owned by ${owner}`)
    })
    await check('one voter dies beside it: three of four voters go on; with two, nobody serves', async () => {
      const spared = [1, 2, 3, 4].map((sid) => ensemble.member(sid))
      const leader = await ensemble.leader()
      const victims = spared.filter((member) => member !== leader && member.sid !== 1 && member.sid !== 2)
      await victims[0].kill()
      await until('writes go on', async () => (await hands.codeOf('set', 'near', '/far', 'four', -1)) === 'ok')
      const [last] = spared.filter((member) => member.running && member !== leader)
      await last.kill()
      await until('nobody leads', async () => (await ensemble.leader()) === null)
      await ensemble.start([victims[0].sid, last.sid, 5])
      await until('writes go on', async () => (await hands.codeOf('set', 'afar', '/far', 'five', -1)) === 'ok')
    })
    await check('I3 the trees are equal', async () => {
      await hands.do('close', 'afar')
      await hands.do('close', 'near')
      await expectEqual(ensemble.members)
    })
  } finally {
    await ensemble.killAll()
  }
}
