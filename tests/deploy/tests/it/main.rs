//! Files that no compiler reads refer to targets, files, variables and metrics elsewhere. These tests check every such name.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bake;
mod compose;
mod contributing;
mod dockerfile;
mod observability;
mod skaffold;
mod tests_named;
mod tilt;
mod tree;
