//! The images: what they are called, and how large they may be.

use anyhow::bail;

/// The images that compose and the chart run; targets of the Dockerfile, packages and binaries have the same names.
pub(crate) const SERVICES: [&str; 8] =
    ["auth", "catalog", "order", "payment", "notification", "web", "telegram", "outbox-controller"];

/// … and the image that contains them all.
pub(crate) const SHOP: &str = "shop";

/// The limit for each binary, in megabytes: its size when it was last reviewed, plus a tenth. A change that needs more raises the number here, and
/// says why in its commit.
pub(crate) struct Budget {
    pub(crate) target: &'static str,
    /// In the image: `profile.container`, for x86-64.
    pub(crate) shipped: f64,
    /// As the tests build it: only code and constants. Checking it takes CI no time, and whatever makes one grow makes the other grow.
    pub(crate) debug: f64,
}

/// Of catalog, order, payment, notification and shop, `shipped` is reckoned from how much `debug` grew with the consumers.
pub(crate) const BUDGETS: [Budget; 9] = [
    Budget { target: "auth", shipped: 18.9, debug: 42.3 },
    Budget { target: "catalog", shipped: 23.2, debug: 52.7 },
    Budget { target: "order", shipped: 23.4, debug: 52.8 },
    Budget { target: "payment", shipped: 22.4, debug: 49.9 },
    Budget { target: "notification", shipped: 22.9, debug: 51.6 },
    Budget { target: "web", shipped: 14.9, debug: 32.2 },
    Budget { target: "telegram", shipped: 16.3, debug: 37.3 },
    Budget { target: "outbox-controller", shipped: 23.0, debug: 58.9 },
    Budget { target: "shop", shipped: 28.1, debug: 83.6 },
];

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
