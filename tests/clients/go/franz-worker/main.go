// The worker and the reader of tests/clients/exactly_once.py in franz-go: see there for what they are told.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"klog.test/clients/world"
)

type told struct {
	Address       string `json:"address"`
	Input         string `json:"input"`
	Output        string `json:"output"`
	Group         string `json:"group"`
	ID            string `json:"id"`
	Partitions    int32  `json:"partitions"`
	Batch         int    `json:"batch"`
	PauseMS       int    `json:"pause_ms"`
	SessionMS     int    `json:"session_ms"`
	TransactionMS int    `json:"transaction_ms"`
}

func main() {
	var t told
	world.Check(json.Unmarshal([]byte(os.Getenv("KLOG_EXACTLY_ONCE")), &t), "KLOG_EXACTLY_ONCE")
	if os.Args[1] == "read" {
		t.read()
		return
	}
	for {
		fmt.Fprintln(os.Stderr, "begins again:", t.work())
		time.Sleep(100 * time.Millisecond)
	}
}

// work runs transactions of one producer and one group member, until something goes wrong.
func (t *told) work() error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(t.Address), kgo.TransactionalID(t.ID), kgo.TransactionTimeout(time.Duration(t.TransactionMS)*time.Millisecond),
		kgo.ConsumerGroup(t.Group), kgo.ConsumeTopics(t.Input), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.SessionTimeout(time.Duration(t.SessionMS)*time.Millisecond), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.Balancers(kgo.RangeBalancer()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(t.Output),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	for {
		if err := t.transact(session); err != nil {
			return err
		}
	}
}

func (t *told) transact(session *kgo.GroupTransactSession) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	fetches := session.PollRecords(ctx, t.Batch)
	if fetches.NumRecords() == 0 {
		return nil
	}
	if err := session.Begin(); err != nil {
		return err
	}
	var failed kgo.FirstErrPromise
	fetches.EachRecord(func(record *kgo.Record) {
		value, err := strconv.ParseInt(string(record.Value), 10, 64)
		world.Check(err, "a value")
		result := fmt.Sprintf("%d %d", value, value*value)
		session.Produce(ctx, &kgo.Record{Partition: record.Partition, Value: []byte(result)}, failed.Promise())
	})
	good := failed.Err() == nil
	time.Sleep(time.Duration(t.PauseMS) * time.Millisecond)
	// An end that is not a commit has put the member back to what is committed.
	_, err := session.End(ctx, kgo.TransactionEndTry(good))
	return err
}

func (t *told) read() {
	ends := map[int32]int64{}
	admin := kadm.NewClient(world.Must(kgo.NewClient(kgo.SeedBrokers(t.Address))))
	world.Must(admin.ListCommittedOffsets(context.Background(), t.Output)).Each(func(o kadm.ListedOffset) {
		world.Check(o.Err, "the end of a partition")
		if o.Offset > 0 {
			ends[o.Partition] = o.Offset
		}
	})
	// With the control records: a partition ends with the marker of its last transaction.
	cl := world.Must(kgo.NewClient(
		kgo.SeedBrokers(t.Address), kgo.ConsumeTopics(t.Output), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
	))
	out := bufio.NewWriter(os.Stdout)
	for len(ends) > 0 {
		fetches := cl.PollFetches(context.Background())
		fetches.EachError(func(_ string, _ int32, err error) { world.Check(err, "fetch") })
		fetches.EachRecord(func(record *kgo.Record) {
			if !record.Attrs.IsControl() {
				fmt.Fprintln(out, record.Partition, string(record.Value))
			}
			if end, reading := ends[record.Partition]; reading && record.Offset+1 >= end {
				fmt.Fprintln(out, "end", record.Partition, record.Offset+1)
				delete(ends, record.Partition)
			}
		})
	}
	world.Check(out.Flush(), "stdout")
}
