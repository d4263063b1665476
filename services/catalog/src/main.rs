//! `catalog_service` as a process of its own.

fn main() -> std::process::ExitCode {
    shop_runtime::main::<catalog::Catalog>()
}
