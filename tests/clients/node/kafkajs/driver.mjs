// kafkajs as the scenarios see it. Its codecs are packages of their own, as its documentation tells its users.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Refused, check, main, name, same, until, world } from './rig.mjs'
import { of } from './scenarios.mjs'

const require = createRequire(import.meta.url)
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const kafkajs = require('kafkajs')
const { CompressionTypes, CompressionCodecs, ConfigResourceTypes, Kafka, logLevel } = kafkajs
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')
await zstd.init()

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4.compressFrameSync(encoder.buffer),
  decompress: async buffer => lz4.decompressFrameSync(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer))
})
const CODEC = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}

// Runs a call; Kafka's error, wherever kafkajs wrapped it, as Refused.
async function asking (action) {
  try {
    return await action()
  } catch (wrong) {
    const inner = wrong.errors?.[0] ?? wrong
    for (let error = inner; error; error = error.cause ?? error.originalError) {
      if (Number.isInteger(error.code)) throw new Refused(error.code, error.message)
      if (Number.isInteger(error.errorCode)) throw new Refused(error.errorCode, error.message)
      // What deleteTopicRecords refuses before it asks, and what it was told by partition.
      if (error.partitions?.[0]?.error?.code) throw new Refused(error.partitions[0].error.code, error.message)
    }
    throw wrong
  }
}

function client (security) {
  return new Kafka({
    clientId: name('client'),
    brokers: [world.plain],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 5 },
    ...security
  })
}

class Admin {
  constructor (kafka) {
    this.client = kafka.admin()
  }

  close () {
    return this.client.disconnect()
  }

  async createTopic (topic, numPartitions, settings = {}, { replication = 1, validateOnly = false } = {}) {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    const topics = [{ topic, numPartitions, replicationFactor: replication, configEntries }]
    // It turns TOPIC_ALREADY_EXISTS into `false`.
    const made = await asking(() => this.client.createTopics({ topics, validateOnly, waitForLeaders: !validateOnly }))
    if (!made) throw new Refused(36, 'createTopics said false')
  }

  deleteTopic (topic) {
    return asking(() => this.client.deleteTopics({ topics: [topic] }))
  }

  listTopics () {
    return this.client.listTopics()
  }

  async partitions (topic) {
    const { topics } = await asking(() => this.client.fetchTopicMetadata({ topics: [topic] }))
    check(topics[0].partitions.every(p => p.leader === 1 && p.isr.length === 1), 'leaders')
    return topics[0].partitions.length
  }

  createPartitions (topic, count) {
    return asking(() => this.client.createPartitions({ topicPartitions: [{ topic, count }] }))
  }

  async describe (type, name) {
    const { resources } = await asking(() => (
      this.client.describeConfigs({ resources: [{ type, name }], includeSynonyms: false })
    ))
    return resources[0].configEntries
  }

  async describeTopic (topic) {
    const entries = await this.describe(ConfigResourceTypes.TOPIC, topic)
    return Object.fromEntries(entries.map(e => [e.configName, [e.configValue, e.configSource === 5]]))
  }

  async describeBroker (node) {
    const entries = await this.describe(ConfigResourceTypes.BROKER, String(node))
    return Object.fromEntries(entries.map(e => [e.configName, e.configValue]))
  }

  // The older call: it replaces all settings, so what is set already goes along.
  async alterTopic (topic, settings, gone = []) {
    const kept = {}
    for (const [key, [value, isDefault]] of Object.entries(await this.describeTopic(topic))) {
      if (!isDefault) kept[key] = value
    }
    const all = Object.entries({ ...kept, ...settings }).filter(([key]) => !gone.includes(key))
    const configEntries = all.map(([name, value]) => ({ name, value }))
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    await asking(() => this.client.alterConfigs({ validateOnly: false, resources }))
  }

  async cluster () {
    const found = await this.client.describeCluster()
    return { id: found.clusterId, controller: found.controller, brokers: found.brokers.map(b => b.nodeId) }
  }

