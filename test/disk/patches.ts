/**
 * Deliberate faults of storage, as changes to a compiled copy of the server: each must be found by losing the power at
 * some point.
 */

import type { Mutant } from '../simulation/patches.ts'

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-dir-sync',
    what: 'the name of a new log is not durable when its first transaction is acknowledged',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: 'this.disk.syncDir(this.dir, (err) => {',
        replace: '((_dir, done) => done(null))(this.dir, (err) => {',
      },
    ],
  },
  {
    name: 'ack-before-sync',
    what: 'a transaction is acknowledged before it is synced',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: 'this.disk.createSynced(path, got)',
        replace: 'this.disk.create(path, got)',
      },
    ],
  },
  {
    name: 'no-checksum',
    what: 'the checksum of a record is not looked at',
    patches: [
      {
        file: 'src/txnlog/logfile.js',
        find: 'readInt(buf, off + 4) !== (adler32(ADLER_START, buf, entry, entry + length) | 0)',
        replace: 'readInt(buf, off + 4) === 0',
      },
    ],
  },
  {
    name: 'purge-trusts-names',
    what: 'a purge counts snapshots that are damaged, and removes the only good one',
    patches: [
      {
        file: 'src/txnlog/purge.js',
        find: '!(await verifies(disk, snapDir, snapshot, lengthMax))',
        replace: 'snapshot.zxid < 0',
      },
    ],
  },
  {
    name: 'no-cut-sync',
    what: 'a truncation is answered before it is durable',
    patches: [
      {
        file: 'src/txnlog/logdir.js',
        find: 'await laterDone((done) => disk.sync(file, done));',
        replace: '',
      },
    ],
  },
  {
    name: 'rename-before-sync',
    what: 'a snapshot takes its name before its bytes are durable',
    patches: [
      {
        file: 'src/txnlog/filestore.js',
        find: 'await laterDone((done) => disk.sync(file, done));',
        replace: '',
      },
    ],
  },
  {
    name: 'sync-again',
    what: 'a write whose sync has failed is taken for durable when a second sync succeeds',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: "return this.fail('cannot write the log', into.path, into.pos, err);",
        replace: 'return void this.disk.sync(into.file, () => this.syncFolder(into, group));',
      },
    ],
  },
  {
    name: 'believe-cache',
    what: 'a start believes what a failed sync has left in the memory of the kernel',
    patches: [
      {
        file: 'src/txnlog/recover.js',
        find: 'await laterDone((done) => this.disk.write(file, from, [bytes], done));',
        replace: '',
      },
    ],
  },
]
