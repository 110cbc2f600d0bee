package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"klog.test/clients/world"
)

func topics(w *world.World) {
	admin := administrator(w)
	defer admin.Close()
	retention, name := "1234567", w.Name("topics")
	made := world.Must(admin.CreateTopic(soon(), 3, 1, map[string]*string{"retention.ms": &retention}, name))
	world.Same("partitions", made.NumPartitions, int32(3))
	setting := made.Configs["retention.ms"]
	world.Same("a setting in the answer", setting.MaybeValue(), retention)
	_, err := admin.CreateTopic(soon(), 3, 1, nil, name)
	world.That(errors.Is(err, kerr.TopicAlreadyExists), "made twice: %v", err)
	for bad, want := range map[string]error{"no/slash": kerr.InvalidTopicException, w.Name("many"): kerr.InvalidReplicationFactor, w.Name("none"): kerr.InvalidPartitions, w.Name("odd"): kerr.InvalidConfig} {
		partitions, replicas, settings := int32(1), int16(1), map[string]*string{}
		switch want {
		case kerr.InvalidReplicationFactor:
			replicas = 3
		case kerr.InvalidPartitions:
			partitions = 0
		case kerr.InvalidConfig:
			settings["no.such.setting"] = &retention
		}
		_, err := admin.CreateTopic(soon(), partitions, replicas, settings, bad)
		world.That(errors.Is(err, want), "%s: %v, wanted %v", bad, err, want)
	}
	_, err = admin.ValidateCreateTopics(soon(), 1, 1, nil, w.Name("valid"))
	world.Check(err)
	detail := world.Must(admin.ListTopics(soon(), name))[name]
	world.Same("described", len(detail.Partitions), 3)
	world.Same("leader", detail.Partitions[0].Leader, detail.Partitions[0].Replicas[0])
	listed := world.Must(admin.ListTopics(soon()))
	world.That(listed.Has(name) && !listed.Has(w.Name("valid")), "listed")
	world.Check(world.Must(admin.UpdatePartitions(soon(), 5, name)).Error())
	world.Until("five partitions", func() bool { return len(world.Must(admin.ListTopics(soon(), name))[name].Partitions) == 5 })
	world.That(errors.Is(world.Must(admin.UpdatePartitions(soon(), 2, name)).Error(), kerr.InvalidPartitions), "fewer partitions")
	values(w, name, 4, "x")
	world.Must(admin.DeleteTopic(soon(), name))
	world.Until("it is gone", func() bool { return !world.Must(admin.ListTopics(soon())).Has(name) })
	_, err = admin.DeleteTopic(soon(), name)
	world.That(errors.Is(err, kerr.UnknownTopicOrPartition), "deleted twice: %v", err)
	world.Until("made again", func() bool {
		_, err := admin.CreateTopic(soon(), 1, 1, nil, name)
		return err == nil
	})
	var again kadm.TopicDetail
	world.Until("seen again", func() bool {
		again = world.Must(admin.ListTopics(soon(), name))[name]
		return again.Err == nil && len(again.Partitions) == 1
	})
	world.That(again.ID != detail.ID, "a new id")
	values(w, name, 0, "fresh")
	world.Same("only what is new", texts(whole(w, name, 1)), []string{"fresh"})
}

