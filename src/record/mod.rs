//! The record batch (magic 2) as bytes: view, iterate, build, compress, validate.
