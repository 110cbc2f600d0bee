//! Files: segments, indexes, logs, recovery, retention; synchronous.
//!
//! One data folder is a [`folder::Folder`]; one partition in it is a [`log::Log`]. Both speak to the machine
//! only through [`disk::Disk`], which has a simulated twin in [`sim`].

pub mod checkpoint;
pub mod disk;
pub mod error;
pub mod folder;
pub mod log;
pub mod settings;
#[doc(hidden)]
pub mod sim;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::StorageError;
pub use folder::Folder;
pub use log::{Appended, Log, ReadPlan};
pub use settings::LogSettings;
