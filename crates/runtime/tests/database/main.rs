//! Databases as they really are: behind poolers, demoted, dropped, full, and left in the middle.

mod acknowledged;
mod failover;
mod full_disk;
mod pooler;
mod readiness;
mod rotation;
mod support;
