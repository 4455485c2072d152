/**
 * Those who have no business in the ensemble, at its ports: by hand, with a whole hello or a learner's first packet.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

const WAIT_MS = 8000

/** Hello of a server 99, as of one that dials the election port. */
export function hello() {
  const address = Buffer.from('127.0.0.1:1')
  const bytes = Buffer.alloc(20 + address.length)
  bytes.writeBigInt64BE(-65536n, 0)
  bytes.writeBigInt64BE(99n, 8)
  bytes.writeInt32BE(address.length, 16)
  address.copy(bytes, 20)
  return bytes
}

/** FOLLOWERINFO of a server 99 that has accepted no epoch. */
export function followerInfo() {
  const info = Buffer.alloc(20)
  info.writeBigInt64BE(99n, 0)
  info.writeInt32BE(0x10000, 8)
  const packet = Buffer.alloc(16)
  packet.writeInt32BE(11, 0)
  packet.writeInt32BE(info.length, 12)
  return Buffer.concat([packet, info, Buffer.from([255, 255, 255, 255])])
}

/** Sends `bytes` as soon as it can; answers with what came back by the end, which must come. */
export function knock(host, port, bytes, tls = null) {
  return new Promise((resolve, reject) => {
    const socket = tls === null ? connect({ host, port }) : connectTls({ host, port, ...tls })
    const got = []
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`${host}:${port} keeps the connection open; it has sent ${Buffer.concat(got).toString('hex')}`))
    }, WAIT_MS)
    socket.on(tls === null ? 'connect' : 'secureConnect', () => socket.write(bytes))
    socket.on('data', (chunk) => got.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(got))
    })
  })
}

/** TLS with the key and certificate of this file, or without any; whoever answers is believed. */
export function tlsWith(file = null) {
  const own = file === null ? {} : { key: readFileSync(file), cert: readFileSync(file) }
  return { rejectUnauthorized: false, ...own }
}
