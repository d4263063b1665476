//! Records tests that cannot run here, so that they are counted.

use std::{fs::File, io::Write as _, path::Path};

/// Records that the running test is skipped, and why. libtest knows no skipped tests, so the test then returns.
///
/// # Panics
/// With `SHOP_TEST_REQUIRE=1`, which requires every test to run.
pub fn skip(why: &str) {
    let line = format!("skipped: {}: {why}", test_name());
    assert!(variable("SHOP_TEST_REQUIRE").is_none_or(|value| value != "1"), "{line}");
    println!("{line}");
    if let Some(file) = variable("SHOP_TEST_SKIPS") {
        record(Path::new(&file), &line);
    }
}

/// Returns the server that `name` names; otherwise the test is skipped.
pub(crate) fn server_url(name: &str) -> Option<String> {
    let url = variable(name);
    if url.is_none() {
        skip(&format!("{name} is not set: run `cargo xtask test`"));
    }
    url
}

/// Reads an environment variable; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "tests have no command line of their own to put settings in")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes a line in one write, so that tests in other processes can append to the same file.
fn record(file: &Path, line: &str) {
    let appended = File::options()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = appended {
        panic!("the skipped test cannot be recorded in {}: {error}", file.display());
    }
}

/// `auth::http::a_token_expires`: the test binary and the test. libtest names the thread after the test; nextest, which
/// runs one process per test, puts the name into the environment.
fn test_name() -> String {
    let test = variable("NEXTEST_TEST_NAME").or_else(|| std::thread::current().name().map(ToOwned::to_owned));
    let program = std::env::current_exe().ok();
    let program =
        program.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
    // Cargo appends a hash: auth-0123456789abcdef.
    let binary = program.rsplit_once('-').map_or(program.as_str(), |(binary, _)| binary);
    format!("{binary}::{}", test.as_deref().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_skipped_test_is_told_by_its_binary_and_name() {
        assert_eq!(
            super::test_name(),
            "shop_testing::skip::tests::a_skipped_test_is_told_by_its_binary_and_name"
        );
    }

    #[test]
    fn skips_of_several_tests_are_lines_of_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skips");
        super::record(&file, "one");
        super::record(&file, "two");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
    }
}
