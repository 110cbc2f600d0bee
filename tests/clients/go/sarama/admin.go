package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
	"klog.test/clients/world"
)

func topics(w *world.World) {
	admin := administrator(w)
	defer admin.Close()
	retention, name := "1234567", w.Name("topics")
	detail := &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}
	world.Check(admin.CreateTopic(name, detail, true), "validate only")
	world.Check(admin.CreateTopic(name, detail, false), "create")
	world.That(errors.Is(admin.CreateTopic(name, detail, false), sarama.ErrTopicAlreadyExists), "made twice")
	world.That(errors.Is(admin.CreateTopic("no/slash", detail, false), sarama.ErrInvalidTopic), "a bad name")
	world.That(errors.Is(admin.CreateTopic(w.Name("many"), &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}, false), sarama.ErrInvalidReplicationFactor), "three replicas")
	world.That(errors.Is(admin.CreateTopic(w.Name("odd"), &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"no.such": &retention}}, false), sarama.ErrInvalidConfig), "a bad setting")
	described := world.Must(admin.DescribeTopics([]string{name, w.Name("nowhere")}))
	world.Same("error", described[0].Err, sarama.ErrNoError)
	world.Same("partitions", len(described[0].Partitions), 3)
	world.Same("no such topic", described[1].Err, sarama.ErrUnknownTopicOrPartition)
	listed := world.Must(admin.ListTopics())
	world.Same("listed", listed[name].NumPartitions, int32(3))
	world.Same("with its setting", *listed[name].ConfigEntries["retention.ms"], retention)
	assigned := w.Name("assigned")
	world.Check(admin.CreateTopic(assigned, &sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: map[int32][]int32{0: {1}, 1: {1}}}, false), "create with an assignment")
	world.Check(admin.CreatePartitions(name, 5, nil, false), "more partitions")
	world.Until("five partitions", func() bool { return len(world.Must(admin.DescribeTopics([]string{name}))[0].Partitions) == 5 })
	world.That(errors.Is(admin.CreatePartitions(name, 2, nil, false), sarama.ErrInvalidPartitions), "fewer partitions")
	values(w, name, 4, "x")
	world.Check(admin.DeleteTopic(name), "delete")
	world.That(errors.Is(admin.DeleteTopic(name), sarama.ErrUnknownTopicOrPartition), "deleted twice")
	world.Until("it is gone", func() bool { _, there := world.Must(admin.ListTopics())[name]; return !there })
	world.Until("made again", func() bool {
		return admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false) == nil
	})
	world.Until("seen again", func() bool { return world.Must(admin.DescribeTopics([]string{name}))[0].Err == sarama.ErrNoError })
	again := world.Must(admin.DescribeTopics([]string{name}))[0]
	world.That(again.Uuid != described[0].Uuid, "a new id")
	values(w, name, 0, "fresh")
	world.Same("only what is new", texts(read(w.Plain, config(), name, 0, sarama.OffsetOldest, 1)), []string{"fresh"})
}

func configs(w *world.World) {
	admin := administrator(w)
	defer admin.Close()
	name := topic(w, "configs", 1, "retention.ms", "1000000")
	expect := func(key, want string, source sarama.ConfigSource) {
		world.Until(key+" is "+want, func() bool {
			for _, entry := range world.Must(admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: name, ConfigNames: []string{key}})) {
				if entry.Name == key {
					return entry.Value == want && entry.Source == source
				}
			}
			return false
		})
	}
	expect("retention.ms", "1000000", sarama.SourceTopic)
	expect("cleanup.policy", "delete", sarama.SourceDefault)
	text := func(text string) *string { return &text }
	alter := func(key string, entry sarama.IncrementalAlterConfigsEntry) error {
		return admin.IncrementalAlterConfig(sarama.TopicResource, name, map[string]sarama.IncrementalAlterConfigsEntry{key: entry}, false)
	}
	world.Check(alter("max.message.bytes", sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: text("2000")}))
	world.Check(alter("cleanup.policy", sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationAppend, Value: text("compact")}))
	world.Check(alter("retention.ms", sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}))
	expect("max.message.bytes", "2000", sarama.SourceTopic)
	expect("cleanup.policy", "delete,compact", sarama.SourceTopic)
	expect("retention.ms", "604800000", sarama.SourceDefault)
	world.That(errors.Is(alter("no.such", sarama.IncrementalAlterConfigsEntry{Value: text("1")}), sarama.ErrInvalidConfig), "an unknown name")
	world.That(errors.Is(alter("retention.ms", sarama.IncrementalAlterConfigsEntry{Value: text("soon")}), sarama.ErrInvalidConfig), "a bad value")
	large := message(name, 0, string(world.Noise(3000)))
	large.Key = sarama.StringEncoder("k")
	err := produce(w.Plain, config(), large)
	world.That(errors.Is(err, sarama.ErrMessageSizeTooLarge), "the setting holds at once: %v", err)
	world.Check(admin.AlterConfig(sarama.TopicResource, name, map[string]*string{"segment.bytes": text("2097152")}, false), "the whole state")
	expect("segment.bytes", "2097152", sarama.SourceTopic)
	expect("max.message.bytes", "1048588", sarama.SourceDefault)
	_, controller, err := admin.DescribeCluster()
	world.Check(err, "describe the cluster")
	seen := ""
	for _, entry := range world.Must(admin.DescribeConfig(sarama.ConfigResource{Type: sarama.BrokerResource, Name: fmt.Sprint(controller)})) {
		if entry.Name == "node.id" {
			seen = entry.Value
		}
	}
	world.Same("the broker's id", seen, fmt.Sprint(controller))
}

