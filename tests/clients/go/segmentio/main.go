// The segmentio/kafka-go driver of tests/clients: its Writer, Reader and Client.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"klog.test/clients/world"
)

func main() {
	world.Main(map[string]func(*world.World){
		"topics": topics, "configs": configs, "codecs": codecs, "records": records, "large": large, "offsets": offsets,
		"group": group, "pause_seek": pauseSeek, "admin": admin, "compaction": compaction,
		"sasl": saslMechanisms, "tls": tlsListeners,
		"static":         func(*world.World) { world.Skip("kafka-go has no static members") },
		"cooperative":    func(*world.World) { world.Skip("kafka-go has no incremental rebalance") },
		"group_next":     func(*world.World) { world.Skip("kafka-go has no KIP-848 groups") },
		"delete_records": func(*world.World) { world.Skip("kafka-go can not delete records") },
		"idempotent":     func(*world.World) { world.Skip("kafka-go has no idempotent producer") },
	})
}

func soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), world.Patience)
	time.AfterFunc(world.Patience, cancel)
	return ctx
}

// access is how a listener is reached.
type access struct {
	address string
	tls     *tls.Config
	sasl    sasl.Mechanism
}

func plainly(w *world.World) access { return access{address: w.Plain} }

func (a access) transport() *kafka.Transport { return &kafka.Transport{TLS: a.tls, SASL: a.sasl} }

func (a access) client() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(a.address), Timeout: world.Patience, Transport: a.transport()}
}

func (a access) dialer() *kafka.Dialer {
	return &kafka.Dialer{Timeout: 5 * time.Second, TLS: a.tls, SASLMechanism: a.sasl}
}

func (a access) writer(topic string) *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(a.address), Topic: topic, Transport: a.transport(), BatchTimeout: 5 * time.Millisecond,
		RequiredAcks: kafka.RequireAll, BatchBytes: 4 << 20, Balancer: kafka.BalancerFunc(byPartition),
	}
}

// byPartition takes the partition that the message names in its WriterData.
func byPartition(message kafka.Message, partitions ...int) int {
	if wanted, given := message.WriterData.(int); given {
		return wanted
	}
	return partitions[0]
}

func (a access) reader(topic string, partition int) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{a.address}, Topic: topic, Partition: partition, Dialer: a.dialer(), MaxWait: 200 * time.Millisecond,
		MaxBytes: 8 << 20, ReadBackoffMin: 20 * time.Millisecond, ReadBackoffMax: 100 * time.Millisecond,
	})
}

func topic(w *world.World, base string, partitions int, settings ...string) string {
	world.Check(plainly(w).create(w.Name(base), partitions, settings...), "create")
	return w.Name(base)
}

func (a access) create(name string, partitions int, settings ...string) error {
	config := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1}
	for i := 0; i < len(settings); i += 2 {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	return world.Must(a.client().CreateTopics(soon(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})).Errors[name]
}

func write(writer *kafka.Writer, messages ...kafka.Message) {
	world.Until("the leader is known", func() bool {
		err := writer.WriteMessages(soon(), messages...)
		// The writer's view of the cluster is a cache: a topic made a moment ago may not be in it yet.
		if failed, several := err.(kafka.WriteErrors); several && failed.Count() > 0 {
			err = failed[0]
		}
		if err == kafka.UnknownTopicOrPartition || err == kafka.LeaderNotAvailable {
			return false
		}
		world.Check(err, "write")
		return true
	})
}

func values(w *world.World, topic string, partition int, texts ...string) {
	writer := plainly(w).writer(topic)
	defer writer.Close()
	var messages []kafka.Message
	for _, text := range texts {
		messages = append(messages, kafka.Message{Value: []byte(text), WriterData: partition})
	}
	write(writer, messages...)
}

func take(reader *kafka.Reader, n int) []kafka.Message {
	var got []kafka.Message
	ctx := soon()
	for len(got) < n {
		got = append(got, world.Must(reader.ReadMessage(ctx)))
	}
	return got
}

func read(a access, topic string, partition int, from int64, n int) []kafka.Message {
	reader := a.reader(topic, partition)
	defer reader.Close()
	world.Check(reader.SetOffset(from))
	return take(reader, n)
}

func texts(messages []kafka.Message) []string {
	var texts []string
	for _, message := range messages {
		texts = append(texts, string(message.Value))
	}
	return texts
}

// member reads in a goroutine; what it got counts once it is committed.
type member struct {
	reader *kafka.Reader
	mutex  sync.Mutex
	got    []string
	end    context.CancelFunc
	ended  chan struct{}
}

