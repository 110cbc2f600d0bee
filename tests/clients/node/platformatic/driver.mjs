// @platformatic/kafka (1.x) as the scenarios see it.

import { readFileSync } from 'node:fs'
import zlib from 'node:zlib'
import * as kafka from '@platformatic/kafka'
import { Refused, check, main, name, pause, same, until, world } from './rig.mjs'
import { of } from './scenarios.mjs'

const { ConfigResourceTypes, MessagesStreamFallbackModes, MessagesStreamModes } = kafka

// Kafka's code in an error, however deep it lies.
function code (error) {
  if (Number.isInteger(error?.apiCode)) return error.apiCode
  for (const inner of [...(error?.errors ?? []), error?.cause].filter(Boolean)) {
    const found = code(inner)
    if (found !== undefined) return found
  }
}

async function asking (action) {
  try {
    return await action()
  } catch (wrong) {
    const found = code(wrong)
    if (found !== undefined) throw new Refused(found, wrong.message)
    throw wrong
  }
}

const options = security => ({
  clientId: name('client'),
  bootstrapBrokers: [world.plain],
  retries: 5,
  retryDelay: 100,
  metadataMaxAge: 300,
  ...security
})

class Admin {
  constructor (security) {
    this.client = new kafka.Admin(options(security))
  }

  close () {
    return this.client.close()
  }

  async createTopic (topic, partitions, settings = {}, { replication = 1 } = {}) {
    const configs = Object.entries(settings).map(([name, value]) => ({ name, value }))
    await asking(() => this.client.createTopics({ topics: [topic], partitions, replicas: replication, configs }))
    // A producer whose first send meets a partition that is not there yet sends all of it again.
    for (let partition = 0; partition < partitions; partition++) {
      await until(async () => {
        try {
          return (await this.listOffsets(topic, partition, 'latest')) === 0
        } catch {
          return false
        }
      }, 5, 'the partitions are there')
    }
  }

  deleteTopic (topic) {
    return asking(() => this.client.deleteTopics({ topics: [topic] }))
  }

  listTopics () {
    return this.client.listTopics()
  }

  async partitions (topic) {
    const { topics } = await asking(() => this.client.metadata({ topics: [topic], forceUpdate: true }))
    const { partitions } = topics.get(topic)
    check(partitions.every(p => p.leader === 1 && p.isr.length === 1), 'leaders')
    return partitions.length
  }

  createPartitions (topic, count) {
    return asking(() => this.client.createPartitions({ topics: [{ name: topic, count, assignments: null }] }))
  }

  async describe (resourceType, resourceName) {
    const found = await asking(() => this.client.describeConfigs({ resources: [{ resourceType, resourceName }] }))
    return found[0].configs
  }

  async describeTopic (topic) {
    const entries = await this.describe(ConfigResourceTypes.TOPIC, topic)
    return Object.fromEntries(entries.map(e => [e.name, [e.value, e.configSource === 5]]))
  }

  async describeBroker (node) {
    const entries = await this.describe(ConfigResourceTypes.BROKER, String(node))
    return Object.fromEntries(entries.map(e => [e.name, e.value]))
  }

