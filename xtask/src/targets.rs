//! The images, and what they are called.

use anyhow::bail;

/// The images that compose and the chart run; targets of the Dockerfile, packages and binaries have the same names.
pub(crate) const SERVICES: [&str; 6] = ["auth", "catalog", "order", "web", "telegram", "outbox-controller"];

/// … and the image that contains them all.
pub(crate) const SHOP: &str = "shop";

/// The tag of the images built here, for this machine.
pub(crate) const TAG: &str = "dev";

/// Target and name of each image.
pub(crate) fn names<'a>(
    targets: &[&'a str],
    tag: &str,
    name: Option<&str>,
) -> anyhow::Result<Vec<(&'a str, String)>> {
    match (name, targets) {
        (Some(name), [target]) => Ok(vec![(target, name.to_owned())]),
        (Some(_), _) => bail!("--name goes with one target"),
        (None, _) => Ok(targets.iter().map(|target| (*target, format!("shop/{target}:{tag}"))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_name_that_compose_and_the_chart_know() {
        assert_eq!(names(&["auth"], TAG, None).unwrap(), [("auth", "shop/auth:dev".to_owned())]);
    }

    #[test]
    fn one_name_cannot_be_that_of_two_images() {
        let named = names(&["auth"], TAG, Some("registry.example.com/auth:1")).unwrap();
        assert_eq!(named, [("auth", "registry.example.com/auth:1".to_owned())]);
        assert!(names(&["auth", "web"], TAG, Some("registry.example.com/auth:1")).is_err());
    }
}
