use std::path::PathBuf;

use crate::skip::{server_url, skip};

/// The program that `SHOP_TEST_SCHEMATHESIS` names; it checks an API against its description.
pub fn schemathesis() -> Option<PathBuf> {
    let program = PathBuf::from(server_url("SHOP_TEST_SCHEMATHESIS")?);
    if !program.exists() {
        skip("the program that SHOP_TEST_SCHEMATHESIS names is not there");
        return None;
    }
    Some(program)
}
