//! Files that no compiler reads name targets, files, variables and metrics of others. Here each of these names is looked up.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bake;
mod compose;
mod dockerfile;
mod observability;
mod skaffold;
mod tilt;
mod tree;
