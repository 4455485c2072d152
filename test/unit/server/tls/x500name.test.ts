/** Names of certificates as text, against what Java wrote of the same ones (fixtures/make.sh). */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { isNameText } from '../../../../src/server/tls/x500name.ts'
import { certificateId } from '../../../../src/server/tls/x509id.ts'

const fixture = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url)), 'utf8')
const certificates = fixture('names.pem').split(/(?=-----BEGIN)/)
const names = fixture('names.txt').split('\n').slice(0, -1)
const texts = fixture('texts.txt').split('\n').slice(0, -1)

describe("a certificate's subject", () => {
  it.each(names.map((name, i) => [name, certificates[i]!]))('%s is what Java writes', (name, certificate) => {
    expect(certificateId(new X509Certificate(certificate), null)).toBe(name)
  })

  it('is a valid id of an ACL', () => {
    expect(names.filter((name) => !isNameText(name))).toEqual([])
  })
})

describe('an id of an ACL', () => {
  it.each(texts.map((line) => line.split('\t') as [string, string]))('is a name (%s): %s', (is, text) => {
    expect(isNameText(text)).toBe(is === 'yes')
  })
})
