//! Kafka's primitive encodings, bounds-checked, and the one macro that messages are written in.
