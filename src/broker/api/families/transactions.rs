//! The APIs of transactions; a table, no behaviour of its own.

use super::super::{
    add_partitions_to_txn, describe_transactions, end_txn, init_producer_id, list_transactions,
    write_txn_markers,
};
use super::family;

family! { broker, peer, header:
    InitProducerId => |asked| init_producer_id::handle(broker, peer, header.api_version, asked);
    AddPartitionsToTxn => |asked| add_partitions_to_txn::handle(broker, peer, header.api_version, asked);
    EndTxn => |asked| end_txn::handle(broker, peer, header.api_version, asked);
    WriteTxnMarkers => |asked| write_txn_markers::handle(broker, peer, asked);
    DescribeTransactions => |asked| describe_transactions::handle(broker, peer, asked);
    ListTransactions => |asked| list_transactions::handle(broker, peer, asked);
}
