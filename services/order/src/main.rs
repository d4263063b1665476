//! The order service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main_with_tools::<order::Order, order::Tool>()
}
