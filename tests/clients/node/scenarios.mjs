// The scenarios of the Node clients: what is done and what must come of it, in terms of an adapter (kafkajs/driver.mjs,
// platformatic/driver.mjs), which gives `admin`, `producer` and `consumer` of one client, throws Refused with Kafka's
// code, and says in `lacks` which scenarios and in `features` which parts it has.

import { randomBytes } from 'node:crypto'
import {
  CODES, Lacks, Refused, check, klog, name, pause, refused, same, storedBatches, text, until, world
} from './rig.mjs'

// Five hours ago: not so old that retention takes it, and what is three hours later is not in the future.
const BASE = Date.now() - 18_000_000
const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n)

async function produce (c, topic, values, partition = 0, settings = {}) {
  const producer = await c.producer(settings)
  try {
    return await producer.send(topic, values.map(value => ({ value: Buffer.from(value), partition })), settings)
  } finally {
    await producer.close()
  }
}

// Exactly `count` records of a partition from its first one on, and none after them.
async function read (c, topic, count, partition = 0) {
  const consumer = await c.consumer({ group: name('read'), topics: [topic] })
  const mine = () => once(c, consumer.records).filter(record => record.partition === partition)
  await until(() => mine().length >= count, 25, () => `${count} records of ${topic}, got ${mine().length}`)
  await pause(200)
  await consumer.close()
  check(mine().length === count, () => `${count} records wanted, ${mine().length} came`)
  return mine()
}

const shares = members => {
  const owned = members.flatMap(member => member.assignment())
  return new Set(owned).size === owned.length ? members.map(m => m.assignment().length).sort() : null
}

// The records as they came; for a client that fetches again what it has when it joins a group, each place once.
function once (c, records) {
  if (!c.features.has('repeats')) return records
  return [...new Map(records.map(r => [`${r.topic}/${r.partition}/${r.offset}`, r])).values()]
}

async function topics (c) {
  const admin = await c.admin()
  const [topic, other] = [name('made'), name('other')]
  await admin.createTopic(topic, 3, { 'retention.ms': '1234567' })
  await until(async () => (await admin.listTopics()).includes(topic), 5, 'the topic is listed')
  same(await admin.partitions(topic), 3, 'partitions')
  same((await admin.describeTopic(topic))['retention.ms'], ['1234567', false], 'retention.ms')
  await refused('TOPIC_ALREADY_EXISTS', () => admin.createTopic(topic, 3))
  await refused('INVALID_REPLICATION_FACTOR', () => admin.createTopic(other, 1, {}, { replication: 5 }))
  await refused('INVALID_TOPIC_EXCEPTION', () => admin.createTopic(`${other} and!`, 1))
  await refused('INVALID_CONFIG', () => admin.createTopic(other, 1, { 'retention.ms': 'soon' }))
  await refused('INVALID_CONFIG', () => admin.createTopic(other, 1, { 'no.such.setting': '1' }))
  if (c.features.has('validateOnly')) await admin.createTopic(other, 1, {}, { validateOnly: true })
  check(!(await admin.listTopics()).includes(other), 'a topic was made that was only validated')
  await admin.createPartitions(topic, 5)
  await until(async () => (await admin.partitions(topic)) === 5, 5, 'five partitions')
  await refused('INVALID_PARTITIONS', () => admin.createPartitions(topic, 2))
  await produce(c, topic, ['in the new one'], 4)
  same((await read(c, topic, 1, 4)).map(r => String(r.value)), ['in the new one'], 'the record')
  await admin.deleteTopic(topic)
  await until(async () => !(await admin.listTopics()).includes(topic), 5, 'the topic is gone')
  await refused('UNKNOWN_TOPIC_OR_PARTITION', () => admin.deleteTopic(topic))
  await admin.createTopic(topic, 1)
  await until(async () => (await admin.listTopics()).includes(topic), 5, 'the topic is there again')
  same(await admin.partitions(topic), 1, 'partitions')
  same(await produce(c, topic, ['anew']), [0], 'offset')
  same((await read(c, topic, 1)).map(r => [r.offset, String(r.value)]), [[0, 'anew']], 'the record')
  await admin.close()
}

