package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/xdg-go/pbkdf2"
	"klog.test/clients/world"
)

// seen is what Metadata says of a topic.
func seen(client *kafka.Client, name string) kafka.Topic {
	return world.Must(client.Metadata(soon(), &kafka.MetadataRequest{Topics: []string{name}})).Topics[0]
}

func topics(w *world.World) {
	client := plainly(w).client()
	name := w.Name("topics")
	create := func(config kafka.TopicConfig) error {
		made := world.Must(client.CreateTopics(soon(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}}))
		return made.Errors[config.Topic]
	}
	plain := kafka.TopicConfig{Topic: name, NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "1234567"}}}
	world.Check(create(plain), "create")
	world.That(errors.Is(create(plain), kafka.TopicAlreadyExists), "made twice")
	world.That(errors.Is(create(kafka.TopicConfig{Topic: "no/slash", NumPartitions: 1, ReplicationFactor: 1}), kafka.InvalidTopic), "a bad name")
	world.That(errors.Is(create(kafka.TopicConfig{Topic: w.Name("many"), NumPartitions: 1, ReplicationFactor: 3}), kafka.InvalidReplicationFactor), "three replicas")
	odd := kafka.TopicConfig{Topic: w.Name("odd"), NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: "no.such", ConfigValue: "1"}}}
	world.That(errors.Is(create(odd), kafka.InvalidConfiguration), "a bad setting")
	assigned := kafka.TopicConfig{Topic: w.Name("assigned"), NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignments: []kafka.ReplicaAssignment{{Partition: 0, Replicas: []int{1}}}}
	world.Check(create(assigned), "create with an assignment")
	world.Same("partitions", len(seen(client, name).Partitions), 3)
	world.That(errors.Is(seen(client, w.Name("nowhere")).Error, kafka.UnknownTopicOrPartition), "no such topic")
	listed := func() bool {
		for _, one := range world.Must(client.Metadata(soon(), &kafka.MetadataRequest{})).Topics {
			if one.Name == name {
				return true
			}
		}
		return false
	}
	world.Until("it is listed", listed)
	grow := func(count int32) error {
		grown := world.Must(client.CreatePartitions(soon(), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: name, Count: count}}}))
		return grown.Errors[name]
	}
	world.Check(grow(5), "more partitions")
	world.Until("five partitions", func() bool { return len(seen(client, name).Partitions) == 5 })
	world.That(errors.Is(grow(2), kafka.InvalidPartitionNumber), "fewer partitions")
	values(w, name, 4, "x")
	remove := func() error {
		return world.Must(client.DeleteTopics(soon(), &kafka.DeleteTopicsRequest{Topics: []string{name}})).Errors[name]
	}
	world.Check(remove(), "delete")
	world.That(errors.Is(remove(), kafka.UnknownTopicOrPartition), "deleted twice")
	world.Until("it is gone", func() bool { return !listed() })
	world.Until("made again", func() bool {
		return create(kafka.TopicConfig{Topic: name, NumPartitions: 1, ReplicationFactor: 1}) == nil
	})
	world.Until("seen again", func() bool { return len(seen(client, name).Partitions) == 1 })
	values(w, name, 0, "fresh")
	world.Same("only what is new", texts(read(plainly(w), name, 0, kafka.FirstOffset, 1)), []string{"fresh"})
	// The old way too, on a connection of its own.
	conn := world.Must(kafka.DialContext(soon(), "tcp", w.Plain))
	defer conn.Close()
	world.Check(conn.CreateTopics(kafka.TopicConfig{Topic: w.Name("conn"), NumPartitions: 2, ReplicationFactor: 1}))
	world.Until("its partitions", func() bool {
		partitions, err := conn.ReadPartitions(w.Name("conn"))
		return err == nil && len(partitions) == 2
	})
	world.Same("the controller", world.Must(conn.Controller()).ID, world.Must(conn.Brokers())[0].ID)
	world.Check(conn.DeleteTopics(w.Name("conn")))
}

