//! An order's life through all services: docs/saga.md

mod audit;
mod crashes;
mod poison;
mod race;
mod soak;