async function configs (c) {
  const admin = await c.admin()
  const topic = name('set')
  await admin.createTopic(topic, 1, { 'retention.ms': '1234567' })
  await until(async () => (await admin.listTopics()).includes(topic), 5, 'the topic is listed')
  let shown = await admin.describeTopic(topic)
  same([shown['retention.ms'], shown['cleanup.policy']], [['1234567', false], ['delete', true]], 'settings')
  await admin.alterTopic(topic, { 'max.message.bytes': '2000', 'cleanup.policy': 'compact,delete' })
  const at = async wanted => text((await admin.describeTopic(topic))['max.message.bytes']) === text(wanted)
  await until(() => at(['2000', false]), 5, 'the setting is altered')
  shown = await admin.describeTopic(topic)
  same([shown['retention.ms'], shown['cleanup.policy']], [['1234567', false], ['compact,delete', false]], 'settings')
  await refused('INVALID_CONFIG', () => admin.alterTopic(topic, { 'max.message.bytes': 'many' }))
  await refused('INVALID_CONFIG', () => admin.alterTopic(topic, { 'no.such.setting': '1' }))
  await admin.alterTopic(topic, { 'cleanup.policy': 'delete' })
  const tooLarge = randomBytes(5000)
  await refused('MESSAGE_TOO_LARGE', () => produce(c, topic, [tooLarge]))
  await admin.alterTopic(topic, {}, ['max.message.bytes', 'cleanup.policy'])
  await until(async () => (await admin.describeTopic(topic))['max.message.bytes'][1], 5, 'the default is back')
  same((await admin.describeTopic(topic))['retention.ms'], ['1234567', false], 'retention.ms')
  same(await produce(c, topic, [tooLarge]), [0], 'offset')
  const cluster = await admin.cluster()
  const broker = await admin.describeBroker(cluster.brokers[0])
  for (const key of ['message.max.bytes', 'num.partitions', 'log.retention.ms']) check(key in broker, `no ${key}`)
  same(broker['node.id'], String(cluster.brokers[0]), 'node.id')
  await refused('UNKNOWN_TOPIC_OR_PARTITION', () => admin.describeTopic(name('missing')))
  await admin.close()
}

async function codecs (c) {
  const admin = await c.admin()
  for (const codec of c.codecs) {
    const topic = name(codec)
    await admin.createTopic(topic, 1)
    const sent = {}
    for (const acks of [0, 1, -1]) {
      sent[acks] = range(0, 200).map(n => Buffer.from(`${acks} ${n} ${'again and '.repeat(12)}`))
      sent[acks].push(Buffer.concat([Buffer.from(`${acks} `), randomBytes(3000)]))
      await produce(c, topic, sent[acks], 0, { codec, acks })
    }
    const got = await read(c, topic, 603)
    for (const acks of [0, 1, -1]) {
      const mine = got.map(r => r.value).filter(value => value.toString('latin1').startsWith(`${acks} `))
      check(Buffer.concat(mine).equals(Buffer.concat(sent[acks])), `${codec}, acks=${acks}: what came differs`)
    }
    const stored = storedBatches(topic)
    check(!stored || stored.every(batch => batch.codec === codec), () => `${codec}: ${text(stored)}`)
    const lines = Buffer.concat(sent[-1].slice(0, 200).flatMap(value => [value, Buffer.from('\n')]))
    check(klog('consume', topic, '-e').includes(lines), `${codec}: klog reads something else`)
  }
  await admin.close()
}

