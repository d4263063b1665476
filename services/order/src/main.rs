//! The order service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main::<order::Order>()
}
