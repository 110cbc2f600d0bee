//! TOML, environment and flags to typed options, with where each value came from.
