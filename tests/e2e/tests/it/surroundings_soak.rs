//! A short `cargo xtask soak surroundings`: the same program, a few faults, and a seed that includes the worst of them.

use std::{path::Path, process::Stdio};

use shop_testing::servers::{self, Kind};

#[tokio::test]
async fn every_order_that_was_answered_is_there_whatever_befell_its_surroundings() {
    for kind in [Kind::Postgres, Kind::PgBouncer, Kind::Redis, Kind::RabbitMq] {
        if let Err(missing) = kind.find() {
            return shop_testing::skip(&format!("{missing:#}"));
        }
    }
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let mut soak = servers::ending_with_us(&Path::new(&binaries).join("bench"), "TERM");
    soak.args(["surroundings", "--seed", "1", "--faults", "5", "--customers", "4"]);
    soak.args(["--only", "failed-over,switched-over,disk-full,password-rotated,redis-killed"]);
    let ended = servers::spawn({
        soak.stdin(Stdio::null());
        soak
    });
    assert!(ended.unwrap().wait().unwrap().success(), "what it says is above");
}