func configs(w *world.World) {
	admin := administrator(w)
	defer admin.Close()
	name := topic(w, "configs", 1, "retention.ms", "1000000")
	value := func(key string) (string, kmsg.ConfigSource) {
		found := world.Must(world.Must(admin.DescribeTopicConfigs(soon(), name)).On(name, nil))
		world.Check(found.Err)
		for _, config := range found.Configs {
			if config.Key == key {
				return config.MaybeValue(), config.Source
			}
		}
		panic("no setting " + key)
	}
	expect := func(key, want string, source kmsg.ConfigSource) {
		world.Until(key+" is "+want, func() bool {
			got, from := value(key)
			return got == want && from == source
		})
	}
	text := func(text string) *string { return &text }
	expect("retention.ms", "1000000", kmsg.ConfigSourceDynamicTopicConfig)
	expect("cleanup.policy", "delete", kmsg.ConfigSourceDefaultConfig)
	alter := func(changes ...kadm.AlterConfig) error {
		return world.Must(world.Must(admin.AlterTopicConfigs(soon(), changes, name)).On(name, nil)).Err
	}
	world.Check(alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.message.bytes", Value: text("2000")}, kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: text("compact")}, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}))
	expect("max.message.bytes", "2000", kmsg.ConfigSourceDynamicTopicConfig)
	expect("cleanup.policy", "delete,compact", kmsg.ConfigSourceDynamicTopicConfig)
	expect("retention.ms", "604800000", kmsg.ConfigSourceDefaultConfig)
	world.That(errors.Is(alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "no.such", Value: text("1")}), kerr.InvalidConfig), "an unknown name")
	world.That(errors.Is(alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: text("soon")}), kerr.InvalidConfig), "a bad value")
	cl := client(w)
	defer cl.Close()
	err := cl.ProduceSync(soon(), &kgo.Record{Topic: name, Key: []byte("k"), Value: world.Noise(3000)}).FirstErr()
	world.That(errors.Is(err, kerr.MessageTooLarge), "the setting holds at once: %v", err)
	// The whole state at once: what is not named goes back to its default.
	world.Check(world.Must(world.Must(admin.AlterTopicConfigsState(soon(), []kadm.AlterConfig{{Name: "segment.bytes", Value: text("2097152")}}, name)).On(name, nil)).Err)
	expect("segment.bytes", "2097152", kmsg.ConfigSourceDynamicTopicConfig)
	expect("max.message.bytes", "1048588", kmsg.ConfigSourceDefaultConfig)
	broker := world.Must(admin.ListBrokers(soon()))[0].NodeID
	described := world.Must(admin.DescribeBrokerConfigs(soon(), broker))
	world.Check(described[0].Err)
	seen := map[string]string{}
	for _, config := range described[0].Configs {
		seen[config.Key] = config.MaybeValue()
	}
	world.Same("the broker's id", seen["node.id"], fmt.Sprint(broker))
	world.That(seen["log.retention.ms"] == "" || seen["log.retention.ms"] == "604800000", "retention %q", seen["log.retention.ms"])
	err = world.Must(admin.DescribeTopicConfigs(soon(), w.Name("nowhere")))[0].Err
	world.That(errors.Is(err, kerr.UnknownTopicOrPartition), "settings of no topic: %v", err)
}

func offsets(w *world.World) {
	topic := topic(w, "offsets", 2, "retention.ms", "-1")
	cl := client(w, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for n := int64(0); n < 10; n++ {
		produce(cl, &kgo.Record{Topic: topic, Partition: 0, Value: []byte("x"), Timestamp: time.UnixMilli(1700000000000 + 1000*n)})
	}
	produce(cl, &kgo.Record{Topic: topic, Partition: 0, Value: []byte("early"), Timestamp: time.UnixMilli(1600000000000)})
	admin := administrator(w)
	defer admin.Close()
	at := func(what string, listed kadm.ListedOffsets, err error, zero, one int64) {
		world.Check(err, what)
		world.Check(listed.Error(), what)
		world.Same(what, []int64{listed[topic][0].Offset, listed[topic][1].Offset}, []int64{zero, one})
	}
	listed, err := admin.ListStartOffsets(soon(), topic)
	at("earliest", listed, err, 0, 0)
	listed, err = admin.ListEndOffsets(soon(), topic)
	at("latest", listed, err, 11, 0)
	listed, err = admin.ListCommittedOffsets(soon(), topic)
	at("last stable", listed, err, 11, 0)
	listed, err = admin.ListOffsetsAfterMilli(soon(), 1700000004500, topic)
	at("by time", listed, err, 5, 0)
	world.Same("its time", listed[topic][0].Timestamp, int64(1700000005000))
	listed, err = admin.ListOffsetsAfterMilli(soon(), 1900000000000, topic)
	at("a time nobody reached", listed, err, 11, 0)
	listed, err = admin.ListMaxTimestampOffsets(soon(), topic)
	at("max timestamp", listed, err, 9, -1)
	world.Same("its time", listed[topic][0].Timestamp, int64(1700000009000))
	listed, err = admin.ListLocalLogStartOffsets(soon(), topic)
	at("earliest local", listed, err, 0, 0)
	timed := client(w, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(1700000007000)))
	defer timed.Close()
	world.Same("read by time", read(timed, 4)[0].Offset, int64(7))
	group := w.Name("offsets")
	var commit kadm.Offsets
	commit.Add(kadm.Offset{Topic: topic, Partition: 0, At: 6, LeaderEpoch: -1, Metadata: "a note"})
	world.Check(admin.CommitAllOffsets(soon(), group, commit))
	fetched := world.Must(admin.FetchOffsets(soon(), group))
	world.Same("committed", fetched[topic][0].At, int64(6))
	world.Same("its note", fetched[topic][0].Metadata, "a note")
	resumed := client(w, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group))
	defer resumed.Close()
	world.Same("from the committed offset", read(resumed, 5)[0].Offset, int64(6))
	fetched = world.Must(admin.FetchOffsetsForTopics(soon(), group, topic))
	world.Same("nothing committed", fetched[topic][1].At, int64(-1))
	var epoch kadm.OffsetForLeaderEpochRequest
	epoch.Add(topic, 0, 0)
	ended := world.Must(admin.OffsetForLeaderEpoch(soon(), epoch))[topic][0]
	world.That(ended.Err == nil && ended.EndOffset == 11, "end of the epoch: %+v", ended)
}