func join(w *world.World, group, topic string) *member {
	m := &member{ended: make(chan struct{})}
	m.reader = kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{w.Plain}, GroupID: group, Topic: topic, MaxWait: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 300 * time.Millisecond, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second,
		JoinGroupBackoff: 100 * time.Millisecond, QueueCapacity: 1, ReadBackoffMin: 20 * time.Millisecond,
		ReadBackoffMax: 100 * time.Millisecond,
	})
	ctx, end := context.WithCancel(context.Background())
	m.end = end
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			message, err := m.reader.FetchMessage(ctx)
			if err != nil {
				continue
			}
			if m.reader.CommitMessages(context.Background(), message) == nil {
				m.mutex.Lock()
				m.got = append(m.got, string(message.Value))
				m.mutex.Unlock()
			}
		}
	}()
	return m
}

func (m *member) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return append([]string{}, m.got...)
}

func (m *member) leave() {
	m.end()
	<-m.ended
	world.Check(m.reader.Close(), "leave")
}

// feeder writes numbered records to all partitions of a topic until it is stopped.
type feeder struct {
	sent []string
	stop chan struct{}
	wait sync.WaitGroup
}

func feed(w *world.World, topic string, partitions int) *feeder {
	f := &feeder{stop: make(chan struct{})}
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		writer := plainly(w).writer(topic)
		writer.BatchTimeout = time.Millisecond
		defer writer.Close()
		for n := 0; ; n++ {
			text := fmt.Sprintf("%06d", n)
			write(writer, kafka.Message{Value: []byte(text), WriterData: n % partitions})
			f.sent = append(f.sent, text)
			select {
			case <-f.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return f
}

func (f *feeder) end() []string {
	close(f.stop)
	f.wait.Wait()
	return f.sent
}

// reads waits until the members have read all that was sent and nothing else. What a Reader had queued when its
// partition went to another member it still hands out, so a record may come twice across a rebalance.
func reads(sent []string, members ...*member) {
	var got []string
	world.Until("everything is read", func() bool {
		got = nil
		seen := map[string]bool{}
		for _, m := range members {
			for _, text := range m.read() {
				if !seen[text] {
					seen[text] = true
					got = append(got, text)
				}
			}
		}
		return len(got) >= len(sent)
	})
	world.Same("everything", world.Sorted(got), sent)
}

func group(w *world.World) {
	topic, group := topic(w, "group", 6), w.Name("group")
	client := plainly(w).client()
	// How many partitions each member has, as the broker says it.
	shares := func(want ...int) func() bool {
		return func() bool {
			described := world.Must(client.DescribeGroups(soon(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})).Groups[0]
			if described.Error != nil || described.GroupState != "Stable" || len(described.Members) != len(want) {
				return false
			}
			for i, m := range described.Members {
				count := 0
				for _, assigned := range m.MemberAssignments.Topics {
					count += len(assigned.Partitions)
				}
				if count != want[i] {
					return false
				}
			}
			return true
		}
	}
	feeder := feed(w, topic, 6)
	first := join(w, group, topic)
	world.Until("one member owns all", shares(6))
	second := join(w, group, topic)
	third := join(w, group, topic)
	world.Until("three members share", shares(2, 2, 2))
	listed := false
	for _, one := range world.Must(client.ListGroups(soon(), &kafka.ListGroupsRequest{})).Groups {
		listed = listed || one.GroupID == group && one.ProtocolType == "consumer"
	}
	world.That(listed, "the group is listed")
	second.leave()
	world.Until("two members share", shares(3, 3))
	sent := feeder.end()
	reads(sent, first, second, third)
	first.leave()
	third.leave()
	committed := int64(0)
	fetched := world.Must(client.OffsetFetch(soon(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 3, 4, 5}}}))
	for _, partition := range fetched.Topics[topic] {
		committed += partition.CommittedOffset
	}
	world.Same("committed", committed, int64(len(sent)))
	described := world.Must(client.DescribeGroups(soon(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})).Groups[0]
	world.Same("state", described.GroupState, "Empty")
	values(w, topic, 3, "later")
	late := join(w, group, topic)
	reads([]string{"later"}, late)
	late.leave()
}

func pauseSeek(w *world.World) {
	topic := topic(w, "seek", 1)
	values(w, topic, 0, world.Numbers(100)...)
	reader := plainly(w).reader(topic, 0)
	defer reader.Close()
	world.Same("all of it", texts(take(reader, 100)), world.Numbers(100))
	world.Check(reader.SetOffset(42))
	world.Same("from the middle", take(reader, 58)[0].Offset, int64(42))
	world.Check(reader.SetOffset(kafka.FirstOffset))
	world.Same("from the start", take(reader, 1)[0].Offset, int64(0))
	world.Check(reader.SetOffsetAt(soon(), time.UnixMilli(0)))
	world.Same("from a time", take(reader, 1)[0].Offset, int64(0))
	world.Check(reader.SetOffset(kafka.LastOffset))
	world.Same("lag at the end", world.Must(reader.ReadLag(soon())), int64(0))
	values(w, topic, 0, "newest")
	world.Same("from the end", texts(take(reader, 1)), []string{"newest"})
}
