/**
 * The audit log's lines. Fields, order, and what is logged when are those that Apache's 3.9.5 writes (AuditHelper,
 * ZKAuditProvider); test/interop/audit compares with the live server.
 */

import { describe, expect, it } from 'vitest'
import { OpCode } from '../../../src/jute/codes.ts'
import type { Output } from '../../../src/jute/output.ts'
import { parseConfig } from '../../../src/server/config/config.ts'
import { Audit } from '../../../src/server/report/audit.ts'
import { acl, create, data, Ensemble, Harness, int, path } from './harness.ts'

function recorder(): { audit: Audit; lines: string[] } {
  const lines: string[] = []
  return { lines, audit: new Audit((line, failure) => lines.push(failure ? `!${line}` : line), 'zk', 0xf_ffff) }
}

type Part = readonly [type: number, write: (out: Output) => void]

function multi(...parts: Part[]): (out: Output) => void {
  return (out) => {
    for (const [type, write] of parts) {
      out.int(type)
      out.bool(false)
      out.int(-1)
      write(out)
    }
    out.int(-1)
    out.bool(true)
    out.int(-1)
  }
}

const SESSION = 'session=0x100000000000000\tuser=127.0.0.1\tip=127.0.0.1\t'

describe('the audit log', () => {
  it('has one line for each change of a client, in the order of the fields that Java has', () => {
    const { audit, lines } = recorder()
    const harness = new Harness({ audit })
    const client = harness.client()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create2, create('/a/s-', 2))
    client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    client.send(OpCode.setACL, path('/a', acl([31, 'world', 'anyone'], [1, 'ip', '10.0.0.1']), int(-1)))
    client.send(OpCode.delete, path('/a/s-0000000000', int(-1)))
    client.send(OpCode.delete, path('/nowhere', int(-1)))
    client.send(
      OpCode.exists,
      path('/a', (out) => out.bool(false)),
    )
    harness.settle()
    expect(lines).toEqual([
      `${SESSION}operation=create\tznode=/a\tznode_type=persistent\tresult=success`,
      `${SESSION}operation=create\tznode=/a/s-0000000000\tznode_type=persistent_sequential\tresult=success`,
      `${SESSION}operation=setData\tznode=/a\tresult=success`,
      `${SESSION}operation=setAcl\tznode=/a\tacl=world:anyone:cdrwaip:10.0.0.1:r\tresult=success`,
      `${SESSION}operation=delete\tznode=/a/s-0000000000\tresult=success`,
      `!${SESSION}operation=delete\tznode=/nowhere\tresult=failure`,
    ])
  })

  it('has a line for each part of a multi, or one for a multi that failed', () => {
    const { audit, lines } = recorder()
    const harness = new Harness({ audit })
    const client = harness.client()
    const parts: Part[] = [
      [OpCode.create, create('/a', 1)],
      [OpCode.create, create('/s-', 2)],
      [OpCode.setData, path('/a', data('y'), int(-1))],
      [OpCode.delete, path('/a', int(-1))],
    ]
    client.send(OpCode.multi, multi(...parts))
    client.send(OpCode.multi, multi(...parts, [OpCode.check, path('/nowhere', int(-1))]))
    harness.settle()
    expect(lines).toEqual([
      `${SESSION}operation=create\tznode=/a\tznode_type=ephemeral\tresult=success`,
      `${SESSION}operation=create\tznode=/s-0000000001\tresult=success`,
      `${SESSION}operation=setData\tznode=/a\tresult=success`,
      `${SESSION}operation=delete\tznode=/a\tresult=success`,
      `!${SESSION}operation=multiOperation\tresult=failure`,
    ])
  })

  it('names all the identities of a client, and masks the digests of an ACL (X10)', () => {
    const { audit, lines } = recorder()
    const harness = new Harness({ audit })
    const client = harness.client()
    const credentials = (out: Output): void => {
      out.int(0)
      out.string('digest')
      out.buffer(new TextEncoder().encode('u:p'))
    }
    client.send(OpCode.auth, credentials, -4)
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.setACL, path('/a', acl([31, 'digest', 'u:hash']), int(-1)))
    harness.settle()
    expect(lines[1]).toBe(
      'session=0x100000000000000\tuser=127.0.0.1,u\tip=127.0.0.1\toperation=setAcl\tznode=/a\tacl=digest:u:x:cdrwa\tresult=success',
    )
  })

  it('X13 a name cannot forge a field or a line', () => {
    const { audit, lines } = recorder()
    const harness = new Harness({ audit })
    const client = harness.client()
    client.send(OpCode.delete, path('/a\tresult=success\noperation=create\u2028\u001b[2K', int(-1)))
    harness.settle()
    expect(lines).toEqual([
      `!${SESSION}operation=delete\tznode=/a\\u0009result=success\\u000aoperation=create\\u2028\\u001b[2K\tresult=failure`,
    ])
  })

  it('has a line on every member for each ephemeral that goes with its session, and one where the client is', () => {
    const logs = [recorder(), recorder()]
    const ensemble = new Ensemble(1, { audit: logs[0]!.audit })
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/e', 1))
    client.send(OpCode.create, create('/e', 1))
    ensemble.settle()
    const mine = 'session=0x200000000000000\tuser=127.0.0.1\tip=127.0.0.1\t'
    expect(logs[0]!.lines).toEqual([
      `${mine}operation=create\tznode=/e\tznode_type=ephemeral\tresult=success`,
      `!${mine}operation=create\tznode=/e\tznode_type=ephemeral\tresult=failure`,
    ])
    logs[0]!.lines.length = 0
    client.send(OpCode.closeSession)
    ensemble.settle()
    const gone =
      'session=0x200000000000000\tuser=zk\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/e\tresult=success'
    expect(logs[0]!.lines).toEqual([gone, gone]) // both members write into this one
  })

  it('has the starts and stops of the server', () => {
    const { audit, lines } = recorder()
    audit.server('serverStart', 'success')
    audit.server('serverStop', 'invoked')
    expect(lines).toEqual([
      'user=zk\toperation=serverStart\tresult=success',
      'user=zk\toperation=serverStop\tresult=invoked',
    ])
  })
})

describe('audit.enable', () => {
  const read = (lines: string) => parseConfig(`dataDir=/d\nclientPort=1\n${lines}`, 'zoo.cfg', new Map())

  it('is off unless it is true', () => {
    expect(read('').config.audit).toBeNull()
    expect(read('audit.enable=true').config.audit).toEqual({ file: null })
    expect(read('audit.enable=true\naudit.file=/var/log/audit').config.audit).toEqual({ file: '/var/log/audit' })
    expect(read('audit.enable=true').warnings).toEqual([])
  })

  it("takes Apache's class by its name, and refuses one that is not here", () => {
    const named = 'audit.enable=true\naudit.impl.class=org.apache.zookeeper.audit.Slf4jAuditLogger'
    expect(read(named).config.audit).toEqual({ file: null })
    expect(() => read('audit.enable=true\naudit.impl.class=com.example.Audit')).toThrow(/zoo.cfg:4: audit.impl.class/)
  })
})
