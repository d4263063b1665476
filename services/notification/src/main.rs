//! The notification service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main::<notification::Notification>()
}
