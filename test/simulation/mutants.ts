/**
 * Deliberate faults of the server, by the law each of them breaks. `--mutant NAME` runs on a copy with one; some seed
 * must give it away, or a checker has a hole. What is found in the copy must not be there without the fault.
 */

import type { Mutant } from './patches.ts'

/** The five of the protocol's own. */
const PROTOCOL: readonly Mutant[] = [
  {
    name: 'early-newleader-ack',
    what: 'NEWLEADER is acknowledged before the history is durable',
    patches: [
      {
        file: 'src/zab/learner.js',
        find: 'this.host.savesConfig || this.host.log.zxidDurable < this.zxidSynced',
        replace: 'this.host.savesConfig',
      },
    ],
  },
  {
    name: 'no-quorum',
    what: 'a proposal commits with its first acknowledgement',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'if (quorums.every((quorum) => quorum.containsQuorum(sids)))',
        replace: 'if (sids.size > 0)',
      },
    ],
  },
  {
    name: 'no-trunc',
    what: 'a learner says that it has truncated its log, and has not',
    patches: [
      {
        file: 'src/txnlog/logdir.js',
        find: 'const kept = snapshotNames(snapFiles).filter((snapshot) => snapshot.zxid <= zxid);',
        replace: "if (zxid >= 0) return 'ok'; const kept = [];",
      },
    ],
  },
  {
    name: 'no-fsync',
    what: 'the log calls durable what it has not synced',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: 'this.disk.createSynced(path, got);',
        replace: 'this.disk.create(path, got);',
      },
    ],
  },
  {
    name: 'stale-epoch',
    what: 'a learner follows a leader of an older epoch than it has promised',
    patches: [
      { file: 'src/zab/learner.js', find: 'if (this.epoch < oldest) {', replace: 'if (this.epoch < 0) {' },
      // As a leader of Java's: one of ours would give way.
      { file: 'src/zab/leader.js', find: 'if (acceptedEpoch > this.epoch', replace: 'if (acceptedEpoch < 0' },
    ],
  },
]

const DURABILITY: readonly Mutant[] = [
  {
    name: 'ack-on-receipt',
    what: 'I1 a follower acknowledges a proposal as it comes, not when it is on disk',
    patches: [
      {
        file: 'src/zab/learner.js',
        find: 'this.host.append(proposal);',
        replace: "this.host.append(proposal); if (this.state === 'live') this.sendAcks();",
      },
      {
        file: 'src/zab/learner.js',
        find: 'const { zxidDurable } = this.host.log;',
        replace: 'const zxidDurable = this.host.log.zxidLogged;',
      },
    ],
  },
  {
    name: 'own-disk-trusted',
    what: 'I1 a leader counts itself for what it has not on its disk yet',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'zxid: this.host.log.zxidDurable }]',
        replace: 'zxid: this.host.log.zxidLogged }]',
      },
    ],
  },
  {
    name: 'ack-for-two',
    what: 'I1 the acknowledgement of one learner counts for two',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'marks.push({ sid, zxid: zxidAcked });',
        replace: 'marks.push({ sid, zxid: zxidAcked }, { sid: (sid % 3) + 1, zxid: zxidAcked });',
      },
    ],
  },
  {
    name: 'failed-write-ignored',
    what: 'I1 a durable write of the log that fails is taken for one that worked',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: "return this.fail('cannot write the log', into.path, into.pos, err);",
        replace: 'err.ignored = true;',
      },
    ],
  },
  {
    name: 'two-of-an-epoch',
    what: 'I4 a candidate names its epoch before that is on its own disk',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: "this.host.saveEpoch('accepted', this.epoch);",
        replace: "this.host.saveEpoch('accepted', this.epoch); this.onAccepted();",
      },
    ],
  },
  {
    name: 'promise-ahead',
    what: 'I9 a learner promises an epoch before that is on its disk',
    patches: [
      {
        file: 'src/zab/learner.js',
        find: "this.host.saveEpoch('accepted', this.epoch);",
        replace: "this.host.saveEpoch('accepted', this.epoch); this.sendAckEpoch();",
      },
    ],
  },
  {
    name: 'epoch-behind-ack',
    what: 'I9 NEWLEADER is acknowledged before currentEpoch is on disk',
    patches: [
      {
        file: 'src/zab/learner.js',
        find: "this.host.saveEpoch('current', this.epoch);",
        replace: "{ this.host.saveEpoch('current', this.epoch); this.ackNewLeader(); }",
      },
    ],
  },
  {
    name: 'epoch-unsynced',
    what: 'I9 an epoch is called saved before its file is',
    patches: [
      {
        file: 'src/txnlog/epochs.js',
        find: 'await writeSmallFile(',
        replace: 'void (async (...args) => writeSmallFile(...args).catch(() => {}))(',
      },
    ],
  },
  {
    name: 'tail-unsynced',
    what: 'I1 a new file of the log is acknowledged before its name is on disk',
    patches: [
      {
        file: 'src/txnlog/txnlog.js',
        find: 'if (!group.newFile) {\n            this.settle',
        replace: 'if (group.bytes > 0) {\n            this.settle',
      },
    ],
  },
]