async function records (c) {
  const admin = await c.admin()
  const topic = name('records')
  await admin.createTopic(topic, 2)
  const everything = Buffer.from(range(0, 256))
  const B = value => Buffer.from(value)
  const headers = [['a', B('1')], ['b', everything], ['empty', B('')]]
  if (c.features.has('duplicateHeaders')) headers.splice(1, 0, ['a', B('2')], ['a', B('1')])
  const items = [
    [null, B('no key'), []],
    [B('key'), B('value'), headers],
    [B('tombstone'), null, []],
    [B(''), B(''), [['only', B('header')]]],
    [everything, Buffer.concat(Array(9).fill(everything)), []],
    [B('grüße'), B('日本語\n\r\0'), []]
  ]
  const producer = await c.producer({})
  const results = await producer.send(topic, items.map(([key, value, headers], n) => (
    { key, value, headers, partition: 1, timestamp: BASE + n * 7 }
  )))
  same(results, range(0, items.length), 'offsets')
  const got = await read(c, topic, items.length, 1)
  const hex = ([key, value, headers]) => [
    key && key.toString('hex'), value && value.toString('hex'), headers.map(([k, v]) => [k, v && v.toString('hex')])
  ]
  same(got.map(r => hex([r.key, r.value, r.headers])), items.map(hex), 'records')
  same(got.map(r => [r.partition, r.offset, r.timestamp]), items.map((_, n) => [1, n, BASE + n * 7]), 'places')
  // Keys go to the same partition each time, and all arrive in order.
  const spread = name('spread')
  await admin.createTopic(spread, 3)
  for (let round = 0; round < 10; round++) {
    await producer.send(spread, range(0, 30).map(n => ({ key: B(`k${n}`), value: B(String(round)) })))
  }
  const consumer = await c.consumer({ group: name('spread'), topics: [spread] })
  const all = () => once(c, consumer.records)
  await until(() => all().length >= 300, 25, () => `300 records, got ${all().length}`)
  await consumer.close()
  for (let n = 0; n < 30; n++) {
    const mine = all().filter(r => String(r.key) === `k${n}`)
    same(mine.map(r => Number(r.value)), range(0, 10), `the records of key ${n}`)
    check(new Set(mine.map(r => r.partition)).size === 1, `key ${n} is in several partitions`)
  }
  // The broker's own clock, where the topic asks for it, and the client looks at it.
  if (c.features.has('appendTime')) {
    const stamped = name('stamped')
    await admin.createTopic(stamped, 1, { 'message.timestamp.type': 'LogAppendTime' })
    await producer.send(stamped, [{ value: B('x'), partition: 0, timestamp: BASE }])
    const [record] = await read(c, stamped, 1)
    check(Math.abs(record.timestamp - Date.now()) < 60_000, `not the broker's time: ${record.timestamp}`)
  }
  await producer.close()
  await admin.close()
}

async function large (c) {
  const admin = await c.admin()
  const topic = name('large')
  await admin.createTopic(topic, 1)
  const [million, two] = [randomBytes(1_000_000), randomBytes(2_000_000)]
  same(await produce(c, topic, ['first']), [0], 'offset')
  same(await produce(c, topic, [million]), [1], 'offset')
  await refused('MESSAGE_TOO_LARGE', () => produce(c, topic, [two]))
  same(await produce(c, topic, ['after']), [2], 'offset')
  await admin.alterTopic(topic, { 'max.message.bytes': '3000000' })
  const accepted = async () => {
    try {
      return (await produce(c, topic, [two]))[0]
    } catch (wrong) {
      if (!(wrong instanceof Refused && wrong.code === CODES.MESSAGE_TOO_LARGE)) throw wrong
    }
  }
  same(await until(accepted, 5, 'the topic takes larger ones now'), 3, 'offset')
  const got = (await read(c, topic, 4)).map(r => r.value)
  check([Buffer.from('first'), million, Buffer.from('after'), two].every((v, n) => v.equals(got[n])), 'values differ')
  await admin.close()
}

