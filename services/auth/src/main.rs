use std::process::ExitCode;

fn main() -> ExitCode {
    shop_runtime::main::<auth::Auth>()
}
