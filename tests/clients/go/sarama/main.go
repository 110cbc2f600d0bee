// The sarama driver of tests/clients: its producers, consumers, group member and cluster administrator.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"klog.test/clients/world"
)

func main() {
	world.Main(map[string]func(*world.World){
		"topics": topics, "configs": configs, "codecs": codecs, "records": records, "large": large, "offsets": offsets,
		"group": group, "static": static, "cooperative": cooperative, "pause_seek": pauseSeek,
		"admin": admin, "delete_records": deleteRecords, "compaction": compaction, "idempotent": idempotent,
		"sasl": saslMechanisms, "tls": tlsListeners, "transactions": transactions,
		"group_next": func(*world.World) { world.Skip("sarama has no KIP-848 groups") },
	})
}

// config is what every scenario begins with: the newest protocol that sarama has, quick retries.
func config(change ...func(*sarama.Config)) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 200 * time.Millisecond
	c.Consumer.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	for _, one := range change {
		one(c)
	}
	return c
}

func administrator(w *world.World) sarama.ClusterAdmin {
	return world.Must(sarama.NewClusterAdmin([]string{w.Plain}, config()))
}

func topic(w *world.World, base string, partitions int32, settings ...string) string {
	name := w.Name(base)
	admin := administrator(w)
	defer admin.Close()
	values := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = &settings[i+1]
	}
	world.Check(admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: values}, false), "create")
	return name
}

func message(topic string, partition int32, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(value)}
}

// produce sends messages one by one, each answered before the next.
func produce(address string, c *sarama.Config, messages ...*sarama.ProducerMessage) error {
	producer := world.Must(sarama.NewSyncProducer([]string{address}, c))
	defer producer.Close()
	for _, m := range messages {
		if _, _, err := producer.SendMessage(m); err != nil {
			return err
		}
	}
	return nil
}

func values(w *world.World, topic string, partition int32, texts ...string) {
	var messages []*sarama.ProducerMessage
	for _, text := range texts {
		messages = append(messages, message(topic, partition, text))
	}
	producer := world.Must(sarama.NewSyncProducer([]string{w.Plain}, config()))
	defer producer.Close()
	world.Check(producer.SendMessages(messages), "produce")
}

// read gives n records of a partition from an offset on.
func read(address string, c *sarama.Config, topic string, partition int32, from int64, n int) []*sarama.ConsumerMessage {
	consumer := world.Must(sarama.NewConsumer([]string{address}, c))
	defer consumer.Close()
	claim := world.Must(consumer.ConsumePartition(topic, partition, from))
	defer claim.Close()
	return take(claim, n)
}

func take(claim sarama.PartitionConsumer, n int) []*sarama.ConsumerMessage {
	var got []*sarama.ConsumerMessage
	late := time.After(world.Patience)
	for len(got) < n {
		select {
		case m := <-claim.Messages():
			got = append(got, m)
		case <-late:
			panic(fmt.Sprintf("%d records, wanted %d", len(got), n))
		}
	}
	return got
}

func texts(messages []*sarama.ConsumerMessage) []string {
	var texts []string
	for _, m := range messages {
		texts = append(texts, string(m.Value))
	}
	return texts
}

// member is a group member: each claim runs in its own goroutine and marks what it read.
type member struct {
	group    sarama.ConsumerGroup
	mutex    sync.Mutex
	owned    map[int32]bool
	got      []string
	lost     int
	sessions int
	id       string
	epoch    int32
	failure  error
	end      context.CancelFunc
	ended    chan struct{}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.locked(func() { m.sessions++; m.id, m.epoch = session.MemberID(), session.GenerationID() })
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.locked(func() { m.owned[claim.Partition()] = true })
	defer m.locked(func() { delete(m.owned, claim.Partition()); m.lost++ })
	for {
		select {
		case record, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.locked(func() { m.got = append(m.got, string(record.Value)) })
			session.MarkMessage(record, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) locked(do func()) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	do()
}

func join(w *world.World, group, topic string, change ...func(*sarama.Config)) *member {
	m := &member{owned: map[int32]bool{}, ended: make(chan struct{})}
	m.group = world.Must(sarama.NewConsumerGroup([]string{w.Plain}, group, config(change...)))
	ctx, end := context.WithCancel(context.Background())
	m.end = end
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			if err := m.group.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				m.locked(func() { m.failure = err })
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return m
}

func (m *member) count() (n int) {
	m.locked(func() { n = len(m.owned) })
	return n
}

func (m *member) losses() (n int) {
	m.locked(func() { n = m.lost })
	return n
}

func (m *member) read() (got []string) {
	m.locked(func() { got = append(got, m.got...) })
	return got
}

func (m *member) partitions() (text string) {
	m.locked(func() { text = fmt.Sprint(m.owned) })
	return text
}

func (m *member) leave() {
	m.end()
	<-m.ended
	world.Check(m.group.Close(), "leave")
}

func share(partitions int, members ...*member) bool {
	total := 0
	for _, m := range members {
		if m.count() == 0 {
			return false
		}
		total += m.count()
	}
	return total == partitions
}
