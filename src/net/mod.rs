//! Sockets: one stream type, listening, one outgoing connection.
