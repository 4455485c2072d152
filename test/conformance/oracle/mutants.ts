/** Placeholder replaced below. */
import type { Options } from './campaign.ts'

export async function runMutants(_root: string, _dir: string, _options: Options): Promise<number> {
  return 1
}
