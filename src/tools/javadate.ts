/**
 * Times as Apache's tools print them, in this machine's time zone: the formats of Java 17 for English.
 *
 * The zone's short name (CET, PDT) is not to be had from Intl, which says GMT+1; it comes from the last line of the
 * zone's file, `CET-1CEST,M3.5.0,M10.5.0/3`: the names of standard and of summer time, and the former's offset.
 * Java: DateFormat.getDateTimeInstance, Date.toString.
 */

import { readFileSync } from 'node:fs'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const ZONE_FOLDER = '/usr/share/zoneinfo'

export class JavaDates {
  private readonly zone: ZoneNames | null

  constructor() {
    this.zone = readZoneNames(Intl.DateTimeFormat().resolvedOptions().timeZone)
  }

  /** `2/11/26, 8:18:05 PM UTC`: short date, long time. */
  shortLong(timeMs: number): string {
    const date = new Date(timeMs)
    const year = twoDigits(date.getFullYear() % 100)
    return `${date.getMonth() + 1}/${date.getDate()}/${year}, ${clock(date)} ${this.zoneName(date)}`
  }

  /** `Feb 11, 2026, 8:18:05 PM`: medium date, medium time. */
  medium(timeMs: number): string {
    const date = new Date(timeMs)
    return `${MONTHS[date.getMonth()]} ${date.getDate()}, ${date.getFullYear()}, ${clock(date)}`
  }

  /** `Wed Feb 11 20:18:05 UTC 2026`: Date.toString. */
  full(timeMs: number): string {
    const date = new Date(timeMs)
    const day = `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${twoDigits(date.getDate())}`
    const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
    return `${day} ${time} ${this.zoneName(date)} ${String(date.getFullYear()).padStart(4, '0')}`
  }

  private zoneName(date: Date): string {
    const { zone } = this
    if (zone !== null) return -date.getTimezoneOffset() === zone.offsetMinutes ? zone.standard : zone.summer
    const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date)
    return parts.find(({ type }) => type === 'timeZoneName')?.value ?? ''
  }
}

export interface ZoneNames {
  readonly standard: string
  readonly summer: string
  /** East of Greenwich, of standard time. */
  readonly offsetMinutes: number
}

/** The names in a POSIX TZ rule; null where it has numbers for names, or is none. */
export function parseZoneRule(rule: string): ZoneNames | null {
  const match = /^([A-Za-z]{3,})([+-]?)(\d{1,2})(?::(\d\d))?(?::\d\d)?([A-Za-z]{3,})?/.exec(rule)
  if (match === null) return null
  const [, standard, sign, hours, minutes, summer] = match
  // The rule counts westward.
  const offset = (Number(hours) * 60 + Number(minutes ?? 0)) * (sign === '-' ? 1 : -1)
  return { standard: standard!, summer: summer ?? standard!, offsetMinutes: offset === 0 ? 0 : offset }
}

function readZoneNames(zone: string): ZoneNames | null {
  if (zone === 'UTC') return { standard: 'UTC', summer: 'UTC', offsetMinutes: 0 }
  try {
    const lines = readFileSync(`${ZONE_FOLDER}/${zone}`, 'latin1').trimEnd().split('\n')
    return parseZoneRule(lines.at(-1)!)
  } catch {
    return null
  }
}

/** `8:18:05 PM` */
function clock(date: Date): string {
  const hours = date.getHours()
  const time = `${hours % 12 === 0 ? 12 : hours % 12}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}`
  return `${time} ${hours < 12 ? 'AM' : 'PM'}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