const ORDER: readonly Mutant[] = [
  {
    name: 'txn-skipped',
    what: 'I3 a learner passes over a committed transaction now and then',
    patches: [
      {
        file: 'src/zab/peer.js',
        find: 'this.log.deliverTo(zxid, (proposal) => this.out.deliver(proposal.zxid, proposal.bytes));',
        replace:
          "this.log.deliverTo(zxid, (proposal) => { if (this.role === 'leading' || proposal.zxid % 97 !== 0) this.out.deliver(proposal.zxid, proposal.bytes); });",
      },
    ],
  },
  {
    name: 'adopted-skipped',
    what: 'I3 a new leader passes over the last of what it adopts',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'host.deliverTo(adopted);',
        replace:
          'const { out } = host, { deliver } = out; out.deliver = (zxid, bytes) => { if (zxid !== adopted) deliver.call(out, zxid, bytes); }; host.deliverTo(adopted); out.deliver = deliver;',
      },
    ],
  },
  {
    name: 'sync-hole',
    what: 'I3 a DIFF lacks the last transaction of an older epoch',
    patches: [
      {
        file: 'src/zab/learnerhandler.js',
        find: 'if (proposal.zxid <= bound)',
        replace:
          'if (proposal.zxid <= bound && (this.master.host.log.after(proposal.zxid)?.zxid ?? 0) > proposal.zxid + 1) return; if (proposal.zxid <= bound)',
      },
    ],
  },
  {
    name: 'tree-ahead',
    what: 'I3 the tree is not taken back when the log is cut below it',
    patches: [
      {
        file: 'src/server/member/memberstorage.js',
        find: 'if (state.zxidLast > zxid)',
        replace: 'if (state.zxidLast < 0)',
      },
    ],
  },
  {
    name: 'old-quorum',
    what: 'C15 a reconfiguration commits with a quorum of the old members alone',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'this.rules.push({ from: zxid, quorums: this.quorums(), later: null });',
        replace: 'this.rules.push({ from: zxid, quorums: [this.host.committed], later: null });',
      },
    ],
  },
  {
    name: 'deposed-answers',
    what: 'I4 a leader goes on answering syncs although it hears of no quorum',
    patches: [
      {
        file: 'src/zab/leader.js',
        find: 'const alive = new Tracker(this.quorums());',
        replace: 'if (now > 0) return true; const alive = new Tracker(this.quorums());',
      },
    ],
  },
]

