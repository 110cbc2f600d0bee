//! Keys and values of `__transaction_state` as Apache Kafka 4.3 writes them (`TransactionLogKey.json`,
//! `TransactionLogValue.json` in its transaction coordinator); it decides nothing about a transaction.

use bytes::Bytes;

use crate::codec::{Reader, Version, Wire, Writer, structs};

use super::{SchemaError, whole};

structs! {
    /// Which transactional id (kind 0).
    pub struct TransactionLogKey {
        /// The id.
        transactional_id: String,
    }

    /// A transactional id as it stands, versions 0 and 1; flexible in 1.
    pub struct TransactionLogValue {
        /// The producer id it has.
        producer_id: i64,
        /// The one before, -1 for none.
        previous_producer_id: i64 [1.., tag 0] = -1,
        /// The one it gets next, while one runs out of epochs; -1 for none.
        next_producer_id: i64 [1.., tag 1] = -1,
        /// The producer epoch, -1 for none.
        producer_epoch: i16,
        /// The epoch that goes with the next producer id, -1 for none.
        next_producer_epoch: i16 [1.., tag 3] = -1,
        /// How long a transaction may take: milliseconds.
        transaction_timeout_ms: i32,
        /// 0 empty, 1 ongoing, 2 prepare commit, 3 prepare abort, 4 complete commit, 5 complete abort, 6 dead,
        /// 7 prepare epoch fence.
        transaction_status: i8,
        /// The partitions taking part; none outside of a transaction.
        transaction_partitions: Option<Vec<TransactionPartitions>>,
        /// When this was written: ms since 1970.
        transaction_last_update_timestamp_ms: i64,
        /// When the transaction began: ms since 1970, -1 for none.
        transaction_start_timestamp_ms: i64,
        /// What the client can do (KIP-890).
        client_transaction_version: i16 [1.., tag 2],
    }

    /// Partitions of one topic that take part in a transaction.
    pub struct TransactionPartitions {
        /// The topic's name.
        topic: String,
        /// Its partitions.
        partition_ids: Vec<i32>,
    }
}

/// Newest version of [`TransactionLogValue`].
const NEWEST: i16 = 1;

impl TransactionLogKey {
    /// The key as it is stored: its kind and the body.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        let mut writer = Writer::with_capacity(64);
        writer.i16(0);
        self.write(&mut writer, Version::new(0, Some(NEWEST)))?;
        Ok(writer.into_bytes())
    }

    /// Reads a key; `None` for kinds this build does not know.
    pub fn decode(key: Bytes) -> Result<Option<Self>, SchemaError> {
        let mut reader = Reader::new(key);
        if reader.i16()? != 0 {
            return Ok(None);
        }
        let key = Self::read(&mut reader, Version::new(0, Some(NEWEST)))?;
        whole(&reader, "TransactionLogKey")?;
        Ok(Some(key))
    }
}

impl TransactionLogValue {
    /// The value as it is stored in `version`.
    pub fn encode(&self, version: i16) -> Result<Bytes, SchemaError> {
        let mut writer = Writer::with_capacity(64);
        writer.i16(version);
        self.write(&mut writer, Version::new(version, Some(NEWEST)))?;
        Ok(writer.into_bytes())
    }

    /// Reads a value, in any version.
    pub fn decode(value: Bytes) -> Result<Self, SchemaError> {
        let what = "TransactionLogValue";
        let mut reader = Reader::new(value);
        let found = reader.i16()?;
        if !(0..=NEWEST).contains(&found) {
            return Err(SchemaError::Version { what, found: found.into(), min: 0, max: NEWEST });
        }
        let value = Self::read(&mut reader, Version::new(found, Some(NEWEST)))?;
        whole(&reader, what)?;
        Ok(value)
    }
}