  async listGroups () {
    return (await this.client.listGroups()).groups.map(g => g.groupId)
  }

  async describeGroup (group) {
    const { groups } = await this.client.describeGroups([group])
    return { state: groups[0].state, members: groups[0].members.length }
  }

  async groupOffsets (groupId, topic) {
    const found = await asking(() => this.client.fetchOffsets(topic ? { groupId, topics: [topic] } : { groupId }))
    const rows = found.flatMap(t => t.partitions.map(p => [`${t.topic}/${p.partition}`, Number(p.offset)]))
    return Object.fromEntries(rows.filter(([, offset]) => offset >= 0).sort())
  }

  alterGroupOffsets (groupId, topic, offsets) {
    const partitions = Object.entries(offsets).map(([p, offset]) => ({ partition: Number(p), offset: String(offset) }))
    return asking(() => this.client.setOffsets({ groupId, topic, partitions }))
  }

  deleteGroup (group) {
    return asking(async () => {
      try {
        return await this.client.deleteGroups([group])
      } catch (wrong) {
        if (wrong.groups?.[0]) throw new Refused(wrong.groups[0].errorCode, wrong.message)
        throw wrong
      }
    })
  }

  async listOffsets (topic, partition, spec) {
    const found = typeof spec === 'number'
      ? await this.client.fetchTopicOffsetsByTimestamp(topic, spec)
      : await this.client.fetchTopicOffsets(topic)
    const row = found.find(p => p.partition === partition)
    return Number(spec === 'earliest' ? row.low : spec === 'latest' ? row.high : row.offset)
  }

  async deleteRecords (topic, offsets) {
    // It looks for the leader in what it knows already: this makes it know the topic.
    await this.client.fetchTopicOffsets(topic)
    const partitions = Object.entries(offsets).map(([p, offset]) => ({ partition: Number(p), offset: String(offset) }))
    return asking(() => this.client.deleteTopicRecords({ topic, partitions }))
  }

  filter (principal) {
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    return {
      resourceType: AclResourceTypes.ANY,
      resourcePatternType: ResourcePatternTypes.ANY,
      principal,
      operation: AclOperationTypes.ANY,
      permissionType: AclPermissionTypes.ANY
    }
  }

  async acls (principal) {
    const { resources } = await asking(() => this.client.describeAcls(this.filter(principal)))
    return resources.flatMap(r => r.acls.map(a => this.rule({ ...r, ...a })))
  }

  rule (found) {
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    check(found.operation === AclOperationTypes.READ && found.permissionType === AclPermissionTypes.ALLOW, 'read')
    check(found.resourceType === AclResourceTypes.TOPIC, 'a topic')
    check(found.resourcePatternType === ResourcePatternTypes.LITERAL, 'literal')
    return { principal: found.principal, host: found.host, topic: found.resourceName }
  }

  createAcl ({ principal, host, topic }) {
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    return asking(() => this.client.createAcls({
      acl: [{
        resourceType: AclResourceTypes.TOPIC,
        resourceName: topic,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal,
        host,
        operation: AclOperationTypes.READ,
        permissionType: AclPermissionTypes.ALLOW
      }]
    }))
  }

  async deleteAcls (principal) {
    const { filterResponses } = await asking(() => this.client.deleteAcls({ filters: [this.filter(principal)] }))
    return filterResponses[0].matchingAcls.map(found => this.rule(found))
  }
}

class Producer {
  constructor (kafka, idempotent) {
    this.client = kafka.producer({
      idempotent,
      maxInFlightRequests: idempotent ? 1 : undefined,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { initialRetryTime: 50, retries: idempotent ? Number.MAX_SAFE_INTEGER : 5 }
    })
  }

