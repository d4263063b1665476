//! The chart as Helm renders it. `cargo xtask chart` validates the output against Kubernetes' schemas.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod arrows;
mod autoscaling;
mod connections;
mod dev_infra;
mod hand_changes;
mod names;
mod objects;
mod operations;
mod pods;
mod release;
mod rendering;
mod support;
mod upgrade;
mod values;
