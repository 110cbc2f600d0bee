//! The command line: one file a command; all terminal output is in `output`.
