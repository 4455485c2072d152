/**
 * Text that others have chosen, made safe for a line of a log or a listing: what could end the line, move the cursor,
 * or turn the direction of the text becomes `\uXXXX` (X13, ZOOKEEPER-5058). Pure.
 */

/** Control and format characters, and the two that end lines. */
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu
const UNSAFE_BUT_TABS = /(?!\t)[\p{Cc}\p{Cf}\u2028\u2029]/gu
/** JSON.stringify has escaped what is below 0x20 already. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu

export function escapeControls(text: string): string {
  return text.replace(UNSAFE, escaped)
}

/** For lines whose fields are separated by tabs; the fields themselves come out of `escapeControls`. */
export function escapeButTabs(text: string): string {
  return text.replace(UNSAFE_BUT_TABS, escaped)
}

/** One line of JSON, its end left out: it stays the same JSON. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE_IN_JSON, escaped)
}

/** Those beyond the basic plane as two, as JSON has them. */
function escaped(char: string): string {
  let text = ''
  for (let i = 0; i < char.length; i++) text += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`
  return text
}
