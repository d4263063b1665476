//! The payment service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main_with_tools::<payment::Payment, payment::Tool>()
}
