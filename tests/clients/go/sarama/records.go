package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"klog.test/clients/world"
)

func codecs(w *world.World) {
	kinds := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD}
	sent := world.Numbers(300)
	for _, codec := range kinds {
		for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
			topic := topic(w, fmt.Sprintf("codec-%s-%d", codec, acks), 1)
			c := config(func(c *sarama.Config) {
				c.Producer.Compression = codec
				c.Producer.RequiredAcks = acks
				c.Net.MaxOpenRequests = 1
			})
			producer := world.Must(sarama.NewSyncProducer([]string{w.Plain}, c))
			var messages []*sarama.ProducerMessage
			for _, text := range sent {
				messages = append(messages, message(topic, 0, text))
			}
			world.Check(producer.SendMessages(messages), "produce")
			producer.Close()
			world.Same(fmt.Sprintf("%s acks %d", codec, acks), texts(read(w.Plain, config(), topic, 0, 0, len(sent))), sent)
		}
	}
}

func records(w *world.World) {
	topic := topic(w, "records", 1, "retention.ms", "-1")
	when := time.UnixMilli(1700000000123)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	headers := []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("null"), Value: nil}, {Key: []byte("empty"), Value: []byte{}}, {Key: []byte("all"), Value: every}}
	sent := []*sarama.ProducerMessage{
		{Topic: topic, Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("value"), Headers: headers, Timestamp: when},
		{Topic: topic, Value: sarama.StringEncoder("no key"), Timestamp: when.Add(time.Second)},
		{Topic: topic, Key: sarama.StringEncoder("tombstone"), Timestamp: when.Add(-time.Hour)},
		{Topic: topic, Key: sarama.ByteEncoder{}, Value: sarama.ByteEncoder{}, Timestamp: when},
		{Topic: topic, Key: sarama.ByteEncoder(every), Value: sarama.ByteEncoder(every), Timestamp: when},
	}
	world.Check(produce(w.Plain, config(), sent...), "produce")
	bytes := func(e sarama.Encoder) []byte {
		if e == nil {
			return nil
		}
		return world.Must(e.Encode())
	}
	for i, got := range read(w.Plain, config(), topic, 0, 0, len(sent)) {
		what := fmt.Sprintf("record %d", i)
		world.Same(what+" offset", got.Offset, int64(i))
		world.Same(what+" key", got.Key, bytes(sent[i].Key))
		world.Same(what+" value", got.Value, bytes(sent[i].Value))
		world.Same(what+" time", got.Timestamp.UnixMilli(), sent[i].Timestamp.UnixMilli())
		world.Same(what+" headers", len(got.Headers), len(sent[i].Headers))
		for h, header := range sent[i].Headers {
			world.Same(what+" header", *got.Headers[h], header)
		}
	}
}

func large(w *world.World) {
	topic := topic(w, "large", 1)
	c := config(func(c *sarama.Config) { c.Producer.MaxMessageBytes = 4 << 20; c.Producer.Retry.Max = 0 })
	first, second := world.Noise(1_000_000), world.Noise(1_000_000)
	noise := func(topic string, bytes []byte) *sarama.ProducerMessage {
		return &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(bytes)}
	}
	world.Check(produce(w.Plain, c, noise(topic, first)), "1 MB")
	err := produce(w.Plain, c, noise(topic, world.Noise(2<<20)))
	world.That(errors.Is(err, sarama.ErrMessageSizeTooLarge), "2 MB are too large: %v", err)
	world.Check(produce(w.Plain, c, noise(topic, second)), "1 MB")
	got := read(w.Plain, config(), topic, 0, 0, 2)
	world.That(string(got[0].Value) == string(first) && string(got[1].Value) == string(second), "1 MB records come back")
	roomy := topicNamed(w, "roomy", "3000000")
	value := world.Noise(2 << 20)
	world.Check(produce(w.Plain, c, noise(roomy, value)), "2 MB where the topic allows it")
	world.That(string(read(w.Plain, config(), roomy, 0, 0, 1)[0].Value) == string(value), "2 MB come back")
}

func topicNamed(w *world.World, base, limit string) string {
	return topic(w, base, 1, "max.message.bytes", limit)
}

func idempotent(w *world.World) {
	topic := topic(w, "idempotent", 2)
	c := config(func(c *sarama.Config) {
		c.Producer.Idempotent = true
		c.Producer.RequiredAcks = sarama.WaitForAll
		c.Net.MaxOpenRequests = 1
		c.Producer.Flush.MaxMessages = 50
	})
	producer := world.Must(sarama.NewAsyncProducer([]string{w.Plain}, c))
	go func() {
		for _, text := range world.Numbers(3000) {
			for partition := int32(0); partition < 2; partition++ {
				producer.Input() <- message(topic, partition, text)
			}
		}
	}()
	late := time.After(world.Patience)
	for answered := 0; answered < 6000; answered++ {
		select {
		case <-producer.Successes():
		case err := <-producer.Errors():
			world.Check(err, "produce")
		case <-late:
			panic("not all were answered")
		}
	}
	world.Check(producer.Close(), "close")
	for partition := int32(0); partition < 2; partition++ {
		world.Same("each once and in order", texts(read(w.Plain, config(), topic, partition, 0, 3000)), world.Numbers(3000))
	}
	admin := administrator(w)
	defer admin.Close()
	broker := world.Must(admin.Controller())
	found := world.Must(broker.DescribeProducers(&sarama.DescribeProducersRequest{Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{0}}}}))
	world.That(len(found.Topics) == 1 && len(found.Topics[0].Partitions) == 1, "producers: %+v", found)
	active := found.Topics[0].Partitions[0].ActiveProducers
	world.That(len(active) == 1 && active[0].LastSequence == 2999, "the last sequence: %+v", active)
}

