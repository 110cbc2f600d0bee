// The franz-go driver of tests/clients: kgo for records and groups, kadm for everything an admin does.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"klog.test/clients/world"
)

var all = map[string]func(*world.World){
	"topics": topics, "configs": configs, "codecs": codecs, "records": records, "large": large, "offsets": offsets,
	"group": group, "static": static, "cooperative": cooperative, "group_next": groupNext, "pause_seek": pauseSeek,
	"admin": admin, "delete_records": deleteRecords, "compaction": compaction, "idempotent": idempotent,
	"sasl": saslMechanisms, "tls": tlsListeners, "transactions": transactions,
}

func main() { world.Main(all) }

// soon is the context of one call.
func soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), world.Patience)
	time.AfterFunc(world.Patience, cancel)
	return ctx
}

func client(w *world.World, options ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{kgo.SeedBrokers(w.Plain), kgo.FetchMaxWait(200 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
	return world.Must(kgo.NewClient(append(base, options...)...))
}

func administrator(w *world.World) *kadm.Client { return kadm.NewClient(client(w)) }

// topic makes a topic and gives its name.
func topic(w *world.World, base string, partitions int32, settings ...string) string {
	admin := administrator(w)
	defer admin.Close()
	values := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		values[settings[i]] = &settings[i+1]
	}
	world.Must(admin.CreateTopic(soon(), partitions, 1, values, w.Name(base)))
	return w.Name(base)
}

// produce sends all records and waits for every answer.
func produce(cl *kgo.Client, records ...*kgo.Record) {
	world.Check(cl.ProduceSync(soon(), records...).FirstErr(), "produce")
}

// values sends texts to a partition.
func values(w *world.World, topic string, partition int32, texts ...string) {
	cl := client(w, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	var records []*kgo.Record
	for _, text := range texts {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(text)})
	}
	produce(cl, records...)
}

// read gives the first n records that the client polls.
func read(cl *kgo.Client, n int) []*kgo.Record {
	var got []*kgo.Record
	ctx := soon()
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		world.Check(fetches.Err0(), "poll")
		fetches.EachError(func(t string, p int32, err error) { world.Check(err, "fetch of", t) })
		got = append(got, fetches.Records()...)
	}
	return got
}

// whole gives all n records of a topic from its start, and no more than n.
func whole(w *world.World, topic string, n int) []*kgo.Record {
	cl := client(w, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(8<<20))
	defer cl.Close()
	got := read(cl, n)
	world.That(len(got) == n, "%d records of %s, wanted %d", len(got), topic, n)
	return got
}

func texts(records []*kgo.Record) []string {
	var texts []string
	for _, record := range records {
		texts = append(texts, string(record.Value))
	}
	return texts
}

// member is a group member that polls and commits in a goroutine of its own.
type member struct {
	*kgo.Client
	mutex    sync.Mutex
	owned    map[int32]bool
	got      []string
	lost     int // partitions that were taken away
	changes  int
	stopping chan struct{}
	stopped  chan struct{}
}

func join(w *world.World, group, topic string, options ...kgo.Opt) *member {
	m := &member{owned: map[int32]bool{}, stopping: make(chan struct{}), stopped: make(chan struct{})}
	change := func(owns bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, cl *kgo.Client, partitions map[string][]int32) {
			if cl != nil && !owns {
				_ = cl.CommitUncommittedOffsets(ctx)
			}
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, list := range partitions {
				for _, partition := range list {
					m.changes++
					if owns {
						m.owned[partition] = true
					} else {
						m.lost++
						delete(m.owned, partition)
					}
				}
			}
		}
	}
	base := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond),
	}
	m.Client = client(w, append(base, options...)...)
	go func() {
		defer close(m.stopped)
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			records := m.PollFetches(ctx).Records()
			cancel()
			if len(records) > 0 {
				world.Check(m.CommitRecords(soon(), records...), "commit")
			}
			// What counts as read is committed: whoever saw it may end the member.
			m.mutex.Lock()
			m.got = append(m.got, texts(records)...)
			m.mutex.Unlock()
			m.AllowRebalance()
			select {
			case <-m.stopping:
				return
			default:
			}
		}
	}()
	return m
}

func (m *member) count() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.owned)
}

func (m *member) losses() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.lost
}

func (m *member) partitions() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return fmt.Sprint(m.owned)
}

func (m *member) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return append([]string{}, m.got...)
}

// leave stops polling and closes the client; a static member stays in the group.
func (m *member) leave() {
	close(m.stopping)
	<-m.stopped
	m.CloseAllowingRebalance()
}

// share says whether the members own all partitions together, none of them nothing.
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
