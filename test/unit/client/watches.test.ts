/** Who hears of what: the client's side of watches, as ZKWatchManager has it. */

import { describe, expect, test } from 'vitest'
import { KeeperError } from '../../../src/client/failures.ts'
import { type EventName, Watches } from '../../../src/client/watches.ts'

const NO_NODE = -101
const NO_WATCHER = -121
const CONNECTION_LOSS = -4
const Type = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 }

function hearsOnce(watches: Watches, type: EventName, path: string): [number, number] {
  return [watches.take(type, path).size, watches.take(type, path).size]
}

describe('watches that fire once', () => {
  test('exists watches what is there as data, and what is not there until it comes', () => {
    const watches = new Watches()
    watches.onAnswer('exists', '/there', () => {}, 0)
    watches.onAnswer('exists', '/not', () => {}, NO_NODE)
    expect([watches.paths('data'), watches.paths('exists')]).toEqual([['/there'], ['/not']])
    expect(hearsOnce(watches, 'NodeCreated', '/not')).toEqual([1, 0])
    expect(hearsOnce(watches, 'NodeDataChanged', '/there')).toEqual([1, 0])
  })

  test('a failed read sets none', () => {
    const watches = new Watches()
    watches.onAnswer('data', '/a', () => {}, NO_NODE)
    watches.onAnswer('children', '/a', () => {}, NO_NODE)
    watches.onAnswer('exists', '/a', () => {}, CONNECTION_LOSS)
    expect(watches.everyone().size).toBe(0)
  })

  test('a deletion is heard by those of the data and of the children, each once', () => {
    const watches = new Watches()
    const both = () => {}
    watches.onAnswer('data', '/a', both, 0)
    watches.onAnswer('children', '/a', both, 0)
    watches.onAnswer('children', '/a', () => {}, 0)
    expect(hearsOnce(watches, 'NodeDeleted', '/a')).toEqual([2, 0])
  })

  test('a change of children is not heard by those of the data', () => {
    const watches = new Watches()
    watches.onAnswer('data', '/a', () => {}, 0)
    expect(watches.take('NodeChildrenChanged', '/a').size).toBe(0)
  })
})

describe('watches that last', () => {
  test('a recursive one hears of everything below, but of no children', () => {
    const watches = new Watches()
    watches.onAnswer('persistentRecursive', '/a', () => {}, 0)
    for (const path of ['/a', '/a/b', '/a/b/c']) expect(hearsOnce(watches, 'NodeCreated', path), path).toEqual([1, 1])
    expect(watches.take('NodeCreated', '/ab').size).toBe(0)
    expect(watches.take('NodeChildrenChanged', '/a').size).toBe(0)
  })

  test('a plain one hears of its own path, children too', () => {
    const watches = new Watches()
    watches.onAnswer('persistent', '/a', () => {}, NO_NODE)
    expect(hearsOnce(watches, 'NodeChildrenChanged', '/a')).toEqual([1, 1])
    expect(watches.take('NodeCreated', '/a/b').size).toBe(0)
  })

  test('one at the root hears of all', () => {
    const watches = new Watches()
    watches.onAnswer('persistentRecursive', '/', () => {}, 0)
    expect(watches.take('NodeDeleted', '/a/b').size).toBe(1)
  })
})

describe('removal', () => {
  test('of any kind takes all of a path, and says by which name each hears of it', () => {
    const watches = new Watches()
    for (const kind of ['data', 'exists', 'children', 'persistent', 'persistentRecursive'] as const) {
      watches.onAnswer(kind, '/a', () => {}, kind === 'exists' ? NO_NODE : 0)
    }
    const heard = watches.remove('/a', Type.any, 0, false)
    expect([...heard].map(([name, watchers]) => `${name} ${watchers.size}`).sort()).toEqual([
      'ChildWatchRemoved 1',
      'DataWatchRemoved 2',
      'PersistentWatchRemoved 2',
    ])
    expect(watches.everyone().size).toBe(0)
  })

  test('of a watch that is not there, or of another kind, is an error whatever the server says', () => {
    const watches = new Watches()
    watches.onAnswer('data', '/a', () => {}, 0)
    for (const [path, type] of [
      ['/b', Type.any],
      ['/a', Type.children],
      ['/a', Type.persistent],
    ] as const) {
      expect(() => watches.remove(path, type, 0, true)).toThrow(new KeeperError(NO_WATCHER, path))
    }
  })

  test('that the server refuses keeps them, unless it is only for here', () => {
    const watches = new Watches()
    watches.onAnswer('data', '/a', () => {}, 0)
    expect(() => watches.remove('/a', Type.data, CONNECTION_LOSS, false)).toThrow(KeeperError)
    expect(watches.paths('data')).toEqual(['/a'])
    expect(watches.remove('/a', Type.data, CONNECTION_LOSS, true).size).toBe(1)
  })
})