async function offsets (c) {
  const admin = await c.admin()
  const topic = name('times')
  await admin.createTopic(topic, 1)
  const producer = await c.producer({ codec: 'gzip' })
  for (let batch = 0; batch < 10; batch++) {
    const numbers = range(batch * 10, batch * 10 + 10)
    await producer.send(topic, numbers.map(n => (
      { value: Buffer.from(String(n)), partition: 0, timestamp: BASE + (n === 50 ? 10_000_000 : n * 1000) }
    )), { codec: 'gzip' })
  }
  const ask = spec => admin.listOffsets(topic, 0, spec)
  same([await ask('earliest'), await ask('latest')], [0, 100], 'earliest and latest')
  for (const [moment, offset] of [[0, 0], [30_000, 30], [30_001, 31], [9_000_000, 50], [10_000_000, 50]]) {
    same(await ask(BASE + moment), offset, `the offset of ${moment}`)
  }
  if (c.features.has('maxTimestamp')) same(await ask('maxTimestamp'), 50, 'max timestamp')
  // Committed offsets.
  const group = name('group')
  const committed = await c.consumer({ group, topics: [topic] })
  await until(() => once(c, committed.records).length === 100, 25, () => `all, got ${committed.records.length}`)
  await committed.commit({ [`${topic}/0`]: 42 })
  same((await admin.groupOffsets(group))[`${topic}/0`], 42, 'the committed offset')
  await committed.close()
  const member = await c.consumer({ group, topics: [topic] })
  await until(() => once(c, member.records).length >= 58, 25, () => `the rest, got ${member.records.length}`)
  await member.close()
  same(once(c, member.records).map(r => Number(r.value)), range(42, 100), 'the rest')
  // No offset committed: where the client's setting says.
  const late = await c.consumer({ group: name('late'), topics: [topic], reset: 'latest' })
  await until(() => late.assignment().length === 1, 25, 'the partition')
  let sent = 0
  await until(async () => {
    await producer.send(topic, [{ value: Buffer.from(`new${sent++}`), partition: 0 }])
    return late.records.length
  }, 25, 'a new record')
  check(late.records.every(r => String(r.value).startsWith('new')), () => text(late.records))
  await late.close()
  await producer.close()
  await admin.close()
}

async function groupsOf (c, protocol) {
  const admin = await c.admin()
  const [topic, group] = [name('shared'), name('group')]
  await admin.createTopic(topic, 6)
  const producer = await c.producer({})
  let sent = 0
  const produceMore = async count => {
    const messages = range(sent, sent + count).map(n => ({ value: Buffer.from(String(n)), partition: n % 6 }))
    await producer.send(topic, messages)
    sent += count
  }
  const [members, gone] = [[], []]
  const join = async () => members.push(await c.consumer({ group, topics: [topic], protocol }))
  const seen = () => [...members, ...gone].flatMap(member => member.records)
  const allRead = () => new Set(seen().map(r => Number(r.value))).size >= sent
  const view = () => text(members.map(m => m.assignment())) + ` ${seen().length} of ${sent}`
  const settled = sizes => until(
    () => text(shares(members)) === text(sizes) && allRead(), 30, () => `shares of ${sizes}: ${view()}`
  )
  await produceMore(60)
  await join()
  await settled([6])
  for (const sizes of [[3, 3], [2, 2, 2]]) {
    for (const member of members) await member.commit()
    await join()
    await settled(sizes)
    await produceMore(60)
    await until(allRead, 25, () => `the records of this stage: ${view()}`)
  }
  for (const member of members) await member.commit()
  const described = await admin.describeGroup(group)
  same([described.state.toUpperCase(), described.members ?? 3], ['STABLE', 3], 'the group')
  check((await admin.listGroups()).includes(group), 'the group is not listed')
  const leaver = members.shift()
  await leaver.close()
  gone.push(leaver)
  await settled([3, 3])
  await produceMore(60)
  await until(allRead, 25, () => `the records after one left: ${view()}`)
  for (const member of members) {
    await member.commit()
    await member.close()
  }
  same(once(c, seen()).map(r => Number(r.value)).sort((a, b) => a - b), range(0, sent), 'each record once')
  const empty = async () => (await admin.describeGroup(group)).state.toUpperCase() === 'EMPTY'
  await until(empty, 10, 'the group is empty')
  // What was committed is not read again; what came since is.
  gone.push(...members.splice(0))
  await produceMore(6)
  await join()
  const since = () => once(c, members[0].records).map(r => Number(r.value)).sort((a, b) => a - b)
  await until(() => since().length >= 6, 25, 'the records since')
  await pause(200)
  same(since(), range(sent - 6, sent), 'the records since')
  await members[0].close()
  await producer.close()
  await admin.close()
}