  async send (topic, items, { codec = 'none', acks = -1 } = {}) {
    const messages = items.map(({ key = null, value, partition, headers = [], timestamp }) => {
      const named = {}
      for (const [k, v] of headers) {
        named[k] = k in named ? [named[k], v].flat() : v
      }
      return { key, value, partition, headers: named, timestamp: timestamp && String(timestamp) }
    })
    const done = await asking(() => this.client.send({ topic, messages, acks, compression: CODEC[codec] }))
    if (acks === 0 || items.some(item => item.partition === undefined)) return []
    return items.map((_, n) => Number(done[0].baseOffset) + n)
  }

  close () {
    return this.client.disconnect()
  }
}

class Consumer {
  constructor (kafka, groupId) {
    this.records = []
    this.events = []
    this.owned = []
    this.positions = {}
    this.client = kafka.consumer({
      groupId,
      sessionTimeout: 8000,
      rebalanceTimeout: 10_000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 100,
      retry: { initialRetryTime: 50, retries: 10 }
    })
    this.client.on(this.client.events.GROUP_JOIN, ({ payload }) => {
      this.owned = Object.entries(payload.memberAssignment).flatMap(([t, parts]) => parts.map(p => `${t}/${p}`))
      this.events.push('assigned')
    })
    this.client.on(this.client.events.REBALANCING, () => {
      this.owned = []
    })
  }

  async start (topics, reset) {
    await this.client.subscribe({ topics, fromBeginning: reset !== 'latest' })
    await this.client.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch, heartbeat }) => {
        for (const message of batch.messages) {
          const headers = Object.entries(message.headers ?? {}).flatMap(([k, v]) => [v].flat().map(one => [k, one]))
          this.records.push({
            topic: batch.topic,
            partition: batch.partition,
            offset: Number(message.offset),
            key: message.key,
            value: message.value,
            headers,
            timestamp: Number(message.timestamp)
          })
          this.positions[`${batch.topic}/${batch.partition}`] = Number(message.offset) + 1
        }
        await heartbeat()
      }
    })
  }

  assignment () {
    return [...this.owned]
  }

  commit (offsets) {
    const mine = offsets ?? Object.fromEntries(Object.entries(this.positions).filter(([k]) => this.owned.includes(k)))
    return asking(() => this.client.commitOffsets(Object.entries(mine).map(([place, offset]) => {
      const [topic, partition] = place.split('/')
      return { topic, partition: Number(partition), offset: String(offset) }
    })))
  }

  pause (topic, partition) {
    this.client.pause([{ topic, partitions: [partition] }])
  }

  resume (topic, partition) {
    this.client.resume([{ topic, partitions: [partition] }])
  }

  seek (topic, partition, offset) {
    this.client.seek({ topic, partition, offset: String(offset) })
  }

  close () {
    return this.client.disconnect()
  }
}

