//! The storefront's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_runtime::main::<web::Web>()
}