func configs(w *world.World) {
	client := plainly(w).client()
	name := topic(w, "configs", 1, "retention.ms", "1000000")
	describe := func(kind kafka.ResourceType, name string) kafka.DescribeConfigResponseResource {
		request := &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kind, ResourceName: name}}}
		return world.Must(client.DescribeConfigs(soon(), request)).Resources[0]
	}
	expect := func(key, want string, source int8) {
		world.Until(key+" is "+want, func() bool {
			for _, entry := range describe(kafka.ResourceTypeTopic, name).ConfigEntries {
				if entry.ConfigName == key {
					return entry.ConfigValue == want && entry.ConfigSource == source
				}
			}
			return false
		})
	}
	const ofTopic, byDefault = 1, 5
	expect("retention.ms", "1000000", ofTopic)
	expect("cleanup.policy", "delete", byDefault)
	alter := func(changes ...kafka.IncrementalAlterConfigsRequestConfig) error {
		request := &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: name, Configs: changes}}}
		return world.Must(client.IncrementalAlterConfigs(soon(), request)).Resources[0].Error
	}
	world.Check(alter(
		kafka.IncrementalAlterConfigsRequestConfig{Name: "max.message.bytes", Value: "2000", ConfigOperation: kafka.ConfigOperationSet},
		kafka.IncrementalAlterConfigsRequestConfig{Name: "cleanup.policy", Value: "compact", ConfigOperation: kafka.ConfigOperationAppend},
		kafka.IncrementalAlterConfigsRequestConfig{Name: "retention.ms", ConfigOperation: kafka.ConfigOperationDelete}))
	expect("max.message.bytes", "2000", ofTopic)
	expect("cleanup.policy", "delete,compact", ofTopic)
	expect("retention.ms", "604800000", byDefault)
	world.That(errors.Is(alter(kafka.IncrementalAlterConfigsRequestConfig{Name: "no.such", Value: "1"}), kafka.InvalidConfiguration), "an unknown name")
	world.That(errors.Is(alter(kafka.IncrementalAlterConfigsRequestConfig{Name: "retention.ms", Value: "soon"}), kafka.InvalidConfiguration), "a bad value")
	writer := plainly(w).writer(name)
	defer writer.Close()
	writer.MaxAttempts = 1
	err := writer.WriteMessages(soon(), kafka.Message{Key: []byte("k"), Value: world.Noise(3000)})
	var failed kafka.WriteErrors
	world.That(errors.As(err, &failed) && errors.Is(failed[0], kafka.MessageSizeTooLarge), "the setting holds at once: %v", err)
	altered := world.Must(client.AlterConfigs(soon(), &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: name, Configs: []kafka.AlterConfigRequestConfig{{Name: "segment.bytes", Value: "2097152"}}}}}))
	for _, err := range altered.Errors {
		world.Check(err, "the whole state")
	}
	expect("segment.bytes", "2097152", ofTopic)
	expect("max.message.bytes", "1048588", byDefault)
	broker := world.Must(client.Metadata(soon(), &kafka.MetadataRequest{})).Controller.ID
	id := ""
	for _, entry := range describe(kafka.ResourceTypeBroker, fmt.Sprint(broker)).ConfigEntries {
		if entry.ConfigName == "node.id" {
			id = entry.ConfigValue
		}
	}
	world.Same("the broker's id", id, fmt.Sprint(broker))
}

