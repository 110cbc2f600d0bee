package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"klog.test/clients/world"
)

func codecs(w *world.World) {
	kinds := map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}
	sent := world.Numbers(300)
	for name, codec := range kinds {
		for _, acks := range []kafka.RequiredAcks{kafka.RequireNone, kafka.RequireOne, kafka.RequireAll} {
			topic := topic(w, fmt.Sprintf("codec-%s-%d", name, acks), 1)
			writer := plainly(w).writer(topic)
			writer.Compression, writer.RequiredAcks = codec, acks
			var messages []kafka.Message
			for _, text := range sent {
				messages = append(messages, kafka.Message{Key: []byte("k"), Value: []byte(text)})
			}
			write(writer, messages...)
			world.Check(writer.Close())
			world.Same(fmt.Sprint(name, " acks ", acks), texts(read(plainly(w), topic, 0, kafka.FirstOffset, len(sent))), sent)
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
	headers := []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "null"}, {Key: "all", Value: every}}
	sent := []kafka.Message{
		{Key: []byte("key"), Value: []byte("value"), Headers: headers, Time: when},
		{Value: []byte("no key"), Time: when.Add(time.Second)},
		{Key: []byte("tombstone"), Time: when.Add(-time.Hour)},
		{Key: []byte{}, Value: []byte{}, Time: when},
		{Key: every, Value: every, Time: when},
	}
	writer := plainly(w).writer(topic)
	defer writer.Close()
	for _, message := range sent {
		write(writer, message)
	}
	for i, got := range read(plainly(w), topic, 0, kafka.FirstOffset, len(sent)) {
		want := sent[i]
		what := fmt.Sprintf("record %d", i)
		world.Same(what+" offset", got.Offset, int64(i))
		// The reader gives null and empty alike.
		world.Same(what+" key", string(got.Key), string(want.Key))
		world.Same(what+" value", string(got.Value), string(want.Value))
		world.Same(what+" time", got.Time.UnixMilli(), want.Time.UnixMilli())
		world.Same(what+" headers", len(got.Headers), len(want.Headers))
		for h, header := range want.Headers {
			world.Same(what+" header", got.Headers[h].Key+"="+string(got.Headers[h].Value), header.Key+"="+string(header.Value))
		}
	}
	// Client.Fetch does tell null from empty.
	fetched := world.Must(plainly(w).client().Fetch(soon(), &kafka.FetchRequest{Topic: topic, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second}))
	world.Check(fetched.Error, "fetch")
	for i := range sent {
		record := world.Must(fetched.Records.ReadRecord())
		world.Same(fmt.Sprint("null key of ", i), record.Key == nil, sent[i].Key == nil)
		world.Same(fmt.Sprint("null value of ", i), record.Value == nil, sent[i].Value == nil)
	}
}

func large(w *world.World) {
	topic := topic(w, "large", 1)
	writer := plainly(w).writer(topic)
	defer writer.Close()
	first, second := world.Noise(1_000_000), world.Noise(1_000_000)
	write(writer, kafka.Message{Value: first})
	writer.MaxAttempts = 1
	err := writer.WriteMessages(soon(), kafka.Message{Value: world.Noise(2 << 20)})
	var failed kafka.WriteErrors
	if errors.As(err, &failed) {
		err = failed[0]
	}
	world.That(errors.Is(err, kafka.MessageSizeTooLarge), "2 MB are too large: %v", err)
	write(writer, kafka.Message{Value: second})
	got := read(plainly(w), topic, 0, kafka.FirstOffset, 2)
	world.That(string(got[0].Value) == string(first) && string(got[1].Value) == string(second), "1 MB records come back")
	roomy := roomyTopic(w)
	value := world.Noise(2 << 20)
	wide := plainly(w).writer(roomy)
	defer wide.Close()
	write(wide, kafka.Message{Value: value})
	world.That(string(read(plainly(w), roomy, 0, kafka.FirstOffset, 1)[0].Value) == string(value), "2 MB where the topic allows it")
}

func roomyTopic(w *world.World) string { return topic(w, "roomy", 1, "max.message.bytes", "3000000") }

func compaction(w *world.World) {
	topic := topic(w, "compacted", 1, "cleanup.policy", "compact", "segment.ms", "200", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
	writer := plainly(w).writer(topic)
	defer writer.Close()
	last := map[string]string{}
	for round := 0; round < 20; round++ {
		var batch []kafka.Message
		for key := 0; key < 20; key++ {
			name, value := fmt.Sprintf("key %d", key), fmt.Sprintf("value %d", round)
			batch = append(batch, kafka.Message{Key: []byte(name), Value: []byte(value)})
			last[name] = value
		}
		write(writer, batch...)
	}
	write(writer, kafka.Message{Key: []byte("key 0")})
	delete(last, "key 0")
	client := plainly(w).client()
	cleaned := false
	world.Until("one record a key is left", func() bool {
		// A record after segment.ms closes the segment before it: the open one is never cleaned. Once all but these
		// are cleaned, nothing more is written.
		time.Sleep(250 * time.Millisecond)
		if !cleaned {
			write(writer, kafka.Message{Key: []byte("filler"), Value: []byte("x")})
		}
		listed := world.Must(client.ListOffsets(soon(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.LastOffsetOf(0)}}}))
		end := listed.Topics[topic][0].LastOffset
		reader := plainly(w).reader(topic, 0)
		defer reader.Close()
		seen, count, fillers := map[string]string{}, 0, 0
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			message, err := reader.ReadMessage(ctx)
			cancel()
			world.Check(err, "read")
			if string(message.Key) == "filler" {
				fillers++
			} else {
				count++
				seen[string(message.Key)] = string(message.Value)
			}
			if message.Offset == end-1 {
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
