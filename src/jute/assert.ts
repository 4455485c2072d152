/** Assertions that stay on in production: a broken invariant ends the process with its state instead of spreading. */

export class AssertionError extends Error {
  override name = 'AssertionError'
}

export function assert(condition: boolean, message = 'assertion failed'): asserts condition {
  if (!condition) throw new AssertionError(message)
}