// Static members keep their partitions over a restart, and the others do not notice.
async function statics (c) {
  const admin = await c.admin()
  const [topic, group] = [name('static'), name('group')]
  await admin.createTopic(topic, 4)
  const join = instance => c.consumer({ group, topics: [topic], instance })
  const [first, second] = [await join('one'), await join('two')]
  await until(() => text(shares([first, second])) === '[2,2]', 30, 'two partitions each')
  const [mine, theirs] = [text(first.assignment().sort()), text(second.assignment().sort())]
  second.events.length = 0
  await first.close()
  const again = await join('one')
  await until(() => text(again.assignment().sort()) === mine, 20, () => `${mine}, has ${text(again.assignment())}`)
  await pause(1000)
  same([text(second.assignment().sort()), second.events], [theirs, []], 'the other member')
  for (let n = 0; n < 8; n++) await produce(c, topic, [String(n)], n % 4)
  await until(() => once(c, [...again.records, ...second.records]).length === 8, 25, 'all records')
  await again.close()
  await second.close()
  await admin.close()
}

async function pauseSeek (c) {
  const admin = await c.admin()
  const topic = name('paused')
  await admin.createTopic(topic, 2)
  const consumer = await c.consumer({ group: name('group'), topics: [topic] })
  await until(() => consumer.assignment().length === 2, 25, 'both partitions')
  consumer.pause(topic, 0)
  await produce(c, topic, range(0, 10).map(n => `a${n}`), 0)
  await produce(c, topic, range(0, 10).map(n => `b${n}`), 1)
  const values = () => consumer.records.map(r => String(r.value)).sort()
  await until(() => consumer.records.length >= 10, 25, () => `the other partition's records: ${values()}`)
  await pause(300)
  same(values(), range(0, 10).map(n => `b${n}`), 'one partition is paused')
  consumer.records.length = 0
  consumer.resume(topic, 0)
  await until(() => consumer.records.length >= 10, 25, 'the paused records')
  same(values(), range(0, 10).map(n => `a${n}`), 'the paused records')
  consumer.records.length = 0
  consumer.seek(topic, 1, 7)
  await until(() => consumer.records.length >= 3, 25, 'what follows the new position')
  await pause(100)
  same(values(), ['b7', 'b8', 'b9'], 'after the seek')
  await consumer.close()
  await admin.close()
}

async function admin (c) {
  const admin = await c.admin()
  const cluster = await admin.cluster()
  check(cluster.brokers.length === 1 && cluster.controller === cluster.brokers[0] && cluster.id, () => text(cluster))
  const [topic, group] = [name('seen'), name('group')]
  await admin.createTopic(topic, 2)
  for (const partition of [0, 1]) await produce(c, topic, range(0, 20).map(String), partition)
  const member = await c.consumer({ group, topics: [topic] })
  await until(() => once(c, member.records).length === 40, 25, () => `all records, got ${member.records.length}`)
  await member.commit()
  const described = await admin.describeGroup(group)
  same([described.state.toUpperCase(), described.members], ['STABLE', 1], 'the group')
  check((await admin.listGroups()).includes(group), 'the group is not listed')
  same(await admin.groupOffsets(group, topic), { [`${topic}/0`]: 20, [`${topic}/1`]: 20 }, 'offsets')
  await refused('NON_EMPTY_GROUP', () => admin.deleteGroup(group))
  if (c.features.has('deleteGroupOffsets')) {
    await refused('GROUP_SUBSCRIBED_TO_TOPIC', () => admin.deleteGroupOffsets(group, topic, 0))
  }
  await member.close()
  const empty = async () => (await admin.describeGroup(group)).state.toUpperCase() === 'EMPTY'
  await until(empty, 10, 'the group is empty')
  await admin.alterGroupOffsets(group, topic, { 0: 5 })
  same((await admin.groupOffsets(group, topic))[`${topic}/0`], 5, 'the altered offset')
  const resumed = await c.consumer({ group, topics: [topic] })
  await until(() => once(c, resumed.records).length >= 15, 25, 'from the new offset on')
  await resumed.close()
  same(once(c, resumed.records).map(r => [r.partition, r.offset]), range(5, 20).map(n => [0, n]), 'from the new offset on')
  await until(empty, 10, 'the group is empty')
  if (c.features.has('deleteGroupOffsets')) {
    await admin.deleteGroupOffsets(group, topic, 1)
    const left = await admin.groupOffsets(group, topic)
    check(!(left[`${topic}/1`] >= 0) && left[`${topic}/0`] >= 0, () => `offsets left: ${text(left)}`)
  }
  await admin.deleteGroup(group)
  await until(async () => !(await admin.listGroups()).includes(group), 5, 'the group is gone')
  await refused('GROUP_ID_NOT_FOUND', () => admin.deleteGroup(group))
  same([await admin.listOffsets(topic, 0, 'latest'), await admin.listOffsets(topic, 1, 'earliest')], [20, 0], 'offsets')
  await c.moreAdmin?.(topic)
  await admin.close()
  if (c.features.has('acls') && world.sasl) await acls(c)
}

