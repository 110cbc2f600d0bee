//! Files: segments, indexes, logs, recovery, retention, repair; synchronous.
//!
//! One data folder is a [`folder::Folder`]; one partition in it is a [`log::Log`]. Both speak to the machine
//! only through [`disk::Disk`], which has a simulated twin in [`sim`].

mod aborted;
mod batches;
mod checked;
pub mod checkpoint;
mod compact;
pub mod disk;
mod epochs;
pub mod error;
mod files;
pub mod folder;
mod index;
pub mod log;
mod map;
mod producers;
pub mod repair;
pub mod scan;
mod segment;
pub mod settings;
#[doc(hidden)]
pub mod sim;
mod transactions;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::StorageError;
pub use folder::{Folder, FolderOptions};
pub use log::{
    Appended, CompactOptions, Compacted, CompactionDue, Log, ReadPlan, Recovered, Retained, Swept,
    TimedOffset,
};
pub use producers::ActiveProducer;
pub use settings::LogSettings;
pub use transactions::{AbortedTxn, Guard, Origin};

/// Takes a mutex whatever happened to another holder: what the locks here guard is put right before anything can panic.
fn held<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
