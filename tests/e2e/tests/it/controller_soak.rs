//! A short `cargo xtask soak controller`: the same program, fewer faults, and a seed whose faults do not last long.

use std::{path::Path, process::Stdio};

use shop_testing::servers::{self, Kind};

const SEED: &str = "42";

#[tokio::test]
async fn orders_flow_through_three_faults_of_the_leader() {
    if let Err(missing) = Kind::Kubernetes.find() {
        return shop_testing::skip(&format!("{missing:#}"));
    }
    // The program creates its own environment.
    let (Some(_), Some(_)) = (shop_testing::postgres().await, shop_testing::rabbitmq().await) else { return };
    let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
    let mut soak = servers::ending_with_us(&Path::new(&binaries).join("bench"), "TERM");
    soak.args(["soak", "--faults", "3", "--orders", "300", "--seed", SEED]).stdin(Stdio::null());
    let ended = servers::spawn(soak).unwrap().wait().unwrap();
    assert!(ended.success(), "what it says is above");
}