// Rules, on the broker that has them: alice may alter them.
async function acls (c) {
  const admin = await c.admin(c.sasl('SCRAM-SHA-256'))
  const rule = { principal: `User:${name('who')}`, host: '*', topic: name('ruled') }
  same(await admin.acls(rule.principal), [], 'rules before')
  await admin.createAcl(rule)
  same(await admin.acls(rule.principal), [rule], 'rules')
  same(await admin.deleteAcls(rule.principal), [rule], 'rules deleted')
  same(await admin.acls(rule.principal), [], 'rules after')
  await admin.close()
}

async function deleteRecords (c) {
  const admin = await c.admin()
  const topic = name('trimmed')
  await admin.createTopic(topic, 2)
  for (const partition of [0, 1]) await produce(c, topic, range(0, 100).map(String), partition)
  await admin.deleteRecords(topic, { 0: 60 })
  same(await admin.listOffsets(topic, 0, 'earliest'), 60, 'the first offset')
  same((await read(c, topic, 40)).map(r => Number(r.value)), range(60, 100), 'what is left')
  same((await read(c, topic, 100, 1)).length, 100, 'the other partition')
  await refused('OFFSET_OUT_OF_RANGE', () => admin.deleteRecords(topic, { 0: 101 }))
  await admin.deleteRecords(topic, { 0: -1, 1: 1 })
  same([await admin.listOffsets(topic, 0, 'earliest'), await admin.listOffsets(topic, 0, 'latest')], [100, 100], 'ends')
  same(await admin.listOffsets(topic, 1, 'earliest'), 1, 'the first offset of the other')
  same(await produce(c, topic, ['next']), [100], 'the next offset')
  same((await read(c, topic, 1)).map(r => [r.offset, String(r.value)]), [[100, 'next']], 'the next record')
  await admin.close()
}

// Seen from outside: in the end one record a key, the last, at the offset it always had.
async function compaction (c) {
  const admin = await c.admin()
  const topic = name('compacted')
  await admin.createTopic(topic, 1, {
    'cleanup.policy': 'compact',
    'segment.ms': '1000',
    'min.cleanable.dirty.ratio': '0.01',
    'delete.retention.ms': '0',
    'max.compaction.lag.ms': '1000'
  })
  const producer = await c.producer({})
  const start = Date.now() - 100_000
  const last = new Map()
  let offset = 0
  for (let turn = 0; turn < 6; turn++) {
    const messages = []
    for (let n = turn % 3; n < 20; n += 1 + (turn % 2)) {
      const value = turn === 4 && n < 3 ? null : Buffer.from(`turn ${turn}`)
      if (turn === 5 && n < 3) continue
      messages.push({ key: Buffer.from(`k${n}`), value, partition: 0, timestamp: start + turn * 10_000 })
      last.set(`k${n}`, [offset++, value && String(value)])
    }
    await producer.send(topic, messages)
  }
  // The active segment is not compacted: one more, so that the others are closed.
  await producer.send(topic, [{ key: Buffer.from('end'), value: Buffer.from('end'), partition: 0, timestamp: start + 90_000 }])
  await producer.close()
  last.set('end', [offset, 'end'])
  let left
  const compacted = async () => {
    const consumer = await c.consumer({ group: name('look'), topics: [topic] })
    await until(() => consumer.records.some(r => String(r.key) === 'end'), 25, 'the last record')
    await consumer.close()
    const got = once(c, consumer.records)
    const newest = new Map(got.map(r => [String(r.key), [r.offset, r.value && String(r.value)]]))
    for (const [key, kept] of last) {
      if (kept[1] !== null || newest.has(key)) same(newest.get(key), kept, `the last of ${key}`)
    }
    left = got.length
    return got.length === newest.size
  }
  await until(compacted, 40, () => `one record a key, ${left} are left`)
  await admin.close()
}

