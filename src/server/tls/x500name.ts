/**
 * Distinguished names as text, letter for letter as Java's X500Principal.getName() writes them (RFC 2253), because ACLs
 * hold that text; and whether a text is one that Java could read. Pure.
 *
 * The last part of the encoded name comes first. A type without a keyword in RFC 2253 (an e-mail address, a serial number)
 * is a number, and its value the hexadecimal digits of its encoding. Java: sun.security.x509.AVA, RDN, X500Name.
 */

import { children, type Der, DerError, expectTag, oid, sequence, Tag } from './der.ts'

/** The types that RFC 2253 has a word for, as Java knows them. */
const KEYWORDS: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
}

/** Java reads more words than it writes. */
const KEYWORDS_READ: ReadonlySet<string> = new Set([
  ...Object.values(KEYWORDS),
  ...['S', 'T', 'IP', 'DNQUALIFIER', 'DNQ', 'SURNAME', 'GIVENNAME', 'INITIALS', 'GENERATION', 'EMAIL'],
  ...['EMAILADDRESS', 'SERIALNUMBER'],
])

const GENERAL_STRING = 0x1b
const TEXT_TAGS: ReadonlySet<number> = new Set([
  Tag.printableString,
  Tag.utf8String,
  Tag.teletexString,
  Tag.ia5String,
  Tag.bmpString,
  Tag.universalString,
  GENERAL_STRING,
])

const SPECIAL = ',=+<>#;"\\'

/** The text of an encoded name. Throws DerError. */
export function nameText(name: Der): string {
  return sequence(name, 'name')
    .map((part) =>
      children(expectTag(part, Tag.set, 'part of a name'))
        .map(attributeText)
        .join('+'),
    )
    .reverse()
    .join(',')
}

function attributeText(attribute: Der): string {
  const [type, value] = sequence(attribute, 'attribute')
  const number = oid(type, 'type of an attribute')
  if (value === undefined) throw new DerError('an attribute has no value')
  const keyword = KEYWORDS[number]
  if (keyword === undefined || !TEXT_TAGS.has(value.tag)) {
    return `${keyword ?? number}=#${[...value.whole].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
  }
  // Java takes the bytes for UTF-8 whatever their type says.
  return `${keyword}=${escapeValue(new TextDecoder('utf-8', { ignoreBOM: true }).decode(value.contents))}`
}

function escapeValue(text: string): string {
  const escaped: string[] = []
  for (const letter of text) {
    if (letter === '\0') escaped.push('\\', '0', '0')
    else if (SPECIAL.includes(letter)) escaped.push('\\', letter)
    else escaped.push(letter)
  }
  const isSpace = (letter: string): boolean => letter === ' ' || letter === '\r'
  let lead = 0
  while (lead < escaped.length && isSpace(escaped[lead]!)) lead++
  let trail = escaped.length - 1
  while (trail >= lead && isSpace(escaped[trail]!)) trail--
  return escaped.map((letter, i) => (i < lead || i > trail ? `\\${letter}` : letter)).join('')
}

/**
 * May an ACL have this id? Takes what Java takes in RFC 2253 and the older RFC 1779: keywords in any case, numbers (also
 * behind `OID.`), quoted values, `;` between parts.
 */
export function isNameText(text: string): boolean {
  if (text.trim() === '') return true
  let off = 0
  for (;;) {
    const type = /^\s*([A-Za-z][A-Za-z0-9]*|(?:[Oo][Ii][Dd]\.)?(?:[01]\.[1-3]?\d|2\.\d+)(?:\.\d+)*)\s*=\s*/.exec(
      text.slice(off),
    )
    if (type === null) return false
    if (/^[A-Za-z]/.test(type[1]!) && !/^oid\./i.test(type[1]!) && !KEYWORDS_READ.has(type[1]!.toUpperCase()))
      return false
    off += type[0].length
    const value = VALUE.exec(text.slice(off))
    if (value === null) return false
    off += value[0].length
    if (off === text.length) return true
    off++ // the separator
  }
}

const ESCAPE = String.raw`\\(?:[,=+<>#;"\\ ]|[0-9A-Fa-f]{2})`
/** Quoted, hexadecimal, or plain with escapes; up to a separator or the end. */
const VALUE = new RegExp(
  String.raw`^(?:"(?:[^"\\]|${ESCAPE})*"\s*|#(?:[0-9A-Fa-f]{2})+\s*|(?!#)(?:[^,+;"\\<>\n]|${ESCAPE})*)(?=[,+;]|$)`,
)
