//! Files: segments, indexes, logs, recovery, retention; synchronous.
