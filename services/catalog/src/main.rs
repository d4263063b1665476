//! `catalog_service` as a separate process.

fn main() -> std::process::ExitCode {
    shop_runtime::main_with_tools::<catalog::Catalog, catalog::Tool>()
}
