/** Why a key or trust store cannot be used. */

/** The message goes on after the file's name: `keystore.p12 has no key`. It never holds anything secret. */
export class StoreError extends Error {
  override name = 'StoreError'
}
