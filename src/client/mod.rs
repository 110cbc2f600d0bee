//! Speaking to any Kafka broker: cluster view, producer, consumer, group member, admin.
