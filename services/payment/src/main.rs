//! The payment service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main::<payment::Payment>()
}
