//! ListTransactions (66), versions 0 to 2: by state, producer id, duration (KIP-994) and a pattern that the whole id must
//! match (KIP-1152). Ids that the client may not describe are left out.

use std::sync::Arc;

use regex::Regex;

use super::txn_code;
use crate::auth::acl::Operation;
use crate::broker::transactions::request::{Listing, TxnError};
use crate::broker::transactions::state::Status;
use crate::broker::{Broker, Peer};
use crate::wire::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, TransactionState,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let unknown = request.state_filters.iter().filter(|state| !Status::is_name(state)).cloned().collect();
    let (found, unknown_state_filters) = match found(broker, &request).await {
        Ok(found) => (found, unknown),
        Err(error) => {
            let error_code = txn_code::code(error);
            return ListTransactionsResponse { error_code, ..ListTransactionsResponse::default() };
        }
    };
    let listed = found
        .into_iter()
        .filter(|one| txn_code::may(broker, peer, Operation::Describe, &one.transactional_id).is_ok())
        .map(|one| TransactionState {
            transactional_id: one.transactional_id.to_string(),
            producer_id: one.producer_id,
            transaction_state: one.status.name().to_owned(),
        });
    ListTransactionsResponse {
        unknown_state_filters,
        transaction_states: listed.collect(),
        ..ListTransactionsResponse::default()
    }
}

async fn found(broker: &Arc<Broker>, asked: &ListTransactionsRequest) -> Result<Vec<Listing>, TxnError> {
    let pattern = asked.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
    // By itself first: `a)|(?:b` would leave the group.
    let whole = |pattern: &str| Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
    let pattern = pattern.map(whole).transpose();
    let pattern = pattern.map_err(|_| TxnError::InvalidPattern)?;
    let now = broker.clock().wall_ms();
    let mut found = broker.transactions().list(broker).await?;
    found.retain(|one| {
        let producer = &asked.producer_id_filters;
        let state = &asked.state_filters;
        // Outside of a transaction the start is -1, which is long ago, as in Kafka.
        let long = asked.duration_filter < 0 || now.saturating_sub(one.started_ms) > asked.duration_filter;
        (producer.is_empty() || producer.contains(&one.producer_id))
            && (state.is_empty() || state.iter().any(|name| name == one.status.name()))
            && long
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&one.transactional_id))
    });
    Ok(found)
}
