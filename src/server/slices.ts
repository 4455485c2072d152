/** Text in slices worth a write. Pure. */

const SLICE_CHARS = 16_384

/** Joins small pieces to slices. */
export function* gather(pieces: Iterable<string>): Generator<string> {
  let slice = ''
  for (const piece of pieces) {
    slice += piece
    if (slice.length >= SLICE_CHARS) {
      yield slice
      slice = ''
    }
  }
  if (slice !== '') yield slice
}
