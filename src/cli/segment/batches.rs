//! `klog segment dump --batches`: a line a batch, the damaged ones too; the field names are a contract.

use std::io::Write;

use crate::inspect::BatchHeader;

const FIELDS: [&str; 15] = [
    "base_offset",
    "last_offset",
    "count",
    "position",
    "size",
    "crc",
    "valid",
    "codec",
    "epoch",
    "producer_id",
    "producer_epoch",
    "sequence",
    "transactional",
    "control",
    "max_timestamp",
];

/// The line of names above the lines of values.
pub(super) fn head(out: &mut Vec<u8>) {
    out.extend_from_slice(FIELDS.join("\t").as_bytes());
    out.push(b'\n');
}

/// Appends a batch as a line: tab-separated values, or a JSON object.
pub(super) fn write(out: &mut Vec<u8>, position: u64, header: &BatchHeader, valid: bool, json: bool) {
    let codec = header.codec().map_or("unknown", |codec| codec.name());
    let quote = if json { "\"" } else { "" };
    let values: [&dyn std::fmt::Display; 15] = [
        &header.base_offset,
        &header.last_offset(),
        &header.count,
        &position,
        &header.size(),
        &header.crc,
        &valid,
        &format_args!("{quote}{codec}{quote}"),
        &header.leader_epoch,
        &header.producer_id,
        &header.producer_epoch,
        &header.base_sequence,
        &header.is_transactional(),
        &header.is_control(),
        &header.max_timestamp,
    ];
    for (at, (name, value)) in FIELDS.iter().zip(values).enumerate() {
        // Writing into a Vec can not fail.
        let _ = match (json, at) {
            (true, 0) => write!(out, "{{\"{name}\":{value}"),
            (true, _) => write!(out, ",\"{name}\":{value}"),
            (false, 0) => write!(out, "{value}"),
            (false, _) => write!(out, "\t{value}"),
        };
    }
    out.extend_from_slice(if json { b"}\n" } else { b"\n" });
}
