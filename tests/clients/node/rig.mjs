// What the Node drivers share: the world they are given, waiting, and how a scenario ends. See ../suite.py.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const world = JSON.parse(process.env.KLOG_CLIENT_WORLD)

// Kafka's error codes that scenarios expect by name.
export const CODES = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  MESSAGE_TOO_LARGE: 10,
  INVALID_TOPIC_EXCEPTION: 17,
  TOPIC_AUTHORIZATION_FAILED: 29,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_PARTITIONS: 37,
  INVALID_REPLICATION_FACTOR: 38,
  INVALID_CONFIG: 40,
  NON_EMPTY_GROUP: 68,
  GROUP_ID_NOT_FOUND: 69,
  FENCED_INSTANCE_ID: 82,
  GROUP_SUBSCRIBED_TO_TOPIC: 86
}

// The broker said no: `code` is Kafka's error code.
export class Refused extends Error {
  constructor (code, text) {
    super(`error ${code}: ${text}`)
    this.code = code
  }
}

// This client can not do that.
export class Lacks extends Error {}

let numbers = 0
export const name = (word, before = '') => `${before}${world.prefix}-${word}${numbers++}`

export function check (condition, what) {
  if (!condition) throw new Error(typeof what === 'function' ? what() : what)
}

export const text = value => JSON.stringify(value, (_, v) => {
  if (typeof v === 'bigint') return String(v)
  if (v?.type === 'Buffer') return Buffer.from(v.data).toString().slice(0, 60)
  if (v instanceof Map) return [...v]
  return v
})

export function same (found, wanted, what) {
  const [a, b] = [text(found), text(wanted)]
  check(a === b, () => `${what}: ${a.slice(0, 2000)}\nwanted ${b.slice(0, 2000)}`)
}

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

// The first true answer of `condition`, asked again and again.
export async function until (condition, seconds, what) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = await condition()
    if (answer) return answer
    check(Date.now() < deadline, () => `not within ${seconds} s: ${typeof what === 'function' ? what() : what}`)
    await pause(20)
  }
}

// Sees that the broker refuses `action` with the error of that name.
export async function refused (error, action) {
  let answer
  try {
    answer = await action()
  } catch (wrong) {
    check(wrong instanceof Refused && wrong.code === CODES[error], () => `wanted ${error}, got ${wrong.stack}`)
    return
  }
  throw new Error(`wanted ${error}, got ${text(answer)}`)
}

export function klog (...args) {
  return execFileSync(world.klog, ['-b', world.plain, ...args], { timeout: 60_000, maxBuffer: 1 << 28 })
}

// What the broker's files hold of a partition, batch by batch; null where they are not ours to see.
export function storedBatches (topic, partition = 0) {
  if (!world.data) return null
  const folder = join(world.data, `${topic}-${partition}`)
  check(existsSync(folder), `no folder ${folder}`)
  const lines = execFileSync(world.klog, ['segment', 'dump', folder, '--batches', '-J']).toString().trim()
  return lines.split('\n').map(line => JSON.parse(line))
}

// Runs the scenario of the command line.
export async function main (scenarios) {
  const wanted = process.argv[2]
  try {
    if (!scenarios[wanted]) throw new Lacks(`no scenario ${wanted} in this driver`)
    await scenarios[wanted]()
    process.exit(0)
  } catch (wrong) {
    if (wrong instanceof Lacks) {
      console.log(wrong.message)
      process.exit(77)
    }
    console.error(wrong)
    process.exit(1)
  }
}

process.on('unhandledRejection', wrong => {
  console.error('nobody waited for:', wrong)
  process.exit(1)
})
