/** Why a run ended badly. The kinds end the command line with different codes. */

export type FailureKind = 'crash' | 'liveness' | 'safety'

export const EXIT_CODES: Readonly<Record<FailureKind, number>> = { crash: 2, liveness: 3, safety: 4 }

export class Failure extends Error {
  override name = 'Failure'
  readonly kind: FailureKind
  /** Ids of faults-and-security.md that it breaks, where one is known. */
  readonly id: string

  constructor(kind: FailureKind, id: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    this.id = id
  }
}

/** A law that must hold; what breaks it ends the run. */
export function law(holds: boolean, id: string, message: () => string): asserts holds {
  if (!holds) throw new Failure('safety', id, `${id}: ${message()}`)
}
