use std::{ffi::OsString, process::ExitCode};

use outbox_controller::{KubernetesController, OutboxController, Tool};
use shop_runtime::NoTools;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // A separate service, with its own variables.
    if arguments.get(1).is_some_and(|word| word == "kubernetes") {
        arguments.remove(1);
        return shop_runtime::main_from::<KubernetesController, NoTools>(&arguments);
    }
    shop_runtime::main_from::<OutboxController, Tool>(&arguments)
}