func admin(w *world.World) {
	topic, group := topic(w, "admin", 2), w.Name("admin")
	values(w, topic, 0, "a", "b", "c")
	cl := client(w)
	defer cl.Close()
	admin := kadm.NewClient(cl)
	cluster := world.Must(admin.BrokerMetadata(soon()))
	world.That(cluster.Cluster != "" && len(cluster.Brokers) == 1 && cluster.Controller == cluster.Brokers[0].NodeID, "cluster: %+v", cluster)
	node := cluster.Controller
	described := world.Must(kmsg.NewPtrDescribeClusterRequest().RequestWith(soon(), cl))
	world.Same("the same cluster", *&described.ClusterID, cluster.Cluster)
	m := join(w, group, topic)
	reads([]string{"a", "b", "c"}, m)
	_, known := world.Must(admin.ListGroups(soon(), "Stable"))[group]
	world.That(known, "listed by state")
	_, known = world.Must(admin.ListGroups(soon(), "Dead"))[group]
	world.That(!known, "not dead")
	var zero kadm.TopicsSet
	zero.Add(topic, 0)
	world.That(errors.Is(world.Must(admin.DeleteOffsets(soon(), group, zero))[topic][0], kerr.GroupSubscribedToTopic), "offsets of a subscribed topic stay")
	_, err := admin.DeleteGroup(soon(), group)
	world.That(errors.Is(err, kerr.NonEmptyGroup), "a group with members stays: %v", err)
	m.leave()
	var commit kadm.Offsets
	commit.AddOffset(topic, 0, 1, -1)
	world.Check(admin.CommitAllOffsets(soon(), group, commit), "alter group offsets")
	lag := world.Must(admin.Lag(soon(), group))[group]
	world.Check(lag.Error())
	world.Same("lag", lag.Lag.Total(), int64(2))
	world.Check(world.Must(admin.DeleteOffsets(soon(), group, zero)).Error(), "delete group offsets")
	world.That(world.Must(admin.FetchOffsets(soon(), group))[topic][0].At <= 0, "the offset is gone")
	world.Must(admin.DeleteGroup(soon(), group))
	_, err = admin.DeleteGroup(soon(), group)
	world.That(errors.Is(err, kerr.GroupIDNotFound), "deleted twice: %v", err)

	// Rules and users are the secured broker's.
	secure := kadm.NewClient(world.Must(kgo.NewClient(kgo.SeedBrokers(w.SASL), auth("PLAIN", w.User, w.Password))))
	defer secure.Close()
	acls(w, secure)
	scrams(w, secure)

	dirs := world.Must(admin.DescribeAllLogDirs(soon(), nil))[node]
	world.Same("log folders", len(dirs), 1)
	for _, dir := range dirs {
		held, known := dir.Topics.Lookup(topic, 0)
		world.That(dir.Err == nil && known && held.Size > 0 && dir.TotalBytes > dir.UsableBytes, "log folder: %+v", held)
	}
	world.Same("reassignments", len(world.Must(admin.ListPartitionReassignments(soon(), nil))), 0)
	var move kadm.AlterPartitionAssignmentsReq
	move.Assign(topic, 0, []int32{node})
	world.Check(world.Must(admin.AlterPartitionAssignments(soon(), move)).Error(), "reassign to where it is")
	var away kadm.AlterPartitionAssignmentsReq
	away.Assign(topic, 0, []int32{node + 70})
	err = world.Must(admin.AlterPartitionAssignments(soon(), away)).Error()
	world.That(errors.Is(err, kerr.InvalidReplicaAssignment), "reassign to nobody: %v", err)
	elected := world.Must(admin.ElectLeaders(soon(), kadm.ElectPreferredReplica, zero))[topic][0]
	world.That(errors.Is(elected.Err, kerr.ElectionNotNeeded), "elect: %v", elected.Err)

	versions := world.Must(admin.ApiVersions(soon()))[node]
	world.Check(versions.Err)
	finalized := map[string]int16{}
	for _, feature := range versions.Raw().FinalizedFeatures {
		finalized[feature.Name] = feature.MaxVersionLevel
	}
	world.That(finalized["metadata.version"] > 0 && finalized["group.version"] == 1, "features: %v", finalized)
	for _, update := range world.Must(admin.UpdateFeatures(soon(), true, kadm.FeatureUpdate{Feature: "no.such", MaxVersionLevel: 1, UpgradeType: 1})) {
		world.That(update.Err != nil, "an unknown feature")
	}
	quorum := kmsg.NewPtrDescribeQuorumRequest()
	part := kmsg.NewDescribeQuorumRequestTopicPartition()
	quorum.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{part}}}
	voted := world.Must(quorum.RequestWith(soon(), cl)).Topics[0].Partitions[0]
	world.Check(kerr.ErrorForCode(voted.ErrorCode), "quorum")
	world.That(voted.LeaderID == node && len(voted.CurrentVoters) == 1, "a quorum of one: %+v", voted)
	resources := world.Must(admin.ListConfigResources(soon()))
	world.That(resources.Err == nil && len(resources.Resources) > 0, "config resources: %+v", resources)
}

