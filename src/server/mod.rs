//! Sockets to broker: accept, decode, call the broker, answer in order.
