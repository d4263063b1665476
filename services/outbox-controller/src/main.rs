fn main() -> std::process::ExitCode {
    shop_runtime::main_with_tools::<outbox_controller::OutboxController, outbox_controller::Tool>()
}