const ANSWERS: readonly Mutant[] = [
  {
    name: 'refused-and-done',
    what: 'I2 a write that takes effect is answered with an error',
    patches: [
      {
        file: 'src/server/requests/pipeline.js',
        find: 'this.replyToWrite(pending);',
        replace:
          'if (pending.type === 5 && pending.xid % 9 === 0) this.outcome.err = -112; this.replyToWrite(pending);',
      },
    ],
  },
  {
    name: 'write-twice',
    what: 'I2 a forwarded write is proposed twice',
    patches: [
      {
        file: 'src/zab/learnerhandler.js',
        find: 'master.onRequest(this, request);',
        replace: '{ master.onRequest(this, request); if (request.cxid % 7 === 3) master.onRequest(this, request); }',
      },
    ],
  },
  {
    name: 'read-overtakes',
    what: 'I5 a read does not wait for the writes its session has sent before',
    patches: [
      {
        file: 'src/server/requests/pipeline.js',
        find: 'else if (conn.head !== null) {',
        replace: 'else if (conn.head !== null && type !== 4) {',
      },
    ],
  },
  {
    name: 'ahead-let-in',
    what: 'I5 a client is let in that has seen more than the server has',
    patches: [
      {
        file: 'src/server/requests/handshake.js',
        find: 'if (lastZxidSeen > this.state.zxidLast) {',
        replace: 'if (lastZxidSeen < 0) {',
      },
    ],
  },
  {
    name: 'moved-unseen',
    what: 'I5 late requests of a session that has moved go through',
    patches: [
      {
        file: 'src/server/requests/sessiongate.js',
        find: 'return session.owner === owner ? Err.ok : Err.sessionMoved;',
        replace: 'return Err.ok;',
      },
    ],
  },
  {
    name: 'multi-half',
    what: 'I8 the first operation of a multi that fails takes effect',
    patches: [{ file: 'src/datatree/apply.js', find: 'if (!failed) {', replace: 'if (!failed || i === 0) {' }],
  },
  {
    name: 'check-ignored',
    what: 'I8 a check in a multi passes whatever the version is',
    patches: [
      {
        file: 'src/server/requests/prep.js',
        find: 'return Err.badVersion;\n        out.bufferOf(buf, op.pathOff, op.pathEnd);\n        out.int((node.version + 1) | 0);\n        return Err.ok;',
        replace:
          'out.bufferOf(buf, op.pathOff, op.pathEnd);\n        out.bufferOf(buf, op.pathOff, op.pathEnd);\n        out.int((node.version + 1) | 0);\n        return Err.ok;',
      },
    ],
  },
  {
    name: 'snapshot-late-name',
    what: 'I8 a snapshot bears the zxid at which it ended, not the one at which it began',
    patches: [
      {
        file: 'src/txnlog/filestore.js',
        find: 'disk.rename(this.partialPath, path, done)',
        replace: 'disk.rename(this.partialPath, path.replace(zxidHex(writer.zxid), zxidHex(writer.zxidEnd)), done)',
      },
    ],
  },
]

const WATCHES: readonly Mutant[] = [
  {
    name: 'event-behind-reply',
    what: 'I6 the event of a write comes behind its reply',
    patches: [
      {
        file: 'src/server/requests/pipeline.js',
        find: 'const bytes = writeEvent(conn.output(), eventType, STATE_SYNC_CONNECTED, zxid, path, off, end);',
        replace:
          'if (this.applying?.conn === conn) { const copy = path.slice(off, end); (this.late ??= []).push(() => { if (!conn.closed) writeEvent(conn.output(), eventType, STATE_SYNC_CONNECTED, zxid, copy, 0, copy.length); }); return; } const bytes = writeEvent(conn.output(), eventType, STATE_SYNC_CONNECTED, zxid, path, off, end);',
      },
      {
        file: 'src/server/requests/pipeline.js',
        find: 'this.replyToWrite(pending);',
        replace: '{ this.replyToWrite(pending); for (const run of (this.late ?? []).splice(0)) run(); }',
      },
    ],
  },
  {
    name: 'watch-lost',
    what: 'I6 a child watch is not put back on a new connection',
    patches: [
      { file: 'src/server/requests/reads.js', find: 'watches.addChild(id, pathBuf, pathOff, pathEnd);', replace: '' },
    ],
  },
  {
    name: 'missed-untold',
    what: 'I6 a client that comes back is not told of the znode that went meanwhile',
    patches: [
      { file: 'src/server/requests/reads.js', find: 'missed = EventType.nodeDeleted;', replace: 'missed = 0;' },
    ],
  },
  {
    name: 'missed-told-twice',
    what: 'I6 what was missed is told twice on a new connection',
    patches: [
      {
        file: 'src/server/requests/reads.js',
        find: 'conn.stats.sent++;',
        replace: 'writeEvent(out, missed, STATE_SYNC_CONNECTED, -1, pathBuf, pathOff, pathEnd);',
      },
    ],
  },
  {
    name: 'missed-stands',
    what: 'I6 a watch stays although what it waited for was told on the new connection',
    patches: [
      {
        file: 'src/server/requests/reads.js',
        find: 'conn.stats.sent++;',
        replace: 'watches.addData(id, pathBuf, pathOff, pathEnd);',
      },
    ],
  },
  {
    name: 'watch-stays',
    what: 'I6 a watch is not used up by its event now and then',
    patches: [
      {
        file: 'src/datatree/watches.js',
        find: 'if ((this.entries[at + CONN_FLAGS] & PERSISTENT) === 0)',
        replace: 'if ((this.entries[at + CONN_FLAGS] & PERSISTENT) === 0 && zxid % 5 !== 0)',
      },
    ],
  },
  {
    name: 'watch-deaf',
    what: 'I6 an event is lost now and then',
    patches: [
      {
        file: 'src/datatree/watches.js',
        find: 'this.sink.onWatch(conn, eventType, zxid, buf, off, end, aclId);',
        replace: 'if (zxid % 23 !== 0) this.sink.onWatch(conn, eventType, zxid, buf, off, end, aclId);',
      },
    ],
  },
]

