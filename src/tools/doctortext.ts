/** A diagnosis as text for people, and as JSON for scripts. */

import { basename } from 'node:path'
import { epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Diagnosis, exitCodeOf, type Finding, sizeText } from './doctor.ts'
import type { LogReport, SnapshotReport } from './doctorfiles.ts'
import { digestText } from './target.ts'

export function diagnosisText(diagnosis: Diagnosis): string {
  const { target, holders, epochs, identity, start, vote, freeBytes, findings } = diagnosis
  const lines = [`data     ${target.dataDir}${serverText(target.serverId)}`]
  if (target.dataLogDir !== target.dataDir) lines.push(`log      ${target.dataLogDir}`)
  lines.push(`in use   ${holders.length > 0 ? `by process ${holders.join(', ')}; what follows may change` : 'no'}`)
  for (const { path, bytes } of freeBytes) lines.push(`free     ${sizeText(bytes)} at ${path}`)
  lines.push(`epochs   accepted ${epochs.accepted ?? 'none'}, current ${epochs.current ?? 'none'}`)
  if (identity !== null) {
    const addresses = [...identity.servers.values()].flatMap((each) => each.slice(0, 1))
    lines.push(`whose    server ${identity.serverId} among ${addresses.join(' ')}`)
  }
  lines.push('', ...diagnosis.snapshots.map(snapshotLine), ...diagnosis.logs.map(logLine))
  lines.push('', ...startLines(diagnosis))
  for (const change of start?.changes ?? []) lines.push(`         first it would ${change}`)
  if (vote !== null) {
    const who = vote.serverId === null ? '' : `, server ${vote.serverId}`
    lines.push(`vote     as a member of an ensemble: zxid ${hex(vote.zxid)}, epoch ${vote.epoch}${who}`)
  }
  for (const finding of findings) lines.push('', ...findingLines(finding))
  return `${lines.join('\n')}\n`
}

function startLines({ start }: Diagnosis): string[] {
  if (start === null) return ['start    no: a server would refuse these files']
  if (start.zxidLast < 0) return ['start    as a member without a vote, until a leader has brought it up to date']
  const from = start.snapshotZxid < 0 ? 'no snapshot' : `snapshot ${hex(start.snapshotZxid)}`
  const sessions = `${start.sessionCount} sessions, ${start.ephemeralCount} ephemerals`
  return [
    `start    at zxid ${hex(start.zxidLast)} (epoch ${epochOf(start.zxidLast)}), from ${from} and ${start.txnsReplayed} transactions`,
    `         ${start.znodeCount} znodes, ${sessions}, digest ${digestText(start.digest.hi, start.digest.lo)}`,
  ]
}

function snapshotLine({ path, bytes, error, summary, digest }: SnapshotReport): string {
  const name = `${basename(path).padEnd(24)} ${sizeText(bytes).padStart(10)}`
  if (summary === null) return `${name}  not usable: ${error}`
  const verdicts = {
    equal: `digest ${digest.sealed} holds`,
    differs: `digest ${digest.sealed} does not hold`,
    open: `digest ${digest.sealed} cannot be checked: its log is gone`,
    none: 'without a digest',
  }
  const end = summary.zxidEnd
  const reach = end === null ? '' : `, finished at ${hex(end)}`
  return `${name}  ${summary.nodeCount} znodes, ${summary.sessionCount} sessions${reach}, ${verdicts[digest.verdict]}`
}

function logLine({ path, bytes, txns, zxidFirst, tail, gaps }: LogReport): string {
  const name = `${basename(path).padEnd(24)} ${sizeText(bytes).padStart(10)}`
  const range = txns === 0 ? 'no transaction' : `${hex(zxidFirst)} to ${hex(tail.zxidLast)}, ${txns} transactions`
  const holes = gaps.length === 0 ? '' : `, ${gaps.length} gaps`
  const end = tail.kind === 'end' ? '' : `, ${tail.kind === 'torn' ? 'torn' : 'damaged'} at byte ${tail.offset}`
  return `${name}  ${range}${holes}${end}${tail.kind === 'end' ? '' : `: ${tail.reason}`}`
}

const GRADES: Readonly<Record<Finding['grade'], string>> = { refusal: 'REFUSAL', remark: 'REMARK ', advice: 'ADVICE ' }

function findingLines({ grade, what, file, offset, mend }: Finding): string[] {
  const named = file === null || what.includes(file)
  const place = named ? '' : ` (${file}${offset === null ? '' : ` at byte ${offset}`})`
  const lines = [`${GRADES[grade]}  ${what}${place}`]
  if (mend !== '') lines.push(`         mend: ${mend}`)
  return lines
}

/** One object; zxids, digests and such as hex strings. */
export function diagnosisJson(diagnosis: Diagnosis): string {
  const { target, start, vote } = diagnosis
  const document = {
    dataDir: target.dataDir,
    dataLogDir: target.dataLogDir,
    serverId: target.serverId,
    verdict: (['fine', 'starts with remarks', 'does not start'] as const)[exitCodeOf(diagnosis)],
    inUseBy: diagnosis.holders.map(Number),
    freeBytes: diagnosis.freeBytes,
    acceptedEpoch: diagnosis.epochs.accepted,
    currentEpoch: diagnosis.epochs.current,
    identity:
      diagnosis.identity === null
        ? null
        : { ...diagnosis.identity, servers: Object.fromEntries(diagnosis.identity.servers) },
    snapshots: diagnosis.snapshots.map(({ path, zxid, bytes, error, summary, digest }) => ({
      file: path,
      zxid: hex(zxid),
      bytes,
      usable: error === null,
      error,
      znodes: summary?.nodeCount ?? null,
      sessions: summary?.sessionCount ?? null,
      zxidEnd: summary?.zxidEnd == null ? null : hex(summary.zxidEnd),
      digest,
    })),
    logs: diagnosis.logs.map(({ path, bytes, txns, zxidFirst, tail, gaps }) => ({
      file: path,
      bytes,
      transactions: txns,
      zxidFirst: hexOrNull(zxidFirst),
      zxidLast: hexOrNull(tail.zxidLast),
      tail: tail.kind,
      tailOffset: tail.offset,
      tailReason: tail.reason,
      gaps: gaps.map(({ before, zxid, offset }) => ({ before: hex(before), after: hex(zxid), offset })),
    })),
    start:
      start === null
        ? null
        : {
            zxid: hexOrNull(start.zxidLast),
            epoch: start.zxidLast < 0 ? null : epochOf(start.zxidLast),
            snapshotZxid: hexOrNull(start.snapshotZxid),
            transactionsReplayed: start.txnsReplayed,
            znodes: start.znodeCount,
            sessions: start.sessionCount,
            ephemerals: start.ephemeralCount,
            digest: digestText(start.digest.hi, start.digest.lo),
            changes: start.changes,
          },
    vote: vote === null ? null : { ...vote, zxid: hex(vote.zxid) },
    findings: diagnosis.findings,
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function serverText(serverId: number | null): string {
  return serverId === null ? '' : ` (server ${serverId})`
}

function hex(zxid: Zxid): string {
  return `0x${zxidHex(zxid)}`
}

function hexOrNull(zxid: Zxid): string | null {
  return zxid < 0 ? null : hex(zxid)
}