func offsets(w *world.World) {
	topic, group := topic(w, "offsets", 2, "retention.ms", "-1"), w.Name("offsets")
	for n := int64(0); n < 10; n++ {
		m := message(topic, 0, "x")
		m.Timestamp = time.UnixMilli(1700000000000 + 1000*n)
		world.Check(produce(w.Plain, config(), m))
	}
	admin := administrator(w)
	defer admin.Close()
	at := func(what string, when, zero, one int64) *sarama.OffsetResult {
		listed := world.Must(admin.ListOffsets(map[string]map[int32]int64{topic: {0: when, 1: when}}, nil))[topic]
		world.Same(what, []error{listed[0].Err, listed[1].Err}, []error{sarama.ErrNoError, sarama.ErrNoError})
		world.Same(what, []int64{listed[0].Offset, listed[1].Offset}, []int64{zero, one})
		return listed[0]
	}
	at("earliest", sarama.OffsetOldest, 0, 0)
	at("latest", sarama.OffsetNewest, 10, 0)
	world.Same("its time", at("by time", 1700000004500, 5, -1).Timestamp, int64(1700000005000))
	at("a time nobody reached", 1900000000000, -1, -1)
	committed := world.Must(admin.ListOffsets(map[string]map[int32]int64{topic: {0: sarama.OffsetNewest}}, &sarama.ListOffsetsOptions{IsolationLevel: sarama.ReadCommitted}))[topic][0]
	world.Same("last stable", committed.Offset, int64(10))
	altered := world.Must(admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: 6, Metadata: "a note", LeaderEpoch: -1}}}, nil))
	world.Same("committed", altered.Errors[topic][0], sarama.ErrNoError)
	fetched := world.Must(admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}})).Blocks[topic]
	world.Same("committed", []int64{fetched[0].Offset, fetched[1].Offset}, []int64{6, -1})
	world.Same("its note", fetched[0].Metadata, "a note")
	client := world.Must(sarama.NewClient([]string{w.Plain}, config()))
	defer client.Close()
	manager := world.Must(sarama.NewOffsetManagerFromClient(group, client))
	managed := world.Must(manager.ManagePartition(topic, 0))
	next, note := managed.NextOffset()
	world.Same("next", next, int64(6))
	world.Same("its note", note, "a note")
	managed.MarkOffset(8, "another")
	manager.Commit()
	world.Check(managed.Close())
	world.Check(manager.Close())
	m := join(w, group, topic)
	world.Until("two are read", func() bool { return len(m.read()) == 2 })
	m.leave()
	whole := world.Must(admin.ListConsumerGroupOffsets(group, nil)).Blocks[topic]
	world.Same("all offsets", whole[0].Offset, int64(10))
}

