//! What is the most that is taken.

/// Bytes of a root's metadata.
pub const MAX_ROOT_BYTES: u64 = 512 * 1024;
/// Bytes of a timestamp's metadata.
pub const MAX_TIMESTAMP_BYTES: u64 = 16 * 1024;
/// Bytes of a snapshot's metadata.
pub const MAX_SNAPSHOT_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes of the metadata of one targets role, the top one or a delegated one.
pub const MAX_TARGETS_BYTES: u64 = 5 * 1024 * 1024;
/// New roots in one update; what is beyond is taken by the next one.
pub const MAX_ROOT_ROTATIONS: u32 = 1024;
/// Delegated roles that the search for one target visits.
pub const MAX_DELEGATED_ROLES: u32 = 64;
/// Keys that may sign assignments.
pub const MAX_ASSIGNMENT_KEYS: usize = 8;
