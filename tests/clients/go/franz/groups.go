package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
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
		cl := client(w, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer cl.Close()
		for n := 0; ; n++ {
			text := fmt.Sprintf("%06d", n)
			produce(cl, &kgo.Record{Topic: topic, Partition: int32(n) % partitions, Value: []byte(text)})
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

// reads waits until the members together have read what was sent, everything and nothing else.
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

func group(w *world.World) { groupOf(w, "group", "cooperative-sticky", "Consumer") }

func groupOf(w *world.World, base, protocol, kind string, options ...kgo.Opt) {
	topic, group := topic(w, base, 6), w.Name(base)
	admin := administrator(w)
	defer admin.Close()
	feeder := feed(w, topic, 6)
	first := join(w, group, topic, options...)
	world.Until("one member owns all", func() bool { return share(6, first) })
	second := join(w, group, topic, options...)
	third := join(w, group, topic, options...)
	world.Until("three members share", func() bool {
		return first.count() == 2 && second.count() == 2 && third.count() == 2
	})
	if kind == "Consumer" {
		described := world.Must(admin.DescribeGroups(soon(), group))[group]
		world.Check(described.Err, "describe")
		world.Same("state", described.State, "Stable")
		world.Same("protocol", described.Protocol, protocol)
		world.Same("members", len(described.Members), 3)
		assigned := described.AssignedPartitions()
		world.Same("assigned", len(assigned[topic]), 6)
	} else {
		described := world.Must(admin.DescribeConsumerGroups(soon(), group))[group]
		world.Check(described.Err, "describe")
		world.Same("state", described.State, "Stable")
		world.Same("members", len(described.Members), 3)
		world.Same("assignor", described.AssignorName, protocol)
		world.Same("assigned", len(described.AssignedPartitions()[topic]), 6)
	}
	listed, known := world.Must(admin.ListGroups(soon()))[group]
	world.That(known && listed.State == "Stable" && listed.ProtocolType == "consumer", "listed: %+v", listed)
	second.leave()
	world.Until("two members share", func() bool { return share(6, first, third) })
	sent := feeder.end()
	reads(sent, first, second, third)
	first.leave()
	third.leave()
	committed := int64(0)
	for _, offset := range world.Must(admin.FetchOffsets(soon(), group))[topic] {
		committed += offset.At
	}
	world.Same("committed", committed, int64(len(sent)))
	world.Same("state", world.Must(admin.ListGroups(soon()))[group].State, "Empty")
	// Who comes later gets only what came later.
	values(w, topic, 3, "later")
	late := join(w, group, topic, options...)
	reads([]string{"later"}, late)
	late.leave()
}

func static(w *world.World) {
	topic, group := topic(w, "static", 4), w.Name("static")
	// The first is the leader: a leader that comes back computes an assignment of its own and asks for a rebalance where
	// that differs from the one the group has (KIP-814 has it look), so the one that comes back must not be it.
	a := join(w, group, topic, kgo.InstanceID("a"))
	world.Until("one member owns all", func() bool { return share(4, a) })
	b := join(w, group, topic, kgo.InstanceID("b"))
	world.Until("two members share", func() bool { return a.count() == 2 && b.count() == 2 })
	admin := administrator(w)
	defer admin.Close()
	instances := func() map[string]string {
		found := map[string]string{}
		described := world.Must(admin.DescribeGroups(soon(), group))[group]
		world.Same("state", described.State, "Stable")
		for _, m := range described.Members {
			world.That(m.InstanceID != nil, "an instance id of %s", m.MemberID)
			found[*m.InstanceID] = m.MemberID
		}
		return found
	}
	before := instances()
	_, generation := a.GroupMetadata()
	owned, changes := b.partitions(), a.changes
	b.leave()
	again := join(w, group, topic, kgo.InstanceID("b"))
	world.Until("the same partitions again", func() bool { return again.partitions() == owned })
	world.Same("a saw nothing", a.changes, changes)
	_, after := again.GroupMetadata()
	world.Same("generation", after, generation)
	now := instances()
	world.Same("a's member id", now["a"], before["a"])
	world.That(now["b"] != before["b"], "b has a new member id")
	values(w, topic, 0, "x")
	values(w, topic, 1, "y")
	values(w, topic, 2, "z")
	reads([]string{"x", "y", "z"}, a, again)
	world.Check(world.Must(admin.LeaveGroup(soon(), kadm.LeaveGroup(group).InstanceIDs("b"))).Error(), "remove b")
	world.Until("a owns all when b is removed", func() bool { return a.count() == 4 })
	a.leave()
	again.leave()
}

func cooperative(w *world.World) {
	topic, group := topic(w, "cooperative", 4), w.Name("cooperative")
	feeder := feed(w, topic, 4)
	balance := kgo.Balancers(kgo.CooperativeStickyBalancer())
	a := join(w, group, topic, balance)
	world.Until("one member owns all", func() bool { return share(4, a) })
	b := join(w, group, topic, balance)
	world.Until("two members share", func() bool { return a.count() == 2 && b.count() == 2 })
	world.Same("a gave up two and kept two", a.losses(), 2)
	world.Same("b gave up none", b.losses(), 0)
	b.leave()
	world.Until("a owns all again", func() bool { return a.count() == 4 })
	world.Same("a gave up nothing more", a.losses(), 2)
	reads(feeder.end(), a, b)
	a.leave()
	// The eager protocols too.
	for name, balancer := range map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer()} {
		m, n := join(w, group+name, topic, kgo.Balancers(balancer)), join(w, group+name, topic, kgo.Balancers(balancer))
		world.Until(name+" shares", func() bool { return m.count() == 2 && n.count() == 2 })
		m.leave()
		n.leave()
	}
}

func groupNext(w *world.World) {
	groupOf(w, "next", "uniform", "consumer", kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	groupOf(w, "next-range", "range", "consumer", kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	// A group of the old protocol goes over to the new one member by member, and back.
	topic, group := topic(w, "over", 4), w.Name("over")
	admin := administrator(w)
	defer admin.Close()
	kind := func() string { return world.Must(admin.ListGroups(soon()))[group].GroupType }
	feeder := feed(w, topic, 4)
	next := []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}
	old := join(w, group, topic)
	world.Until("the old one owns all", func() bool { return share(4, old) })
	world.Same("type", kind(), "classic")
	fresh := join(w, group, topic, next...)
	world.Until("old and new share", func() bool { return old.count() == 2 && fresh.count() == 2 })
	world.Same("type", kind(), "consumer")
	old.leave()
	world.Until("the new one owns all", func() bool { return share(4, fresh) })
	back := join(w, group, topic)
	world.Until("new and old share", func() bool { return back.count() == 2 && fresh.count() == 2 })
	fresh.leave()
	world.Until("the old one owns all again", func() bool { return share(4, back) })
	world.Same("type", kind(), "classic")
	reads(feeder.end(), old, fresh, back)
	back.leave()
}

func pauseSeek(w *world.World) {
	topic := topic(w, "paused", 2)
	values(w, topic, 0, world.Numbers(100)...)
	cl := client(w, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	world.Same("all of it", len(read(cl, 100)), 100)
	cl.PauseFetchPartitions(map[string][]int32{topic: {0}})
	values(w, topic, 0, "paused")
	values(w, topic, 1, "flows")
	for _, record := range read(cl, 1) {
		world.Same("only the other partition", string(record.Value), "flows")
	}
	cl.ResumeFetchPartitions(map[string][]int32{topic: {0}})
	world.Same("after the pause", texts(read(cl, 1)), []string{"paused"})
	cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 42}}})
	again := read(cl, 59)
	world.Same("from the middle", again[0].Offset, int64(42))
	world.Same("to the end", again[58].Offset, int64(100))
	cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 0}}})
	world.Same("from the start", read(cl, 101)[0].Offset, int64(0))
}