func offsets(w *world.World) {
	topic, group := topic(w, "offsets", 2, "retention.ms", "-1"), w.Name("offsets")
	writer := plainly(w).writer(topic)
	defer writer.Close()
	for n := int64(0); n < 10; n++ {
		write(writer, kafka.Message{Value: []byte("x"), WriterData: 0, Time: time.UnixMilli(1700000000000 + 1000*n)})
	}
	client := plainly(w).client()
	listed := world.Must(client.ListOffsets(soon(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {
		kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0), kafka.TimeOffsetOf(0, time.UnixMilli(1700000004500)), kafka.FirstOffsetOf(1), kafka.LastOffsetOf(1),
	}}})).Topics[topic]
	for _, partition := range listed {
		world.Check(partition.Error, "list offsets")
		if partition.Partition == 0 {
			world.Same("first and last", []int64{partition.FirstOffset, partition.LastOffset}, []int64{0, 10})
			// The client keys what it found by offset and keeps the time that was asked for.
			world.Same("by time", partition.Offsets[5].UnixMilli(), int64(1700000004500))
		} else {
			world.Same("first and last", []int64{partition.FirstOffset, partition.LastOffset}, []int64{0, 0})
		}
	}
	conn := world.Must(kafka.DialLeader(soon(), "tcp", w.Plain, topic, 0))
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	world.Check(err)
	world.Same("first and last", []int64{first, last}, []int64{0, 10})
	world.Same("by time", world.Must(conn.ReadOffset(time.UnixMilli(1700000007000))), int64(7))
	committed := world.Must(client.OffsetCommit(soon(), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: 6, Metadata: "a note"}}}}))
	world.Check(committed.Topics[topic][0].Error, "commit")
	fetched := world.Must(client.OffsetFetch(soon(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0, 1}}})).Topics[topic]
	for _, partition := range fetched {
		want := map[int]int64{0: 6, 1: -1}[partition.Partition]
		world.Same("committed", partition.CommittedOffset, want)
		world.That(want < 0 || partition.Metadata == "a note", "its note: %q", partition.Metadata)
	}
	m := join(w, group, topic)
	world.Until("four are read", func() bool { return len(m.read()) == 4 })
	m.leave()
}

func admin(w *world.World) {
	client := plainly(w).client()
	topic, group := topic(w, "admin", 2), w.Name("admin")
	values(w, topic, 0, "a", "b", "c")
	cluster := world.Must(client.Metadata(soon(), &kafka.MetadataRequest{}))
	world.That(cluster.ClusterID != "" && len(cluster.Brokers) == 1 && cluster.Controller.ID == cluster.Brokers[0].ID, "cluster: %+v", cluster)
	m := join(w, group, topic)
	reads([]string{"a", "b", "c"}, m)
	described := world.Must(client.DescribeGroups(soon(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})).Groups[0]
	world.That(described.GroupState == "Stable" && len(described.Members) == 1 && described.Members[0].ClientHost != "", "described: %+v", described)
	remove := func() error {
		return world.Must(client.DeleteGroups(soon(), &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})).Errors[group]
	}
	world.That(errors.Is(remove(), kafka.NonEmptyGroup), "a group with members stays")
	forget := func() kafka.OffsetDeletePartition {
		return world.Must(client.OffsetDelete(soon(), &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})).Topics[topic][0]
	}
	world.That(errors.Is(forget().Error, kafka.GroupSubscribedToTopic), "offsets of a subscribed topic stay")
	m.leave()
	world.Check(forget().Error, "delete group offsets")
	fetched := world.Must(client.OffsetFetch(soon(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}}))
	world.Same("the offset is gone", fetched.Topics[topic][0].CommittedOffset, int64(-1))
	world.Check(remove(), "delete the group")
	world.That(errors.Is(remove(), kafka.GroupIdNotFound), "deleted twice")

	// Rules and users are the secured broker's.
	secure := access{address: w.SASL, sasl: auth("PLAIN", w.User, w.Password)}.client()
	acls(w, secure)
	scrams(w, secure)

	node := cluster.Controller.ID
	move := func(broker int) error {
		moved := world.Must(client.AlterPartitionReassignments(soon(), &kafka.AlterPartitionReassignmentsRequest{Topic: topic, Timeout: 5 * time.Second, Assignments: []kafka.AlterPartitionReassignmentsRequestAssignment{{PartitionID: 0, BrokerIDs: []int{broker}}}}))
		world.Check(moved.Error)
		return moved.PartitionResults[0].Error
	}
	world.Check(move(node), "reassign to where it is")
	world.That(errors.Is(move(node+70), kafka.InvalidReplicaAssignment), "reassign to nobody: %v", move(node+70))
	moving := world.Must(client.ListPartitionReassignments(soon(), &kafka.ListPartitionReassignmentsRequest{Timeout: 5 * time.Second}))
	world.That(moving.Error == nil && len(moving.Topics) == 0, "reassignments: %+v", moving)
	elected := world.Must(client.ElectLeaders(soon(), &kafka.ElectLeadersRequest{Topic: topic, Partitions: []int{0}, Timeout: 5 * time.Second}))
	world.That(errors.Is(elected.PartitionResults[0].Error, kafka.ElectionNotNeeded), "elect: %+v", elected)
	producer := world.Must(client.InitProducerID(soon(), &kafka.InitProducerIDRequest{TransactionTimeoutMs: 1000}))
	world.That(producer.Error == nil && producer.Producer.ProducerID >= 0, "a producer id: %+v", producer)
	versions := world.Must(client.ApiVersions(soon(), &kafka.ApiVersionsRequest{}))
	world.That(versions.Error == nil && len(versions.ApiKeys) > 40, "%d kinds of request", len(versions.ApiKeys))
}

