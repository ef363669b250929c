//! Limits on everything (hard ones of the node; a lease's quota only narrows them).

use crate::lease::Quota;

/// Tiers from the root to the lowest, both counted. Deeper trees have no use that anyone has named; the
/// limit keeps the walk along a path short.
pub const DEPTH_MAX: usize = 32;
/// Controller keys of one tier at a time.
pub const KEYS_PER_TIER_MAX: usize = 32;
/// Consoles of one tier.
pub const CONSOLES_PER_TIER_MAX: usize = 4;
/// Addresses of one console.
pub const CONSOLE_ADDRESSES_MAX: usize = 4;
/// Consents of one tier that are not used yet.
pub const CONSENTS_PER_TIER_MAX: usize = 16;
/// Engines of one tier.
pub const ENGINES_PER_TIER_MAX: usize = 16;
/// Volumes of one tier.
pub const VOLUMES_PER_TIER_MAX: usize = 8;
/// The smallest volume, in MiB: a file system with its journal needs some of it.
pub const VOLUME_MIB_MIN: u32 = 16;
/// The largest volume, in MiB: a PiB.
pub const VOLUME_MIB_MAX: u32 = 1 << 30;
/// Seconds for which a set can be tried.
pub const TRIAL_SECONDS_MAX: u32 = 86_400;
/// Nonces given to one tier and not used yet; a new one pushes out the oldest of the same tier.
pub const NONCES_PER_TIER_MAX: usize = 8;
/// Characters of a contract's id.
pub const CONTRACT_CHARACTERS_MAX: usize = 64;
/// Bytes of an order's payload. The largest holds [`KEYS_PER_TIER_MAX`] keys with all rights.
pub const ORDER_BYTES_MAX: usize = 16 * 1024;
/// The length of the window in which a quota counts orders, in milliseconds.
pub const QUOTA_WINDOW_MS: u64 = 3_600_000;

/// The root's quota: the node's own. Its space stands in [`crate::Tier::whole_quota`]: nodes were enrolled before there
/// were volumes.
pub const NODE_QUOTA: Quota =
    Quota { tiers: 255, keys: 16_384, objects: 4_096, records_per_hour: 36_000, space_mib: 0 };
