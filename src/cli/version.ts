/** `zoowarden version`: our version, and the one of ZooKeeper that scripts look for, in the shape of Java's. */

import { BUILT_ON, packageVersion, ZOOKEEPER_VERSION } from '../server/version.ts'

export function versionText(): string {
  return `zoowarden ${packageVersion()}, compatible with Apache ZooKeeper, version ${ZOOKEEPER_VERSION} ${BUILT_ON}`
}