const adapter = {
  codecs: Object.keys(CODEC),
  features: new Set(['validateOnly', 'acls', 'duplicateHeaders', 'appendTime']),
  lacks: {
    static: 'kafkajs has no group.instance.id',
    cooperative: 'kafkajs has eager assignors only',
    group_next: 'kafkajs speaks the classic group protocol only'
  },

  async admin (security) {
    const admin = new Admin(client(security))
    await admin.client.connect()
    return admin
  },

  async producer ({ security, idempotent = false }) {
    const producer = new Producer(client(security), idempotent)
    await producer.client.connect()
    return producer
  },

  async consumer ({ group, topics, reset, security }) {
    const consumer = new Consumer(client(security), group)
    await consumer.client.connect()
    await consumer.start(topics, reset)
    return consumer
  },

  sasl (mechanism, { user = world.user, password = world.password, overTls = false } = {}) {
    return {
      brokers: [overTls ? world.sasl_tls : world.sasl],
      sasl: { mechanism: mechanism.toLowerCase(), username: user, password },
      ssl: overTls ? { ca: [readFileSync(world.ca)] } : undefined
    }
  },

  tls ({ ca = world.ca, certified = false } = {}) {
    const ssl = { ca: [readFileSync(ca)] }
    if (certified) Object.assign(ssl, { cert: readFileSync(world.client_cert), key: readFileSync(world.client_key) })
    return { brokers: [world.tls], ssl }
  },

  // Sees that these credentials do not come in, and that this is what the client says.
  async shutOut (security) {
    const wanted = security.sasl ? /SASL/ : /certificate|verif/i
    const admin = client({ ...security, retry: { retries: 0 } }).admin()
    try {
      await admin.connect()
      await admin.listTopics()
    } catch (wrong) {
      check(wanted.test(`${wrong.name} ${wrong.message} ${wrong.cause?.message}`), `shut out for another reason: ${wrong}`)
      return
    } finally {
      await admin.disconnect()
    }
    throw new Error('it came in')
  },

  async moreAdmin (topic) {
    const admin = await this.admin()
    const offsets = await admin.client.fetchTopicOffsets(topic)
    check(offsets.length === 2 && offsets.every(p => p.low === '0' && p.high === '20'), 'offsets of a topic')
    const { topics } = await admin.client.listPartitionReassignments({})
    check(topics.length === 0, 'reassignments on one node')
    await admin.close()
  }
}

// Commits, aborts, offsets that go with them, and a producer that the next of its id shuts out.
async function transactions () {
  const [topic, group, transactionalId] = [name('txn'), name('g'), name('x')]
  const admin = await adapter.admin()
  await admin.createTopic(topic, 2)
  const producer = async () => {
    const made = client().producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, retry: { retries: 2 } })
    await made.connect()
    return made
  }
  // Each value goes to a partition of its own.
  const send = (transaction, values) => transaction.send({
    topic, acks: -1, messages: values.map((value, partition) => ({ value, partition }))
  })
  const run = async (producer, values, offset, commit) => {
    const transaction = await producer.transaction()
    await send(transaction, values)
    const topics = [{ topic, partitions: [{ partition: 0, offset: String(offset) }] }]
    await transaction.sendOffsets({ consumerGroupId: group, topics })
    await (commit ? transaction.commit() : transaction.abort())
  }
  const held = async () => (await admin.groupOffsets(group, topic))[`${topic}/0`]
  const first = await producer()
  await run(first, ['kept 1', 'kept 2'], 1, true)
  await run(first, ['dropped 1', 'dropped 2'], 2, false)
  await until(async () => await held() === 1, 20, 'the group\'s offset')
  await run(first, ['kept 3', 'kept 4'], 3, true)
  const torn = await first.transaction()
  await send(torn, ['torn 1', 'torn 2'])
  const second = await producer()
  await run(second, ['kept 5', 'kept 6'], 4, true)
  const shut = await torn.commit().then(() => 'it was not', wrong => wrong.type ?? wrong.cause?.type ?? String(wrong))
  check(/FENCED|PRODUCER_EPOCH/.test(shut), `the first producer is shut out: ${shut}`)
  await until(async () => await held() === 4, 20, 'the group\'s offset at the end')

  // Up to the last record that is wanted: it is the last that was sent.
  const seen = async readUncommitted => {
    const consumer = client().consumer({ groupId: name('g'), readUncommitted, maxWaitTimeInMs: 100 })
    const got = []
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => { got.push(String(message.value)) } })
    await until(() => got.includes('kept 5') && got.includes('kept 6'), 20, () => `the end: ${got}`)
    await consumer.disconnect()
    return got.sort()
  }
  const committed = [1, 2, 3, 4, 5, 6].map(n => `kept ${n}`)
  same(await seen(false), committed, 'who reads committed')
  same(await seen(true), ['dropped 1', 'dropped 2', ...committed, 'torn 1', 'torn 2'], 'who reads all')
  await admin.close()
  for (const one of [first, second]) await one.disconnect()
}

await main({ ...of(adapter), transactions })