  alterTopic (topic, settings, gone = []) {
    const { SET, DELETE } = kafka.IncrementalAlterConfigOperationTypes
    const configs = [
      ...Object.entries(settings).map(([name, value]) => ({ name, configOperation: SET, value })),
      ...gone.map(name => ({ name, configOperation: DELETE }))
    ]
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }]
    return asking(() => this.client.incrementalAlterConfigs({ resources }))
  }

  async cluster () {
    const found = await this.client.metadata({ topics: [], forceUpdate: true })
    return { id: found.id, controller: found.controllerId, brokers: [...found.brokers.keys()] }
  }

  async listGroups () {
    return [...(await this.client.listGroups({ types: ['classic', 'consumer'] })).keys()]
  }

  async describeGroup (group) {
    // It has no call that describes a group of the newer protocol; the list says its state.
    const listed = (await this.client.listGroups({ types: ['consumer'] })).get(group)
    if (listed) return { state: listed.state }
    const found = (await asking(() => this.client.describeGroups({ groups: [group] }))).get(group)
    return { state: found.state, members: found.members.size }
  }

  async groupOffsets (group, topic) {
    const [found] = await asking(() => this.client.listConsumerGroupOffsets({ groups: [group] }))
    const rows = found.topics.flatMap(t => t.partitions.map(p => [`${t.name}/${p.partitionIndex}`, Number(p.committedOffset)]))
    return Object.fromEntries(rows.sort())
  }

  alterGroupOffsets (groupId, topic, offsets) {
    const partitionOffsets = Object.entries(offsets).map(([p, o]) => ({ partition: Number(p), offset: BigInt(o) }))
    const topics = [{ name: topic, partitionOffsets }]
    return asking(() => this.client.alterConsumerGroupOffsets({ groupId, topics }))
  }

  deleteGroupOffsets (groupId, topic, partition) {
    const topics = [{ name: topic, partitionIndexes: [partition] }]
    return asking(() => this.client.deleteConsumerGroupOffsets({ groupId, topics }))
  }

  deleteGroup (group) {
    return asking(() => this.client.deleteGroups({ groups: [group] }))
  }

  async listOffsets (topic, partition, spec) {
    const words = { earliest: -2n, latest: -1n, maxTimestamp: -3n }
    const partitions = [{ partitionIndex: partition, timestamp: words[spec] ?? BigInt(spec) }]
    const [found] = await asking(() => this.client.listOffsets({ topics: [{ name: topic, partitions }] }))
    return Number(found.partitions[0].offset)
  }

  deleteRecords (topic, offsets) {
    const partitions = Object.entries(offsets).map(([p, o]) => ({ partition: Number(p), offset: BigInt(o) }))
    return asking(() => this.client.deleteRecords({ topics: [{ name: topic, partitions }] }))
  }

  filter (principal) {
    return {
      resourceType: kafka.ResourceTypes.ANY,
      resourceName: null,
      resourcePatternType: kafka.ResourcePatternTypes.ANY,
      principal,
      host: null,
      operation: kafka.AclOperations.ANY,
      permissionType: kafka.AclPermissionTypes.ANY
    }
  }

  rule (found) {
    check(found.operation === kafka.AclOperations.READ, 'read')
    check(found.permissionType === kafka.AclPermissionTypes.ALLOW, 'allow')
    check(found.resourceType === kafka.ResourceTypes.TOPIC, 'a topic')
    return { principal: found.principal, host: found.host, topic: found.resourceName }
  }

  async acls (principal) {
    const found = await asking(() => this.client.describeAcls({ filter: this.filter(principal) }))
    return found.flatMap(resource => resource.acls.map(acl => this.rule({ ...resource, ...acl })))
  }

  createAcl ({ principal, host, topic }) {
    return asking(() => this.client.createAcls({
      creations: [{
        resourceType: kafka.ResourceTypes.TOPIC,
        resourceName: topic,
        resourcePatternType: kafka.ResourcePatternTypes.LITERAL,
        principal,
        host,
        operation: kafka.AclOperations.READ,
        permissionType: kafka.AclPermissionTypes.ALLOW
      }]
    }))
  }

  async deleteAcls (principal) {
    return (await asking(() => this.client.deleteAcls({ filters: [this.filter(principal)] }))).map(a => this.rule(a))
  }
}

class Producer {
  constructor (security, idempotent) {
    this.client = new kafka.Producer({ ...options(security), idempotent, autocreateTopics: false })
  }

  async send (topic, items, { codec = 'none', acks = -1 } = {}) {
    const messages = items.map(({ key, value, partition, headers = [], timestamp }) => ({
      topic,
      key: key ?? undefined,
      value: value ?? undefined,
      partition,
      headers: new Map(headers.map(([k, v]) => [Buffer.from(k), v])),
      timestamp: timestamp === undefined ? undefined : BigInt(timestamp)
    }))
    const done = await asking(() => this.client.send({ messages, acks, compression: codec }))
    if (acks === 0 || items.some(item => item.partition === undefined)) return []
    return items.map((_, n) => Number(done.offsets[0].offset) + n)
  }

  close () {
    return this.client.close()
  }
}

class Consumer {
  constructor (security, groupId, more) {
    this.records = []
    this.events = []
    this.client = new kafka.Consumer({
      ...options(security), groupId, autocommit: false, maxWaitTime: 100, minBytes: 1, ...more
    })
    this.client.on('consumer:group:join', () => this.events.push('joined'))
  }

  async start (topics, mode) {
    this.stream = await asking(() => this.client.consume({ topics, autocommit: false, maxWaitTime: 100, ...mode }))
    this.stream.on('data', message => {
      this.records.push({
        topic: message.topic,
        partition: message.partition,
        offset: Number(message.offset),
        key: message.key ?? null,
        value: message.value ?? null,
        headers: [...message.headers].map(([k, v]) => [String(k), v]),
        timestamp: Number(message.timestamp)
      })
    })
    this.stream.on('error', error => { this.error = error })
  }

  assignment () {
    if (this.error) throw this.error
    return (this.client.assignments ?? []).flatMap(({ topic, partitions }) => partitions.map(p => `${topic}/${p}`))
  }

  commit (given) {
    const wanted = given ?? {}
    const owned = new Set(this.assignment())
    for (const { topic, partition, offset } of given ? [] : this.records) {
      const place = `${topic}/${partition}`
      if (owned.has(place)) wanted[place] = Math.max(wanted[place] ?? 0, offset + 1)
    }
    const offsets = Object.entries(wanted).map(([place, offset]) => {
      const [topic, partition] = place.split('/')
      return { topic, partition: Number(partition), offset: BigInt(offset), leaderEpoch: 0 }
    })
    return offsets.length ? asking(() => this.client.commit({ offsets })) : undefined
  }

