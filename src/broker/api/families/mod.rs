//! The served APIs by family, one table a file: what is in a table is decoded, handled and answered, and is in
//! [`SERVED`]; what is in none is never served. Produce, Fetch and SASL, which answer in their own ways, have no row.

mod access;
mod cluster;
mod groups;
mod records;
mod settings;
mod topics;
mod transactions;

use std::sync::Arc;

use bytes::Bytes;

use super::Outcome;
use crate::broker::{Broker, Peer};
use crate::wire::api::ApiKey;
use crate::wire::frame::RequestHeader;

/// Makes a family of a table: `SERVED`, its APIs, and `call`, which serves one of them. A row is an API and how its
/// decoded request is handled; the names in front are those by which the rows speak of what a handler is given.
macro_rules! family {
    ($broker:ident, $peer:ident, $header:ident: $($key:ident => $handle:expr;)*) => {
        /// The APIs of this family.
        pub(super) const SERVED: &[$crate::wire::api::ApiKey] = &[$($crate::wire::api::ApiKey::$key),*];

        /// Serves one request of this family.
        #[allow(unused_variables, clippy::too_many_lines)]
        pub(super) async fn call(
            key: $crate::wire::api::ApiKey,
            $broker: &std::sync::Arc<$crate::broker::Broker>,
            $peer: &$crate::broker::Peer,
            $header: &$crate::wire::frame::RequestHeader,
            body: bytes::Bytes,
        ) -> $crate::broker::api::Outcome {
            match key {
                $($crate::wire::api::ApiKey::$key => {
                    $crate::broker::api::answer::answer($header, body, $handle).await
                })*
                other => $crate::broker::api::unserved(other),
            }
        }
    };
}
use family;

const OWN: &[ApiKey] = &[ApiKey::Produce, ApiKey::Fetch, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];

const ALL: [&[ApiKey]; 8] = [
    OWN,
    records::SERVED,
    topics::SERVED,
    settings::SERVED,
    cluster::SERVED,
    groups::SERVED,
    access::SERVED,
    transactions::SERVED,
];

/// Everything that is served, in all versions that Apache Kafka 4.3 serves.
pub const SERVED: &[ApiKey] = &joined::<{ count() }>();

const fn count() -> usize {
    let (mut sum, mut family) = (0, 0);
    while family < ALL.len() {
        sum += ALL[family].len();
        family += 1;
    }
    sum
}

/// All families one behind the other, by key.
const fn joined<const N: usize>() -> [ApiKey; N] {
    let mut all = [ApiKey::Produce; N];
    let (mut filled, mut family) = (0, 0);
    while family < ALL.len() {
        let mut index = 0;
        while index < ALL[family].len() {
            let key = ALL[family][index];
            let mut place = filled;
            while place > 0 && all[place - 1] as i16 > key as i16 {
                all[place] = all[place - 1];
                place -= 1;
            }
            all[place] = key;
            filled += 1;
            index += 1;
        }
        family += 1;
    }
    all
}

/// Serves one request of whichever family has it.
pub(super) async fn call(
    key: ApiKey,
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    body: Bytes,
) -> Outcome {
    if records::SERVED.contains(&key) {
        Box::pin(records::call(key, broker, peer, header, body)).await
    } else if groups::SERVED.contains(&key) {
        Box::pin(groups::call(key, broker, peer, header, body)).await
    } else if transactions::SERVED.contains(&key) {
        Box::pin(transactions::call(key, broker, peer, header, body)).await
    } else if topics::SERVED.contains(&key) {
        Box::pin(topics::call(key, broker, peer, header, body)).await
    } else if settings::SERVED.contains(&key) {
        Box::pin(settings::call(key, broker, peer, header, body)).await
    } else if cluster::SERVED.contains(&key) {
        Box::pin(cluster::call(key, broker, peer, header, body)).await
    } else {
        Box::pin(access::call(key, broker, peer, header, body)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_one_row_and_they_stand_by_key() {
        assert!(SERVED.is_sorted_by(|a, b| a.code() < b.code()), "{SERVED:?}");
        assert_eq!(SERVED.len(), count());
    }
}
