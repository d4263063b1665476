//! `catalog_service` as a separate process.

fn main() -> std::process::ExitCode {
    shop_runtime::main::<catalog::Catalog>()
}
