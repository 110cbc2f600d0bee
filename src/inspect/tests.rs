//! Damage done on purpose to folders, and what verify, dump and repair make of it.