async function idempotent (c) {
  const admin = await c.admin()
  const topic = name('exact')
  await admin.createTopic(topic, 3)
  const producer = await c.producer({ idempotent: true })
  for (let batch = 0; batch < 20; batch++) {
    await producer.send(topic, range(batch * 30, batch * 30 + 30).map(n => (
      { value: Buffer.from(String(n)), partition: n % 3 }
    )), { acks: -1 })
  }
  await producer.close()
  for (const partition of [0, 1, 2]) {
    const got = (await read(c, topic, 200, partition)).map(r => Number(r.value))
    same(got, range(0, 200).map(n => n * 3 + partition), 'the records')
    const stored = storedBatches(topic, partition)
    if (stored) {
      check(stored.every(b => b.producer_id >= 0 && b.producer_epoch >= 0), () => text(stored[0]))
      same(stored.map(b => b.sequence), stored.map(b => b.base_offset), 'sequences')
    }
  }
  await admin.close()
}

// Creates a topic, writes, reads with a group, over this listener.
async function securedRound (c, security, topic = name('t')) {
  const admin = await c.admin(security)
  await admin.createTopic(topic, 1)
  await until(async () => (await admin.listTopics()).includes(topic), 5, 'the topic is listed')
  same(await produce(c, topic, range(0, 50).map(String), 0, { security }), range(0, 50), 'offsets')
  const member = await c.consumer({ group: name('g'), topics: [topic], security })
  await until(() => once(c, member.records).length === 50, 25, () => `the records, got ${member.records.length}`)
  await member.commit()
  await member.close()
  await admin.close()
}

async function sasl (c) {
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    await securedRound(c, c.sasl(mechanism))
    await c.shutOut(c.sasl(mechanism, { password: 'not her secret' }))
    await c.shutOut(c.sasl(mechanism, { user: 'nobody' }))
  }
  const denied = name('t', 'denied-')
  await refused('TOPIC_AUTHORIZATION_FAILED', () => produce(c, denied, ['x'], 0, { security: c.sasl('PLAIN') }))
}

async function tls (c) {
  await securedRound(c, c.tls())
  const certified = name('t', 'cert-')
  await refused('TOPIC_AUTHORIZATION_FAILED', () => produce(c, certified, ['x'], 0, { security: c.tls() }))
  await securedRound(c, c.tls({ certified: true }), certified)
  await securedRound(c, c.sasl('SCRAM-SHA-512', { overTls: true }))
  await c.shutOut(c.sasl('SCRAM-SHA-512', { password: 'not her secret', overTls: true }))
  await c.shutOut(c.tls({ ca: world.other_ca }))
}

const ALL = {
  topics,
  configs,
  codecs,
  records,
  large,
  offsets,
  group: c => groupsOf(c),
  static: statics,
  cooperative: c => groupsOf(c, 'cooperative'),
  group_next: c => groupsOf(c, 'next'),
  pause_seek: pauseSeek,
  admin,
  delete_records: deleteRecords,
  compaction,
  idempotent,
  sasl,
  tls
}

// The scenarios of an adapter, for rig.main: what it lacks says so.
export function of (c) {
  return Object.fromEntries(Object.entries(ALL).map(([scenario, run]) => [scenario, async () => {
    if (c.lacks[scenario]) throw new Lacks(c.lacks[scenario])
    await run(c)
  }]))
}