func acls(w *world.World, admin *kadm.Client) {
	ruled := w.Name("ruled")
	rules := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Topics(ruled).ResourcePatternType(kadm.ACLPatternPrefixed).Allow("User:bob").AllowHosts("10.0.0.1").Operations(kadm.OpRead, kadm.OpWrite)
	}
	for _, made := range world.Must(admin.CreateACLs(soon(), rules())) {
		world.Check(made.Err, "create a rule")
	}
	found := func() int {
		count := 0
		for _, described := range world.Must(admin.DescribeACLs(soon(), rules())) {
			world.Check(described.Err)
			count += len(described.Described)
		}
		return count
	}
	world.Until("two rules", func() bool { return found() == 2 })
	deleted := 0
	for _, gone := range world.Must(admin.DeleteACLs(soon(), rules())) {
		world.Check(gone.Err)
		deleted += len(gone.Deleted)
	}
	world.Same("deleted rules", deleted, 2)
	world.Until("no rules", func() bool { return found() == 0 })
}

func scrams(w *world.World, admin *kadm.Client) {
	user := w.Name("user")
	world.Check(world.Must(admin.AlterUserSCRAMs(soon(), nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "one"}})).Error(), "make a user")
	world.Until("the user is there", func() bool {
		found := world.Must(admin.DescribeUserSCRAMs(soon(), user))[user]
		return found.Err == nil && len(found.CredInfos) == 1 && found.CredInfos[0].Iterations == 4096
	})
	try := func(password string) error { return secured(w.SASL, auth("SCRAM-SHA-256", user, password)) }
	world.Until("the user comes in", func() bool { return try("one") == nil })
	world.That(errors.Is(try("two"), kerr.SaslAuthenticationFailed), "with no other password")
	world.Check(world.Must(admin.AlterUserSCRAMs(soon(), []kadm.DeleteSCRAM{{User: user, Mechanism: kadm.ScramSha256}}, nil)).Error(), "delete a user")
	world.Until("the user stays out", func() bool { return errors.Is(try("one"), kerr.SaslAuthenticationFailed) })
	found := world.Must(admin.DescribeUserSCRAMs(soon(), user))[user]
	world.That(errors.Is(found.Err, kerr.ResourceNotFound), "the user is gone: %v", found.Err)
}

