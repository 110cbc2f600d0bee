//! Holds trees of decoded values against the JSON that Apache Kafka's own converters make of the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use klog::codec::Value;
use serde_json::{Value as Json, json};

/// A tree as Kafka would write it, but for the names, which are in snake case.
pub(crate) fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!(STANDARD.encode(bytes)),
        Value::List(values) => values.iter().map(as_json).collect(),
        Value::Struct(fields) => {
            fields.iter().map(|(name, value)| ((*name).to_owned(), as_json(value))).collect()
        }
    }
}

/// Kafka's JSON with its names in snake case.
pub(crate) fn in_snake_case(json: Json) -> Json {
    match json {
        Json::Array(values) => values.into_iter().map(in_snake_case).collect(),
        Json::Object(fields) => {
            fields.into_iter().map(|(name, value)| (snake(&name), in_snake_case(value))).collect()
        }
        other => other,
    }
}

/// A name of Kafka's in snake case.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
