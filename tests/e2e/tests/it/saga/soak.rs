//! A short `cargo xtask soak saga`: the same program, fewer shoppers, and the faults that reach the most.

use std::{path::Path, process::Stdio};

use shop_testing::servers::{self, Kind};

#[tokio::test]
async fn the_books_agree_whatever_failed_while_shoppers_ordered() {
    for kind in [Kind::Postgres, Kind::Redis, Kind::RabbitMq] {
        if let Err(missing) = kind.find() {
            return shop_testing::skip(&format!("{missing:#}"));
        }
    }
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let mut soak = servers::ending_with_us(&Path::new(&binaries).join("bench"), "TERM");
    soak.args(["saga-soak", "--seed", "1", "--orders", "150", "--rate", "10", "--faults", "5"]);
    soak.args(["--only", "order-killed,catalog-publisher-killed,broker-killed,sessions-ended,provider-gone"]);
    soak.stdin(Stdio::null());
    assert!(servers::spawn(soak).unwrap().wait().unwrap().success(), "what it says is above");
}
