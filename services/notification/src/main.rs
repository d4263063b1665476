//! The notification service's executable.

fn main() -> std::process::ExitCode {
    shop_runtime::main_with_tools::<notification::Notification, notification::Tool>()
}
