package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"klog.test/clients/world"
)

func codecs(w *world.World) {
	kinds := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	sent := world.Numbers(500)
	for name, codec := range kinds {
		for level, required := range acks {
			topic := topic(w, "codec-"+name+"-"+level, 1)
			cl := client(w, kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(required), kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
			var records []*kgo.Record
			for _, text := range sent {
				records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(text)})
			}
			produce(cl, records...)
			cl.Close()
			world.Same(name+" acks "+level, texts(whole(w, topic, len(sent))), sent)
		}
	}
}

func records(w *world.World) {
	topic := topic(w, "records", 1, "retention.ms", "-1")
	cl := client(w)
	defer cl.Close()
	when := time.UnixMilli(1700000000123)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "null"}, {Key: "empty", Value: []byte{}}, {Key: "", Value: every}}
	sent := []*kgo.Record{
		{Topic: topic, Key: []byte("key"), Value: []byte("value"), Headers: headers, Timestamp: when},
		{Topic: topic, Key: nil, Value: []byte("no key"), Timestamp: when.Add(time.Second)},
		{Topic: topic, Key: []byte("tombstone"), Value: nil, Timestamp: when.Add(-time.Hour)},
		{Topic: topic, Key: []byte{}, Value: []byte{}, Timestamp: when},
		{Topic: topic, Key: every, Value: every, Timestamp: when},
	}
	for _, record := range sent {
		produce(cl, record)
	}
	for i, got := range whole(w, topic, len(sent)) {
		want := sent[i]
		what := fmt.Sprintf("record %d", i)
		world.Same(what+" offset", got.Offset, int64(i))
		world.Same(what+" key", got.Key, want.Key)
		world.Same(what+" value", got.Value, want.Value)
		world.Same(what+" time", got.Timestamp.UnixMilli(), want.Timestamp.UnixMilli())
		world.Same(what+" headers", len(got.Headers), len(want.Headers))
		for h := range want.Headers {
			world.Same(what+" header", got.Headers[h], want.Headers[h])
		}
	}
}

func large(w *world.World) {
	topic := topic(w, "large", 1)
	cl := client(w, kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer cl.Close()
	first, second := world.Noise(1_000_000), world.Noise(1_000_000)
	produce(cl, &kgo.Record{Topic: topic, Value: first})
	err := cl.ProduceSync(soon(), &kgo.Record{Topic: topic, Value: world.Noise(2 << 20)}).FirstErr()
	world.That(errors.Is(err, kerr.MessageTooLarge), "2 MB are too large: %v", err)
	produce(cl, &kgo.Record{Topic: topic, Value: second})
	got := whole(w, topic, 2)
	world.That(string(got[0].Value) == string(first) && string(got[1].Value) == string(second), "1 MB records come back")

	roomy := w.Name("roomy")
	limit := "3000000"
	admin := kadm.NewClient(client(w))
	defer admin.Close()
	world.Must(admin.CreateTopic(soon(), 1, 1, map[string]*string{"max.message.bytes": &limit}, roomy))
	value := world.Noise(2 << 20)
	produce(cl, &kgo.Record{Topic: roomy, Value: value})
	world.That(string(whole(w, roomy, 1)[0].Value) == string(value), "2 MB where the topic allows it")
}

func idempotent(w *world.World) {
	topic := topic(w, "idempotent", 2)
	cl := client(w, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(2000), kgo.MaxBufferedRecords(500))
	var group sync.WaitGroup
	for partition := int32(0); partition < 2; partition++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for _, text := range world.Numbers(3000) {
				cl.Produce(soon(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(text)}, func(_ *kgo.Record, err error) { world.Check(err) })
			}
		}()
	}
	group.Wait()
	world.Check(cl.Flush(soon()))
	id, epoch, err := cl.ProducerID(soon())
	world.Check(err, "producer id")
	found := map[int32][]string{}
	for _, record := range whole(w, topic, 6000) {
		found[record.Partition] = append(found[record.Partition], string(record.Value))
		world.Same("producer id", record.ProducerID, id)
		world.Same("producer epoch", record.ProducerEpoch, epoch)
	}
	world.Same("each once and in order, 0", found[0], world.Numbers(3000))
	world.Same("each once and in order, 1", found[1], world.Numbers(3000))
	cl.Close()
	admin := administrator(w)
	defer admin.Close()
	var set kadm.TopicsSet
	set.Add(topic, 0, 1)
	for _, partition := range world.Must(admin.DescribeProducers(soon(), set))[topic].Partitions {
		world.Check(partition.Err)
		producer := partition.ActiveProducers[id]
		world.Same("its last sequence", producer.LastSequence, int32(2999))
		world.Same("its epoch", producer.ProducerEpoch, epoch)
	}
}

