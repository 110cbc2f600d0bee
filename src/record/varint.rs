//! Varints as records hold them (zigzag, least group first); never reads past five or ten bytes.
