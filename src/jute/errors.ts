/** Failures of storage. Any of these ends what the server is doing: it never guesses what a damaged or failing disk meant. */

export class StorageError extends Error {
  override name = 'StorageError'
  /** The file concerned, as the operator would name it; null where the bytes came from elsewhere. */
  readonly file: string | null
  /** Byte offset in that file; null where it makes no sense. */
  readonly offset: number | null

  constructor(message: string, file: string | null = null, offset: number | null = null, cause?: unknown) {
    super(file === null ? message : `${message} (${file}${offset === null ? '' : ` at byte ${offset}`})`, { cause })
    this.file = file
    this.offset = offset
  }
}
