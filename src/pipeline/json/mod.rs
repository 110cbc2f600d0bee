//! JSON as text: what is a value, its strings and its numbers; no tree is built and no jq crate named.

pub(super) mod check;
pub(super) mod number;
pub(super) mod string;