func deleteRecords(w *world.World) {
	topic := topic(w, "trimmed", 2)
	values(w, topic, 0, world.Numbers(100)...)
	values(w, topic, 1, "kept")
	admin := administrator(w)
	defer admin.Close()
	var to kadm.Offsets
	to.AddOffset(topic, 0, 40, -1)
	gone := world.Must(admin.DeleteRecords(soon(), to))
	world.Check(gone.Error())
	world.Same("low watermark", gone[topic][0].LowWatermark, int64(40))
	world.Same("start", world.Must(admin.ListStartOffsets(soon(), topic))[topic][0].Offset, int64(40))
	got := whole(w, topic, 61)
	world.That(len(got) == 61, "what is left")
	for _, record := range got {
		world.That(record.Partition == 1 || record.Offset >= 40, "offset %d is gone", record.Offset)
	}
	var beyond kadm.Offsets
	beyond.AddOffset(topic, 0, 101, -1)
	world.That(errors.Is(world.Must(admin.DeleteRecords(soon(), beyond)).Error(), kerr.OffsetOutOfRange), "beyond the end")
	cl := client(w, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(3)}}), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	defer cl.Close()
	err := cl.PollFetches(soon()).Err()
	world.That(errors.Is(err, kerr.OffsetOutOfRange), "a deleted offset is out of range: %v", err)
	var everything kadm.Offsets
	everything.AddOffset(topic, 0, -1, -1)
	world.Same("to the end", world.Must(admin.DeleteRecords(soon(), everything))[topic][0].LowWatermark, int64(100))
}

func compaction(w *world.World) {
	topic := topic(w, "compacted", 1, "cleanup.policy", "compact", "segment.ms", "200", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0", "min.compaction.lag.ms", "0")
	cl := client(w)
	defer cl.Close()
	last := map[string]string{}
	for round := 0; round < 20; round++ {
		var batch []*kgo.Record
		for key := 0; key < 20; key++ {
			name, value := fmt.Sprintf("key %d", key), fmt.Sprintf("value %d", round)
			batch = append(batch, &kgo.Record{Topic: topic, Key: []byte(name), Value: []byte(value)})
			last[name] = value
		}
		produce(cl, batch...)
	}
	produce(cl, &kgo.Record{Topic: topic, Key: []byte("key 0"), Value: nil})
	delete(last, "key 0")
	admin := administrator(w)
	defer admin.Close()
	cleaned := false
	world.Until("one record a key is left", func() bool {
		// A record after segment.ms closes the segment before it: the open one is never cleaned. Once all but these
		// are cleaned, nothing more is written.
		time.Sleep(250 * time.Millisecond)
		if !cleaned {
			produce(cl, &kgo.Record{Topic: topic, Key: []byte("filler"), Value: []byte("x")})
		}
		end := world.Must(admin.ListEndOffsets(soon(), topic))[topic][0].Offset
		reader := client(w, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
		defer reader.Close()
		seen, count, fillers := map[string]string{}, 0, 0
		for done := false; !done; {
			for _, record := range read(reader, 1) {
				done = done || record.Offset == end-1
				if string(record.Key) == "filler" {
					fillers++
					continue
				}
				count++
				if record.Value != nil {
					seen[string(record.Key)] = string(record.Value)
				}
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
