/** One life ends for another because somebody wants other data, not for want of room. */

import { describe, expect, it } from 'vitest'
import { Lives } from '../../../src/server/life/lives.ts'

function host(told: string[]) {
  return {
    nowMs: () => 0,
    after: () => () => {},
    begin: async () => void told.push('begin'),
    end: async () => void told.push('end'),
    room: async () => null,
    aside: () => {},
    failed: (err: Error) => void told.push(`failed: ${err.message}`),
    log: () => {},
  }
}

describe('a life that ends for other data', () => {
  it('is over before the files change, and the next one begins behind that', async () => {
    const told: string[] = []
    const lives = new Lives(host(told), null)
    await lives.start()
    await lives.again(async () => void told.push('files'))
    expect(told).toEqual(['begin', 'end', 'files', 'begin'])
    await lives.close()
    expect(told.at(-1)).toBe('end')
  })

  it('is followed by another one whatever became of the files, and the reason is told', async () => {
    const told: string[] = []
    const lives = new Lives(host(told), null)
    await lives.start()
    await expect(lives.again(() => Promise.reject(new Error('no room')))).rejects.toThrow('no room')
    expect(told).toEqual(['begin', 'end', 'begin'])
    await lives.again(async () => {})
    expect(told.length).toBe(5)
    await lives.close()
  })

  it('is not begun anew once the server is to end', async () => {
    const told: string[] = []
    const lives = new Lives(host(told), null)
    await lives.start()
    let closed: Promise<void> | null = null
    await lives.again(async () => {
      closed = lives.close()
    })
    await closed
    expect(told).toEqual(['begin', 'end', 'end'])
  })

  it('must be there', async () => {
    await expect(new Lives(host([]), null).again(async () => {})).rejects.toThrow('it does not work')
  })
})
