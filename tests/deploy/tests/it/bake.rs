use std::collections::BTreeSet;

use crate::{dockerfile, tree};

/// The quoted words between `begin` and `end`.
fn quoted<'a>(text: &'a str, begin: &str, end: char) -> BTreeSet<&'a str> {
    let text = text.split_once(begin).unwrap().1;
    let text = text.split_once(end).unwrap().0;
    text.split('"').skip(1).step_by(2).collect()
}

#[test]
fn bake_builds_every_image() {
    let bake = tree::read("docker-bake.hcl");
    let targets = dockerfile::targets();
    assert_eq!(quoted(&bake, "service = [", ']'), targets.iter().map(String::as_str).collect());
}

#[test]
fn bake_gives_the_dockerfile_the_arguments_that_it_takes() {
    let bake = tree::read("docker-bake.hcl");
    let given = bake.split_once("args = {").unwrap().1.split_once("\n  }").unwrap().0;
    let given: BTreeSet<&str> =
        given.lines().filter_map(|line| Some(line.split_once('=')?.0.trim())).collect();
    let taken = dockerfile::arguments();
    assert_eq!(given, taken.iter().map(String::as_str).collect());
}

#[test]
fn bake_builds_this_version() {
    let bake = tree::read("docker-bake.hcl");
    assert_eq!(quoted(&bake, "variable \"VERSION\" {", '}'), BTreeSet::from([env!("CARGO_PKG_VERSION")]));
}