func admin(w *world.World) {
	topic, group := topic(w, "admin", 2), w.Name("admin")
	values(w, topic, 0, "a", "b", "c")
	admin := administrator(w)
	defer admin.Close()
	brokers, controller, err := admin.DescribeCluster()
	world.Check(err, "describe the cluster")
	world.That(len(brokers) == 1 && brokers[0].ID() == controller, "a cluster of one")
	m := join(w, group, topic)
	reads([]string{"a", "b", "c"}, m)
	world.That(errors.Is(admin.DeleteConsumerGroup(group), sarama.ErrNonEmptyGroup), "a group with members stays")
	world.That(errors.Is(admin.DeleteConsumerGroupOffset(group, topic, 0), sarama.ErrGroupSubscribedToTopic), "offsets of a subscribed topic stay")
	m.leave()
	world.Check(admin.DeleteConsumerGroupOffset(group, topic, 0), "delete group offsets")
	fetched := world.Must(admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}}))
	world.Same("the offset is gone", fetched.Blocks[topic][0].Offset, int64(-1))
	world.Check(admin.DeleteConsumerGroup(group), "delete the group")
	world.That(errors.Is(admin.DeleteConsumerGroup(group), sarama.ErrGroupIDNotFound), "deleted twice")
	_, there := world.Must(admin.ListConsumerGroups())[group]
	world.That(!there, "the group is gone")

	// Rules and users are the secured broker's.
	secure := world.Must(sarama.NewClusterAdmin([]string{w.SASL}, config(auth(sarama.SASLTypePlaintext, w.User, w.Password))))
	defer secure.Close()
	acls(w, secure)
	scrams(w, secure)

	dirs := world.Must(admin.DescribeLogDirs([]int32{controller}))[controller]
	held := int64(0)
	for _, one := range dirs[0].Topics {
		for _, partition := range one.Partitions {
			if one.Topic == topic {
				held += partition.Size
			}
		}
	}
	world.That(len(dirs) == 1 && dirs[0].ErrorCode == sarama.ErrNoError && held > 0 && dirs[0].TotalBytes > dirs[0].UsableBytes, "log folders: %d bytes", held)
	world.Same("reassignments", len(world.Must(admin.ListPartitionReassignments(topic, []int32{0, 1}))), 0)
	world.Check(admin.AlterPartitionReassignments(topic, [][]int32{{controller}, {controller}}), "reassign to where it is")
	world.That(admin.AlterPartitionReassignments(topic, [][]int32{{controller + 70}, {controller}}) != nil, "reassign to nobody")
	elected := world.Must(admin.ElectLeaders(sarama.PreferredElection, map[string][]int32{topic: {0}}))
	world.Same("elect", elected[topic][0].ErrorCode, sarama.ErrElectionNotNeeded)
	updated, err := admin.UpdateFeatures([]sarama.FeatureUpdate{{Feature: "no.such", MaxVersionLevel: 1}})
	world.That(err != nil || (len(updated) == 1 && updated[0].ErrorCode != sarama.ErrNoError), "an unknown feature: %+v", updated)
	broker := world.Must(admin.Controller())
	versions := world.Must(broker.ApiVersions(&sarama.ApiVersionsRequest{Version: 3, ClientSoftwareName: "sarama", ClientSoftwareVersion: "1"}))
	world.That(len(versions.ApiKeys) > 40, "%d kinds of request", len(versions.ApiKeys))
}

func acls(w *world.World, admin sarama.ClusterAdmin) {
	name, user := w.Name("ruled"), "User:bob"
	resource := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: name, ResourcePatternType: sarama.AclPatternPrefixed}
	rule := func(operation sarama.AclOperation) *sarama.Acl {
		return &sarama.Acl{Principal: user, Host: "*", Operation: operation, PermissionType: sarama.AclPermissionAllow}
	}
	world.Check(admin.CreateACL(resource, *rule(sarama.AclOperationRead)), "create a rule")
	world.Check(admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: []*sarama.Acl{rule(sarama.AclOperationWrite), rule(sarama.AclOperationDelete)}}}), "create rules")
	filter := sarama.AclFilter{ResourceType: sarama.AclResourceTopic, ResourceName: &name, ResourcePatternTypeFilter: sarama.AclPatternAny, Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny}
	found := func() int {
		count := 0
		for _, one := range world.Must(admin.ListAcls(filter)) {
			count += len(one.Acls)
		}
		return count
	}
	world.Until("three rules", func() bool { return found() == 3 })
	deleting := filter
	deleting.Operation, deleting.Principal = sarama.AclOperationWrite, &user
	world.Same("deleted", len(world.Must(admin.DeleteACL(deleting, false))), 1)
	world.Until("two rules", func() bool { return found() == 2 })
	world.Same("deleted", len(world.Must(admin.DeleteACL(filter, false))), 2)
	world.Until("no rules", func() bool { return found() == 0 })
}

func scrams(w *world.World, admin sarama.ClusterAdmin) {
	user := w.Name("user")
	upsert := sarama.AlterUserScramCredentialsUpsert{Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_512, Iterations: 4096, Salt: []byte("salt and pepper"), Password: []byte("one")}
	made := world.Must(admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{upsert}))
	world.Same("make a user", made[0].ErrorCode, sarama.ErrNoError)
	world.Until("the user is there", func() bool {
		found := world.Must(admin.DescribeUserScramCredentials([]string{user}))[0]
		return found.ErrorCode == sarama.ErrNoError && len(found.CredentialInfos) == 1 && found.CredentialInfos[0].Iterations == 4096
	})
	try := func(password string) error { return secured(w.SASL, auth(sarama.SASLTypeSCRAMSHA512, user, password)) }
	world.Until("the user comes in", func() bool { return try("one") == nil })
	world.That(errors.Is(try("two"), sarama.ErrSASLAuthenticationFailed), "with no other password: %v", try("two"))
	gone := world.Must(admin.DeleteUserScramCredentials([]sarama.AlterUserScramCredentialsDelete{{Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_512}}))
	world.Same("delete a user", gone[0].ErrorCode, sarama.ErrNoError)
	world.Until("the user stays out", func() bool { return errors.Is(try("one"), sarama.ErrSASLAuthenticationFailed) })
}

