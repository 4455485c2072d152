/** Chance under a seed (mulberry32): the same seed gives the same numbers on every machine. */

export interface Random {
  /** The next 32 bits, unsigned. */
  uint32(): number
  /** 0 to limit - 1. */
  below(limit: number): number
  pick<T>(choices: readonly T[]): T
  /** True once in `times`. */
  oneIn(times: number): boolean
  bytes(length: number): Uint8Array
}

export function randomOf(seed: number): Random {
  let state = seed | 0
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number): number => uint32() % limit
  return {
    uint32,
    below,
    pick: (choices) => choices[below(choices.length)]!,
    oneIn: (times) => below(times) === 0,
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at++) bytes[at] = uint32()
      return bytes
    },
  }
}
