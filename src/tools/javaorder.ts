/**
 * The order in which Java's HashMap and HashSet give their elements, so that what Apache's tools print in that order
 * comes in the same order here.
 *
 * Elements lie in buckets by the low bits of their hash, buckets come in order, and within one the order of insertion
 * holds, also when the table doubles. So the order follows from the table's final size. It doubles when more than three
 * quarters full, and, below 64 buckets, when one bucket gets a ninth element. (A larger table makes a tree of such a
 * bucket, whose root comes first; that is not followed here.) Java: java.util.HashMap.putVal, resize, treeifyBin.
 */

const BUCKET_MAX = 8
const TREEIFY_CAPACITY_MIN = 64

/** java.lang.String.hashCode. */
export function javaStringHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** java.lang.Long.hashCode. */
export function javaLongHash(hi: number, lo: number): number {
  return hi ^ lo
}

/** `items`, all different, were put in this order into a table made with `capacity` (a power of two). */
export function inJavaOrder<T>(items: readonly T[], hashOf: (item: T) => number, capacity: number): T[] {
  const spread = items.map((item) => {
    const hash = hashOf(item)
    return hash ^ (hash >>> 16)
  })
  const mask = tableSize(spread, capacity) - 1
  const order = items.map((_, i) => i)
  order.sort((a, b) => (spread[a]! & mask) - (spread[b]! & mask) || a - b)
  return order.map((i) => items[i]!)
}

function tableSize(spread: readonly number[], capacity: number): number {
  let size = 0
  for (const hash of spread) {
    const treeifies = capacity < TREEIFY_CAPACITY_MIN && bucketSize(spread, size, hash, capacity) >= BUCKET_MAX
    if (treeifies) capacity *= 2
    if (++size > capacity * 0.75) capacity *= 2
  }
  return capacity
}

/** Elements among the first `size` that share a bucket with `hash`. Called for small tables only. */
function bucketSize(spread: readonly number[], size: number, hash: number, capacity: number): number {
  let count = 0
  for (let i = 0; i < size; i++) if (((spread[i]! ^ hash) & (capacity - 1)) === 0) count++
  return count
}
