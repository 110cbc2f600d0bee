package main

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"klog.test/clients/world"
)

// transactions sees commits, aborts, offsets that go with them, and a producer that another shuts out.
func transactions(w *world.World) {
	topic, group := topic(w, "txn", 2), w.Name("txn-group")
	producer := func() *kgo.Client {
		return client(w, kgo.TransactionalID(w.Name("txn-id")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	first, second := producer(), producer()
	defer first.Close()
	defer second.Close()
	send := func(cl *kgo.Client, word string, from int) {
		for i := from; i < from+2; i++ {
			produce(cl, &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: fmt.Appendf(nil, "%s %d", word, i)})
		}
	}
	run := func(cl *kgo.Client, word string, from int, end kgo.TransactionEndTry) {
		world.Check(cl.BeginTransaction(), "begin")
		send(cl, word, from)
		world.Check(cl.EndTransaction(soon(), end), "end")
	}
	run(first, "kept", 1, kgo.TryCommit)
	run(first, "dropped", 1, kgo.TryAbort)
	run(first, "kept", 3, kgo.TryCommit)
	world.Check(first.BeginTransaction())
	send(first, "torn", 1)
	// The producer's id is asked for with the first transaction.
	run(second, "kept", 5, kgo.TryCommit)
	err := first.EndTransaction(soon(), kgo.TryCommit)
	shut := errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.ProducerFenced)
	world.That(shut, "a producer is shut out by the next of its id: %v", err)

	committed := []string{"kept 1", "kept 2", "kept 3", "kept 4", "kept 5", "kept 6"}
	everything := append(append([]string{"dropped 1", "dropped 2"}, committed...), "torn 1", "torn 2")
	world.Same("who reads committed", upToEnds(w, topic, kgo.ReadCommitted()), committed)
	world.Same("who reads all", upToEnds(w, topic, kgo.ReadUncommitted()), everything)
	offsetsInTransactions(w, topic, group)
}

// offsetsInTransactions reads what is there as a member of a group: the offsets hold when the transaction does.
func offsetsInTransactions(w *world.World, topic, group string) {
	session := world.Must(kgo.NewGroupTransactSession(
		kgo.SeedBrokers(w.Plain), kgo.TransactionalID(w.Name("txn-member")), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.DefaultProduceTopic(w.Name("txn-results")),
	))
	defer session.Close()
	administrator := administrator(w)
	defer administrator.Close()
	world.Must(administrator.CreateTopic(soon(), 1, 1, nil, w.Name("txn-results")))
	// round reads all six records and ends a transaction that has copied them.
	round := func(end kgo.TransactionEndTry) {
		world.Check(session.Begin(), "begin")
		for got := 0; got < 6; {
			records := session.PollFetches(soon()).Records()
			for _, record := range records {
				world.Check(session.ProduceSync(soon(), &kgo.Record{Value: record.Value}).FirstErr(), "produce")
			}
			got += len(records)
		}
		committed, err := session.End(soon(), end)
		world.Check(err, "end")
		world.Same("it ended as it was asked to", committed, end == kgo.TryCommit)
	}
	held := func() (sum int64) {
		world.Must(administrator.FetchOffsets(soon(), group)).Each(func(o kadm.OffsetResponse) { sum += o.At })
		return sum
	}
	round(kgo.TryAbort)
	world.That(held() <= 0, "no offset of an aborted transaction holds: %d", held())
	round(kgo.TryCommit)
	world.Until("the offsets of a committed transaction hold", func() bool { return held() >= 6 })
	world.Same("the copies", len(upToEnds(w, w.Name("txn-results"), kgo.ReadCommitted())), 6)
}

// upToEnds gives every text of a topic up to the ends of its partitions, sorted.
func upToEnds(w *world.World, topic string, level kgo.IsolationLevel) []string {
	admin := administrator(w)
	defer admin.Close()
	ends := map[int32]int64{}
	world.Must(admin.ListEndOffsets(soon(), topic)).Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			ends[o.Partition] = o.Offset
		}
	})
	cl := client(w, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(level), kgo.KeepControlRecords())
	defer cl.Close()
	got := []string{}
	for ctx := soon(); len(ends) > 0; {
		world.Check(context.Cause(ctx), "the ends of", topic)
		for _, record := range cl.PollFetches(ctx).Records() {
			if !record.Attrs.IsControl() {
				got = append(got, string(record.Value))
			}
			if record.Offset+1 >= ends[record.Partition] {
				delete(ends, record.Partition)
			}
		}
	}
	sort.Strings(got)
	return got
}
