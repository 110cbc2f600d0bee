package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"klog.test/clients/world"
)

// feeder produces numbered records to all partitions of a topic until it is stopped.
type feeder struct {
	sent []string
	stop chan struct{}
	wait sync.WaitGroup
}

func feed(w *world.World, topic string, partitions int32) *feeder {
	f := &feeder{stop: make(chan struct{})}
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		producer := world.Must(sarama.NewSyncProducer([]string{w.Plain}, config()))
		defer producer.Close()
		for n := 0; ; n++ {
			text := fmt.Sprintf("%06d", n)
			_, _, err := producer.SendMessage(message(topic, int32(n)%partitions, text))
			world.Check(err, "produce")
			f.sent = append(f.sent, text)
			select {
			case <-f.stop:
				return
			case <-time.After(2 * time.Millisecond):
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

func reads(sent []string, members ...*member) {
	var got []string
	world.Until("everything is read", func() bool {
		got = nil
		for _, m := range members {
			got = append(got, m.read()...)
		}
		return len(got) >= len(sent)
	})
	world.Same("everything once", world.Sorted(got), sent)
}

func group(w *world.World) {
	topic, group := topic(w, "group", 6), w.Name("group")
	admin := administrator(w)
	defer admin.Close()
	feeder := feed(w, topic, 6)
	first := join(w, group, topic)
	world.Until("one member owns all", func() bool { return share(6, first) })
	second := join(w, group, topic)
	third := join(w, group, topic)
	world.Until("three members share", func() bool {
		return first.count() == 2 && second.count() == 2 && third.count() == 2
	})
	described := world.Must(admin.DescribeConsumerGroups([]string{group}))[0]
	world.Same("error", described.Err, sarama.ErrNoError)
	world.Same("state", described.State, "Stable")
	world.Same("protocol", described.Protocol, "range")
	world.Same("members", len(described.Members), 3)
	for _, m := range described.Members {
		assignment := world.Must(m.GetMemberAssignment())
		world.Same("assigned", len(assignment.Topics[topic]), 2)
	}
	world.Same("listed", world.Must(admin.ListConsumerGroups())[group], "consumer")
	second.leave()
	world.Until("two members share", func() bool { return first.count() == 3 && third.count() == 3 })
	sent := feeder.end()
	reads(sent, first, second, third)
	first.leave()
	third.leave()
	committed := int64(0)
	for _, block := range world.Must(admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2, 3, 4, 5}})).Blocks[topic] {
		committed += block.Offset
	}
	world.Same("committed", committed, int64(len(sent)))
	world.Same("state", world.Must(admin.DescribeConsumerGroups([]string{group}))[0].State, "Empty")
	values(w, topic, 3, "later")
	late := join(w, group, topic)
	reads([]string{"later"}, late)
	late.leave()
}

func instance(id string) func(*sarama.Config) {
	return func(c *sarama.Config) { c.Consumer.Group.InstanceId = id }
}

func static(w *world.World) {
	topic, group := topic(w, "static", 4), w.Name("static")
	a, b := join(w, group, topic, instance("a")), join(w, group, topic, instance("b"))
	world.Until("two members share", func() bool { return a.count() == 2 && b.count() == 2 })
	admin := administrator(w)
	defer admin.Close()
	world.Until("the group is stable", func() bool { return world.Must(admin.DescribeConsumerGroups([]string{group}))[0].State == "Stable" })
	owned, sessions, epoch := b.partitions(), a.sessions, b.epoch
	b.leave()
	again := join(w, group, topic, instance("b"))
	world.Until("the same partitions again", func() bool { return again.partitions() == owned })
	world.Same("a saw nothing", a.sessions, sessions)
	world.Same("generation", again.epoch, epoch)
	world.That(again.id != b.id, "b has a new member id")
	described := world.Must(admin.DescribeConsumerGroups([]string{group}))[0]
	for _, m := range described.Members {
		world.That(m.GroupInstanceId != nil && (*m.GroupInstanceId == "a" || *m.GroupInstanceId == "b"), "instance ids: %+v", m)
	}
	for partition := int32(0); partition < 4; partition++ {
		values(w, topic, partition, fmt.Sprint(partition))
	}
	reads([]string{"0", "1", "2", "3"}, a, again)
	again.leave()
	removed := world.Must(admin.RemoveMemberFromConsumerGroup(group, []string{"b"}))
	world.Same("removed", removed.Err, sarama.ErrNoError)
	world.Until("a owns all when b is removed", func() bool { return a.count() == 4 })
	a.leave()
}

func balance(strategy func() sarama.BalanceStrategy) func(*sarama.Config) {
	return func(c *sarama.Config) {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
	}
}

func cooperative(w *world.World) {
	topic, group := topic(w, "cooperative", 4), w.Name("cooperative")
	feeder := feed(w, topic, 4)
	sticky := sarama.NewBalanceStrategyCooperativeSticky
	a := join(w, group, topic, balance(sticky))
	world.Until("one member owns all", func() bool { return share(4, a) })
	b := join(w, group, topic, balance(sticky))
	world.Until("two members share", func() bool { return a.count() == 2 && b.count() == 2 })
	world.Same("a gave up two and kept two", a.losses(), 2)
	world.Same("b gave up none", b.losses(), 0)
	b.leave()
	world.Until("a owns all again", func() bool { return a.count() == 4 })
	world.Same("a gave up nothing more", a.losses(), 2)
	reads(feeder.end(), a, b)
	a.leave()
	for _, strategy := range []func() sarama.BalanceStrategy{sarama.NewBalanceStrategyRange, sarama.NewBalanceStrategyRoundRobin, sarama.NewBalanceStrategySticky} {
		name := strategy().Name()
		m, n := join(w, group+name, topic, balance(strategy)), join(w, group+name, topic, balance(strategy))
		world.Until(name+" shares", func() bool { return m.count() == 2 && n.count() == 2 })
		m.leave()
		n.leave()
	}
}
