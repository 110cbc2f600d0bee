//! The messages of each API, request and response side by side; a file never says what an API does with them.
//!
//! To add an API: its file here, its line in `tests/oracle/apis.rs`, its key in the command of
//! `tests/golden/README.md`, and the fixture made anew by it. The golden frames say which field is wrong.

pub mod api_versions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_configs;
pub mod describe_groups;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod produce;
pub mod sync_group;
