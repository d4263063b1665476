fn main() -> std::process::ExitCode {
    shop_runtime::main::<outbox_controller::OutboxController>()
}