func acls(w *world.World, client *kafka.Client) {
	name := w.Name("ruled")
	var rules []kafka.ACLEntry
	for _, operation := range []kafka.ACLOperationType{kafka.ACLOperationTypeRead, kafka.ACLOperationTypeWrite} {
		rules = append(rules, kafka.ACLEntry{ResourceType: kafka.ResourceTypeTopic, ResourceName: name, ResourcePatternType: kafka.PatternTypePrefixed, Principal: "User:bob", Host: "*", Operation: operation, PermissionType: kafka.ACLPermissionTypeAllow})
	}
	for _, err := range world.Must(client.CreateACLs(soon(), &kafka.CreateACLsRequest{ACLs: rules})).Errors {
		world.Check(err, "create a rule")
	}
	filter := kafka.ACLFilter{ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: name, ResourcePatternTypeFilter: kafka.PatternTypePrefixed, Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny}
	found := func() int {
		described := world.Must(client.DescribeACLs(soon(), &kafka.DescribeACLsRequest{Filter: filter}))
		world.Check(described.Error)
		count := 0
		for _, resource := range described.Resources {
			count += len(resource.ACLs)
		}
		return count
	}
	world.Until("two rules", func() bool { return found() == 2 })
	deleted := world.Must(client.DeleteACLs(soon(), &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{kafka.DeleteACLsFilter(filter)}})).Results[0]
	world.Check(deleted.Error)
	world.Same("deleted rules", len(deleted.MatchingACLs), 2)
	world.Until("no rules", func() bool { return found() == 0 })
}

func scrams(w *world.World, client *kafka.Client) {
	user, salt := w.Name("user"), []byte("salt and pepper")
	salted := pbkdf2.Key([]byte("one"), salt, 4096, sha256.Size, sha256.New)
	change := func(request *kafka.AlterUserScramCredentialsRequest) {
		world.Check(world.Must(client.AlterUserScramCredentials(soon(), request)).Results[0].Error, "change a user")
	}
	change(&kafka.AlterUserScramCredentialsRequest{Upsertions: []kafka.UserScramCredentialsUpsertion{{Name: user, Mechanism: kafka.ScramMechanismSha256, Iterations: 4096, Salt: salt, SaltedPassword: salted}}})
	describe := func() kafka.DescribeUserScramCredentialsResponseResult {
		return world.Must(client.DescribeUserScramCredentials(soon(), &kafka.DescribeUserScramCredentialsRequest{Users: []kafka.UserScramCredentialsUser{{Name: user}}})).Results[0]
	}
	world.Until("the user is there", func() bool {
		found := describe()
		return found.Error == nil && len(found.CredentialInfos) == 1 && found.CredentialInfos[0].Iterations == 4096
	})
	try := func(password string) error {
		return secured(access{address: w.SASL, sasl: auth("SCRAM-SHA-256", user, password)})
	}
	world.Until("the user comes in", func() bool { return try("one") == nil })
	world.That(errors.Is(try("two"), kafka.SASLAuthenticationFailed), "with no other password: %v", try("two"))
	change(&kafka.AlterUserScramCredentialsRequest{Deletions: []kafka.UserScramCredentialsDeletion{{Name: user, Mechanism: kafka.ScramMechanismSha256}}})
	world.Until("the user is gone", func() bool { return errors.Is(describe().Error, kafka.ResourceNotFound) })
	world.Until("the user stays out", func() bool { return errors.Is(try("one"), kafka.SASLAuthenticationFailed) })
}