func auth(mechanism, user, password string) kgo.Opt {
	var how sasl.Mechanism
	switch mechanism {
	case "PLAIN":
		how = plain.Auth{User: user, Pass: password}.AsMechanism()
	case "SCRAM-SHA-256":
		how = scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	default:
		how = scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	}
	return kgo.SASL(how)
}

// secured says what the first request to a listener comes to.
func secured(address string, options ...kgo.Opt) error {
	cl := world.Must(kgo.NewClient(append(options, kgo.SeedBrokers(address), kgo.RequestRetries(0), kgo.RetryTimeout(5*time.Second))...))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return cl.Ping(ctx)
}

// carries makes a topic, sends records and reads them back, all through one listener.
func carries(address, topic string, options ...kgo.Opt) {
	sent := world.Numbers(200)
	options = append(options, kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	cl := world.Must(kgo.NewClient(options...))
	defer cl.Close()
	world.Must(kadm.NewClient(cl).CreateTopic(soon(), 1, 1, nil, topic))
	var records []*kgo.Record
	for _, text := range sent {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(text)})
	}
	produce(cl, records...)
	world.Same(topic, texts(read(cl, len(sent))), sent)
}

func saslMechanisms(w *world.World) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		carries(w.SASL, w.Name("sasl-"+mechanism), auth(mechanism, w.User, w.Password))
		err := secured(w.SASL, auth(mechanism, w.User, "wrong"))
		world.That(errors.Is(err, kerr.SaslAuthenticationFailed), "%s with a wrong password: %v", mechanism, err)
		err = secured(w.SASL, auth(mechanism, "nobody", w.Password))
		world.That(errors.Is(err, kerr.SaslAuthenticationFailed), "%s with a wrong user: %v", mechanism, err)
	}
	world.That(secured(w.SASL) != nil, "nobody comes in without")
}

func tlsListeners(w *world.World) {
	carries(w.TLS, w.Name("tls"), kgo.DialTLSConfig(w.TLSConfig(false)))
	carries(w.TLS, w.Certified(), kgo.DialTLSConfig(w.TLSConfig(true)))
	carries(w.SASLTLS, w.Name("tls-sasl"), kgo.DialTLSConfig(w.TLSConfig(false)), auth("SCRAM-SHA-512", w.User, w.Password))
	nobody := world.Must(kgo.NewClient(kgo.SeedBrokers(w.TLS), kgo.DialTLSConfig(w.TLSConfig(false)), kgo.UnknownTopicRetries(0)))
	defer nobody.Close()
	err := nobody.ProduceSync(soon(), &kgo.Record{Topic: w.Certified(), Value: []byte("x")}).FirstErr()
	world.That(errors.Is(err, kerr.TopicAuthorizationFailed), "without a certificate: %v", err)
	err = secured(w.SASLTLS, kgo.DialTLSConfig(w.TLSConfig(false)), auth("PLAIN", w.User, "wrong"))
	world.That(errors.Is(err, kerr.SaslAuthenticationFailed), "a wrong password: %v", err)
	world.That(secured(w.TLS, kgo.DialTLSConfig(w.WrongTLSConfig())) != nil, "an unknown authority is refused")
	world.That(secured(w.TLS) != nil, "no plain text on a TLS listener")
}
