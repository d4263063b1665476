//! Realistic databases: behind poolers, demoted, dropped, full, and with connections left in the middle.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod acknowledged;
mod failover;
mod full_disk;
mod hot;
mod pooler;
mod readiness;
mod rotation;
mod support;
