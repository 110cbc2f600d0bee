//! The Kafka protocol as bytes: frames, message definitions, error codes.