func deleteRecords(w *world.World) {
	topic := topic(w, "trimmed", 2)
	values(w, topic, 0, world.Numbers(100)...)
	values(w, topic, 1, "kept")
	admin := administrator(w)
	defer admin.Close()
	world.Check(admin.DeleteRecords(topic, map[int32]int64{0: 40}), "delete records")
	client := world.Must(sarama.NewClient([]string{w.Plain}, config()))
	defer client.Close()
	world.Same("start", world.Must(client.GetOffset(topic, 0, sarama.OffsetOldest)), int64(40))
	world.Same("the other's start", world.Must(client.GetOffset(topic, 1, sarama.OffsetOldest)), int64(0))
	world.Same("what is left", texts(read(w.Plain, config(), topic, 0, sarama.OffsetOldest, 60)), world.Numbers(100)[40:])
	world.That(admin.DeleteRecords(topic, map[int32]int64{0: 101}) != nil, "beyond the end")
	consumer := world.Must(sarama.NewConsumer([]string{w.Plain}, config()))
	defer consumer.Close()
	_, err := consumer.ConsumePartition(topic, 0, 3)
	world.That(errors.Is(err, sarama.ErrOffsetOutOfRange), "a deleted offset is out of range: %v", err)
	world.Check(admin.DeleteRecords(topic, map[int32]int64{0: -1}), "to the end")
	world.Same("start", world.Must(client.GetOffset(topic, 0, sarama.OffsetOldest)), int64(100))
}

func compaction(w *world.World) {
	topic := topic(w, "compacted", 1, "cleanup.policy", "compact", "segment.ms", "200", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
	keyed := func(key, value string) *sarama.ProducerMessage {
		m := message(topic, 0, value)
		m.Key = sarama.StringEncoder(key)
		return m
	}
	producer := world.Must(sarama.NewSyncProducer([]string{w.Plain}, config()))
	defer producer.Close()
	client := world.Must(sarama.NewClient([]string{w.Plain}, config()))
	defer client.Close()
	last := map[string]string{}
	for round := 0; round < 20; round++ {
		var batch []*sarama.ProducerMessage
		for key := 0; key < 20; key++ {
			name, value := fmt.Sprintf("key %d", key), fmt.Sprintf("value %d", round)
			batch = append(batch, keyed(name, value))
			last[name] = value
		}
		world.Check(producer.SendMessages(batch), "produce")
	}
	tombstone := keyed("key 0", "")
	tombstone.Value = nil
	world.Check(producer.SendMessages([]*sarama.ProducerMessage{tombstone}))
	delete(last, "key 0")
	cleaned := false
	world.Until("one record a key is left", func() bool {
		// A record after segment.ms closes the segment before it: the open one is never cleaned. Once all but these
		// are cleaned, nothing more is written.
		time.Sleep(250 * time.Millisecond)
		if !cleaned {
			_, _, err := producer.SendMessage(keyed("filler", "x"))
			world.Check(err)
		}
		end := world.Must(client.GetOffset(topic, 0, sarama.OffsetNewest)) - 1
		consumer := world.Must(sarama.NewConsumerFromClient(client))
		claim := world.Must(consumer.ConsumePartition(topic, 0, sarama.OffsetOldest))
		defer claim.Close()
		seen, count, fillers := map[string]string{}, 0, 0
		for {
			record := take(claim, 1)[0]
			if string(record.Key) == "filler" {
				fillers++
			} else {
				count++
				seen[string(record.Key)] = string(record.Value)
			}
			if record.Offset == end {
				break
			}
		}
		cleaned = count == len(last)
		if !cleaned || fillers > 2 {
			return false
		}
		world.Same("the last values", seen, last)
		return true
	})
}

func pauseSeek(w *world.World) {
	topic := topic(w, "paused", 2)
	values(w, topic, 0, world.Numbers(100)...)
	consumer := world.Must(sarama.NewConsumer([]string{w.Plain}, config()))
	defer consumer.Close()
	zero := world.Must(consumer.ConsumePartition(topic, 0, sarama.OffsetOldest))
	one := world.Must(consumer.ConsumePartition(topic, 1, sarama.OffsetOldest))
	defer one.Close()
	world.Same("all of it", texts(take(zero, 100)), world.Numbers(100))
	zero.Pause()
	world.That(zero.IsPaused(), "paused")
	values(w, topic, 1, "flows")
	take(one, 1)
	values(w, topic, 0, "paused")
	values(w, topic, 1, "flows too")
	world.Same("the other partition", texts(take(one, 1)), []string{"flows too"})
	zero.Resume()
	world.Same("after the pause", texts(take(zero, 1)), []string{"paused"})
	world.Check(zero.Close())
	again := world.Must(consumer.ConsumePartition(topic, 0, 42))
	world.Same("from the middle", take(again, 59)[0].Offset, int64(42))
	world.Check(again.Close())
	latest := world.Must(consumer.ConsumePartition(topic, 0, sarama.OffsetNewest))
	defer latest.Close()
	values(w, topic, 0, "newest")
	world.Same("from the end", texts(take(latest, 1)), []string{"newest"})
	// In a group, a paused claim gets nothing until it is resumed.
	m := join(w, w.Name("paused"), topic)
	world.Until("it owns both", func() bool { return m.count() == 2 })
	world.Until("it has read all", func() bool { return len(m.read()) == 104 })
	m.group.PauseAll()
	values(w, topic, 1, "while paused")
	ctx, end := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer end()
	<-ctx.Done()
	before := len(m.read())
	m.group.ResumeAll()
	world.Until("it goes on", func() bool { return len(m.read()) == 105 })
	// One fetch may have been under way when it was paused.
	world.That(before == 104 || before == 105, "%d records while paused", before)
	m.leave()
}
