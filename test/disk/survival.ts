/**
 * What of the changes that were not synced a loss of power leaves. Names, sizes and sectors are asked for one after the
 * other, in the order in which they were changed.
 */

export interface Survival {
  /** A name that was made, removed or given to another file; or a file's size. */
  keeps(): boolean
  /** Of a sector with `bytes` new bytes, so many of the first ones: none, all, or some where it is torn. */
  keepsOf(bytes: number): number
}

export const NOTHING: Survival = { keeps: () => false, keepsOf: () => 0 }

export const EVERYTHING: Survival = { keeps: () => true, keepsOf: (bytes) => bytes }

/** Each with the same chance, in any order. `random` answers in [0, 1). */
export function some(random: () => number, share = 0.5): Survival {
  return { keeps: () => random() < share, keepsOf: (bytes) => (random() < share ? bytes : 0) }
}

/** The first `count` in full and nothing behind them; one sector between the two is torn at any byte. */
export function first(count: number, random: () => number): Survival {
  let left = count
  return {
    keeps: () => left-- > 0,
    keepsOf: (bytes) => {
      if (left-- > 0) return bytes
      return left === -1 ? Math.floor(random() * (bytes + 1)) : 0
    },
  }
}
