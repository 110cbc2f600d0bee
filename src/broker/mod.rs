//! What the daemon is, callable without a socket; knows nothing of clients, terminals or config files.