  async close () {
    await this.stream.close()
    await this.client.close(true)
  }
}

const adapter = {
  codecs: ['none', 'gzip', 'snappy', 'lz4', ...(zlib.zstdCompressSync ? ['zstd'] : [])],
  features: new Set(['acls', 'deleteGroupOffsets', 'repeats', 'maxTimestamp']),
  lacks: {
    static: 'its close() leaves the group, with a group.instance.id too: no member comes back',
    cooperative: '@platformatic/kafka has eager assignors only; its incremental ones are those of group_next'
  },

  async admin (security) {
    return new Admin(security)
  },

  async producer ({ security, idempotent = false }) {
    return new Producer(security, idempotent)
  },

  async consumer ({ group, topics, reset, security, instance, protocol, offsets }) {
    const more = protocol === 'next'
      ? { groupProtocol: 'consumer' }
      : { sessionTimeout: 8000, rebalanceTimeout: 10_000, heartbeatInterval: 300 }
    if (instance) more.groupInstanceId = instance
    const consumer = new Consumer(security, group, more)
    const { LATEST, EARLIEST } = MessagesStreamFallbackModes
    const mode = offsets
      ? { mode: MessagesStreamModes.MANUAL, offsets }
      : { mode: MessagesStreamModes.COMMITTED, fallbackMode: reset === 'latest' ? LATEST : EARLIEST }
    await consumer.start(topics, mode)
    return consumer
  },

  sasl (mechanism, { user = world.user, password = world.password, overTls = false } = {}) {
    return {
      bootstrapBrokers: [overTls ? world.sasl_tls : world.sasl],
      sasl: { mechanism, username: user, password },
      ...(overTls && { tls: { ca: readFileSync(world.ca) } })
    }
  },

  tls ({ ca = world.ca, certified = false } = {}) {
    const tls = { ca: readFileSync(ca) }
    if (certified) Object.assign(tls, { cert: readFileSync(world.client_cert), key: readFileSync(world.client_key) })
    return { bootstrapBrokers: [world.tls], tls }
  },

  // Sees that these credentials do not come in, and that this is what the client says.
  async shutOut (security) {
    const wanted = security.sasl ? /SASL_AUTHENTICATION_FAILED|[Aa]uthentication/ : /certificate|verif/i
    const admin = new kafka.Admin({ ...options(security), retries: 0 })
    const words = error => [error, ...(error.errors ?? []), error.cause].filter(Boolean)
      .flatMap(e => (e === error ? [e.message, e.code, e.apiId] : words(e))).join(' ')
    try {
      await admin.listTopics()
    } catch (wrong) {
      check(wanted.test(words(wrong)), () => `shut out for another reason: ${words(wrong)}`)
      return
    } finally {
      await admin.close()
    }
    throw new Error('it came in')
  },

  async moreAdmin (topic) {
    const { client } = await this.admin()
    const [found] = await client.findCoordinator({ keyType: 0, keys: [name('g')] })
    check(found.nodeId === 1 && `${found.host}:${found.port}` === world.plain, 'the coordinator')
    const partitions = [{ partitions: [0, 1], name: topic }]
    const [dirs] = await client.describeLogDirs({ topics: partitions })
    const listed = dirs.results.flatMap(r => r.topics.flatMap(t => t.partitions))
    check(listed.length === 2 && listed.every(p => Number(p.partitionSize) > 0), 'the log folders')
    await client.close()
  }
}

// A stream is paused as a whole, and begins where it is told to; it has no seek.
async function pauseSeek () {
  const admin = await adapter.admin()
  const topic = name('paused')
  await admin.createTopic(topic, 2)
  const send = async (partition, word) => {
    const producer = await adapter.producer({})
    const items = Array.from({ length: 10 }, (_, n) => ({ value: Buffer.from(`${word}${n}`), partition }))
    await producer.send(topic, items)
    await producer.close()
  }
  await send(0, 'a')
  const consumer = await adapter.consumer({ group: name('group'), topics: [topic] })
  await until(() => consumer.records.length === 10, 25, 'the first records')
  consumer.stream.pause()
  await send(1, 'b')
  await pause(500)
  same(consumer.records.length, 10, 'records while paused')
  consumer.stream.resume()
  await until(() => consumer.records.length === 20, 25, 'the paused records')
  same(consumer.records.slice(10).map(r => String(r.value)), Array.from({ length: 10 }, (_, n) => `b${n}`), 'in order')
  await consumer.close()
  const offsets = [{ topic, partition: 0, offset: 7n }, { topic, partition: 1, offset: 9n }]
  const there = await adapter.consumer({ group: name('group'), topics: [topic], offsets })
  await until(() => there.records.length >= 4, 25, 'what follows the given offsets')
  await pause(200)
  same(there.records.map(r => String(r.value)).sort(), ['a7', 'a8', 'a9', 'b9'], 'what follows the given offsets')
  await there.close()
  await admin.close()
}

await main({ ...of(adapter), pause_seek: pauseSeek })