// conversation is a SCRAM exchange as sarama wants it.
type conversation struct {
	*scram.ClientConversation
	hash scram.HashGeneratorFcn
}

func (c *conversation) Begin(user, password, authorization string) error {
	client, err := c.hash.NewClient(user, password, authorization)
	if err == nil {
		c.ClientConversation = client.NewConversation()
	}
	return err
}

func auth(mechanism sarama.SASLMechanism, user, password string) func(*sarama.Config) {
	return func(c *sarama.Config) {
		c.Net.SASL.Enable = true
		c.Net.SASL.Mechanism = mechanism
		c.Net.SASL.User, c.Net.SASL.Password = user, password
		hash := scram.HashGeneratorFcn(sha256.New)
		if mechanism == sarama.SASLTypeSCRAMSHA512 {
			hash = sha512.New
		}
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &conversation{hash: hash} }
	}
}

func secure(config *tls.Config) func(*sarama.Config) {
	return func(c *sarama.Config) { c.Net.TLS.Enable, c.Net.TLS.Config = true, config }
}

// secured says what a connection to a listener comes to.
func secured(address string, change ...func(*sarama.Config)) error {
	c := config(change...)
	c.Metadata.Retry.Max = 0
	c.Net.DialTimeout, c.Net.ReadTimeout = 5*time.Second, 5*time.Second
	broker := sarama.NewBroker(address)
	if err := broker.Open(c); err != nil {
		return err
	}
	defer broker.Close()
	if _, err := broker.Connected(); err != nil {
		return err
	}
	_, err := broker.GetMetadata(sarama.NewMetadataRequest(c.Version, []string{}))
	return err
}

// carries makes a topic, sends records and reads them back, all through one listener.
func carries(address, topic string, change ...func(*sarama.Config)) {
	admin := world.Must(sarama.NewClusterAdmin([]string{address}, config(change...)))
	defer admin.Close()
	world.Check(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false), "create", topic)
	sent := world.Numbers(100)
	var messages []*sarama.ProducerMessage
	for _, text := range sent {
		messages = append(messages, message(topic, 0, text))
	}
	producer := world.Must(sarama.NewSyncProducer([]string{address}, config(change...)))
	world.Check(producer.SendMessages(messages), "produce", topic)
	world.Check(producer.Close())
	world.Same(topic, texts(read(address, config(change...), topic, 0, sarama.OffsetOldest, len(sent))), sent)
}

func saslMechanisms(w *world.World) {
	for _, mechanism := range []sarama.SASLMechanism{sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512} {
		carries(w.SASL, w.Name("sasl-"+string(mechanism)), auth(mechanism, w.User, w.Password))
		err := secured(w.SASL, auth(mechanism, w.User, "wrong"))
		world.That(errors.Is(err, sarama.ErrSASLAuthenticationFailed), "%s with a wrong password: %v", mechanism, err)
		err = secured(w.SASL, auth(mechanism, "nobody", w.Password))
		world.That(errors.Is(err, sarama.ErrSASLAuthenticationFailed), "%s with a wrong user: %v", mechanism, err)
	}
	world.That(secured(w.SASL) != nil, "nobody comes in without")
}

func tlsListeners(w *world.World) {
	carries(w.TLS, w.Name("tls"), secure(w.TLSConfig(false)))
	carries(w.TLS, w.Certified(), secure(w.TLSConfig(true)))
	carries(w.SASLTLS, w.Name("tls-sasl"), secure(w.TLSConfig(false)), auth(sarama.SASLTypeSCRAMSHA512, w.User, w.Password))
	err := produce(w.TLS, config(secure(w.TLSConfig(false))), message(w.Certified(), 0, "x"))
	world.That(errors.Is(err, sarama.ErrTopicAuthorizationFailed), "without a certificate: %v", err)
	err = secured(w.SASLTLS, secure(w.TLSConfig(false)), auth(sarama.SASLTypePlaintext, w.User, "wrong"))
	world.That(errors.Is(err, sarama.ErrSASLAuthenticationFailed), "a wrong password: %v", err)
	world.That(secured(w.TLS, secure(w.WrongTLSConfig())) != nil, "an unknown authority is refused")
	world.That(secured(w.TLS) != nil, "no plain text on a TLS listener")
}
