package main

import (
	"errors"
	"fmt"
	"sort"

	"github.com/IBM/sarama"
	"klog.test/clients/world"
)

// transactions sees commits, aborts, offsets that go with them, and a producer that another shuts out.
func transactions(w *world.World) {
	topic, group := topic(w, "txn", 2), w.Name("txn-group")
	producer := func() sarama.SyncProducer {
		return world.Must(sarama.NewSyncProducer([]string{w.Plain}, config(func(c *sarama.Config) {
			c.Producer.Transaction.ID = w.Name("txn-id")
			c.Producer.Idempotent = true
			c.Producer.RequiredAcks = sarama.WaitForAll
			c.Net.MaxOpenRequests = 1
		})))
	}
	send := func(p sarama.SyncProducer, word string, from int) {
		for i := from; i < from+2; i++ {
			_, _, err := p.SendMessage(message(topic, int32(i%2), fmt.Sprintf("%s %d", word, i)))
			world.Check(err, "send")
		}
	}
	run := func(p sarama.SyncProducer, word string, from int, offset int64, end func() error) {
		world.Check(p.BeginTxn(), "begin")
		send(p, word, from)
		place := &sarama.PartitionOffsetMetadata{Partition: 0, Offset: offset}
		world.Check(p.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {place}}, group), "offsets")
		world.Check(end(), "end")
	}
	admin := administrator(w)
	defer admin.Close()
	held := func() int64 {
		found := world.Must(admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}}))
		return found.GetBlock(topic, 0).Offset
	}
	first := producer()
	run(first, "kept", 1, 1, first.CommitTxn)
	run(first, "dropped", 1, 2, first.AbortTxn)
	world.Until("the group's offset", func() bool { return held() == 1 })
	run(first, "kept", 3, 3, first.CommitTxn)
	world.Check(first.BeginTxn())
	send(first, "torn", 1)
	second := producer()
	err := first.CommitTxn()
	shut := errors.Is(err, sarama.ErrInvalidProducerEpoch) || errors.Is(err, sarama.ErrProducerFenced)
	world.That(shut, "a producer is shut out by the next of its id: %v", err)
	run(second, "kept", 5, 4, second.CommitTxn)
	world.Check(second.Close())
	world.Until("the group's offset at the end", func() bool { return held() == 4 })

	committed := []string{"kept 1", "kept 2", "kept 3", "kept 4", "kept 5", "kept 6"}
	everything := append(append([]string{"dropped 1", "dropped 2"}, committed...), "torn 1", "torn 2")
	world.Same("who reads committed", each(w, topic, sarama.ReadCommitted, 3), committed)
	world.Same("who reads all", each(w, topic, sarama.ReadUncommitted, 5), everything)
}

// each reads the first n records of each of the two partitions: the last one wanted is the last that was sent.
func each(w *world.World, topic string, level sarama.IsolationLevel, n int) []string {
	reading := config(func(c *sarama.Config) { c.Consumer.IsolationLevel = level })
	got := []string{}
	for partition := int32(0); partition < 2; partition++ {
		got = append(got, texts(read(w.Plain, reading, topic, partition, 0, n))...)
	}
	sort.Strings(got)
	return got
}