func auth(mechanism, user, password string) sasl.Mechanism {
	switch mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: user, Password: password}
	case "SCRAM-SHA-256":
		return world.Must(scram.Mechanism(scram.SHA256, user, password))
	default:
		return world.Must(scram.Mechanism(scram.SHA512, user, password))
	}
}

// secured says what a connection to a listener comes to.
func secured(a access) error {
	conn, err := a.dialer().DialContext(soon(), "tcp", a.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Brokers()
	return err
}

// carries makes a topic, sends records and reads them back, all through one listener.
func carries(topic string, a access) {
	world.Check(a.create(topic, 1), "create", topic)
	sent := world.Numbers(100)
	var messages []kafka.Message
	for _, text := range sent {
		messages = append(messages, kafka.Message{Value: []byte(text)})
	}
	writer := a.writer(topic)
	write(writer, messages...)
	world.Check(writer.Close())
	world.Same(topic, texts(read(a, topic, 0, kafka.FirstOffset, len(sent))), sent)
}

func saslMechanisms(w *world.World) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		carries(w.Name("sasl-"+mechanism), access{address: w.SASL, sasl: auth(mechanism, w.User, w.Password)})
		err := secured(access{address: w.SASL, sasl: auth(mechanism, w.User, "wrong")})
		world.That(errors.Is(err, kafka.SASLAuthenticationFailed), "%s with a wrong password: %v", mechanism, err)
		err = secured(access{address: w.SASL, sasl: auth(mechanism, "nobody", w.Password)})
		world.That(errors.Is(err, kafka.SASLAuthenticationFailed), "%s with a wrong user: %v", mechanism, err)
	}
	world.That(secured(access{address: w.SASL}) != nil, "nobody comes in without")
}

func tlsListeners(w *world.World) {
	carries(w.Name("tls"), access{address: w.TLS, tls: w.TLSConfig(false)})
	carries(w.Certified(), access{address: w.TLS, tls: w.TLSConfig(true)})
	carries(w.Name("tls-sasl"), access{address: w.SASLTLS, tls: w.TLSConfig(false), sasl: auth("SCRAM-SHA-512", w.User, w.Password)})
	nobody := access{address: w.TLS, tls: w.TLSConfig(false)}.writer(w.Certified())
	defer nobody.Close()
	nobody.MaxAttempts = 1
	err := nobody.WriteMessages(soon(), kafka.Message{Value: []byte("x")})
	// The writer looks for its partitions first, and takes what it may not see for what is not there.
	world.That(err != nil, "without a certificate")
	err = secured(access{address: w.SASLTLS, tls: w.TLSConfig(false), sasl: auth("PLAIN", w.User, "wrong")})
	world.That(errors.Is(err, kafka.SASLAuthenticationFailed), "a wrong password: %v", err)
	world.That(secured(access{address: w.TLS, tls: w.WrongTLSConfig()}) != nil, "an unknown authority is refused")
	world.That(secured(access{address: w.TLS}) != nil, "no plain text on a TLS listener")
}
