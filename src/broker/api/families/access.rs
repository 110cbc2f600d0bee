//! The APIs of who a client is and what it may do; a table, no behaviour of its own.

use super::family;

family! { broker, peer, header:
}
