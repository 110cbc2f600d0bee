//! The Kafka APIs that are served, one file each, and the one place that a request goes through; what is not in the
//! table is never answered with anything but UNSUPPORTED_VERSION.