const SESSIONS: readonly Mutant[] = [
  {
    name: 'ephemeral-kept',
    what: 'I7 an ephemeral outlives its session, on all members',
    patches: [
      {
        file: 'src/datatree/apply.js',
        find: 'this.removeEphemerals(this.clientHi, this.clientLo);',
        replace: 'if (count === 0) this.removeEphemerals(this.clientHi, this.clientLo);',
      },
      {
        file: 'src/datatree/apply.js',
        find: 'this.readPath();\n            this.delete(this.pathOff, this.pathEnd);',
        replace: 'this.readPath();\n            if (i > 0) this.delete(this.pathOff, this.pathEnd);',
      },
    ],
  },
  {
    name: 'ephemeral-kept-here',
    what: 'I7 a member that has started from a snapshot keeps ephemerals of sessions that end',
    patches: [
      {
        file: 'src/txnlog/recover.js',
        find: 'state.tree.finishLoad();',
        replace: 'state.tree.finishLoad(); state.keeps = zxid > 0;',
      },
      {
        file: 'src/datatree/apply.js',
        find: 'const count = this.countPathsToClose();',
        replace: 'const count = this.countPathsToClose(); if (this.keeps) return;',
      },
    ],
  },
  {
    name: 'session-kept',
    what: 'I7 a session that has ended stays in the tables',
    patches: [
      {
        file: 'src/datatree/apply.js',
        find: 'this.sessions.delete(this.clientHi, this.clientLo);',
        replace: 'if (this.zxid % 3 !== 0) this.sessions.delete(this.clientHi, this.clientLo);',
      },
    ],
  },
  {
    name: 'session-undying',
    what: 'I7 a session of a client that is gone is renewed for ever',
    patches: [{ file: 'src/server/requests/learnerflow.js', find: 'this.touched.clear();', replace: '' }],
  },
  {
    name: 'session-denied',
    what: 'S2 a session that lives is called expired when its client moves between two learners',
    patches: [
      {
        file: 'src/server/requests/proposer.js',
        find: 'if (session === undefined || session.closing || session.local)',
        replace:
          'if (session === undefined || session.closing || session.local || (session.owner >= 0 && session.owner !== from))',
      },
    ],
  },
  {
    name: 'sleep-kills',
    what: 'T2 a leader that has slept lets sessions expire that it could not hear',
    patches: [
      {
        file: 'src/server/requests/sessions.js',
        find: 'this.buckets.clear();',
        replace: 'if (nowMs > 0) return; this.buckets.clear();',
      },
    ],
  },
  {
    name: 'short-lives',
    what: 'T2 a new leader gives sessions less than their whole timeout',
    patches: [
      {
        file: 'src/server/member/member.js',
        find: 'sessions.track(hi, lo, timeoutMs, nowMs);',
        replace: 'sessions.track(hi, lo, timeoutMs, nowMs - timeoutMs / 2);',
      },
    ],
  },
]

const PROGRESS: readonly Mutant[] = [
  {
    name: 'slow-return',
    what: 'I10 a member whose role has ended looks for a leader only after a long time',
    patches: [
      {
        file: 'src/zab/peer.js',
        find: 'this.wakeAtMs = pauseMs > 0 ? this.out.nowMs() + pauseMs : NEVER;',
        replace: 'this.wakeAtMs = this.out.nowMs() + 15_000;',
      },
    ],
  },
  {
    name: 'nameless-failure',
    what: 'I11 a member whose log fails does not say which file it was',
    patches: [{ file: 'src/txnlog/txnlog.js', find: ', path, offset, cause);', replace: ', null, null, cause);' }],
  },
]

export const MUTANTS: readonly Mutant[] = [
  ...PROTOCOL,
  ...DURABILITY,
  ...ORDER,
  ...ANSWERS,
  ...WATCHES,
  ...SESSIONS,
  ...PROGRESS,
]
