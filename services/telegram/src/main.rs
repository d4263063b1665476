//! The Telegram bot.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop_runtime::main::<telegram::Telegram>()
}
