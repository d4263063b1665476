use std::collections::BTreeSet;

use crate::tree;

/// A stage and its instructions, one line each.
pub(crate) struct Stage {
    pub(crate) name: String,
    from: String,
    lines: Vec<String>,
}

impl Stage {
    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|other| other == line)
    }
}

pub(crate) fn stages() -> Vec<Stage> {
    let text = tree::read("Dockerfile").replace("\\\n", " ");
    let mut stages: Vec<Stage> = Vec::new();
    for line in text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")) {
        if let ["FROM", from, "AS", name] = line.split(' ').collect::<Vec<_>>()[..] {
            stages.push(Stage { name: name.to_owned(), from: from.to_owned(), lines: Vec::new() });
        } else if let Some(stage) = stages.last_mut()
            && !line.starts_with('#')
            && !line.is_empty()
        {
            stage.lines.push(line);
        }
    }
    stages
}

/// The stages that produce images.
pub(crate) fn targets() -> BTreeSet<String> {
    stages().into_iter().filter(|stage| stage.from == "runtime").map(|stage| stage.name).collect()
}

/// The build arguments that an image accepts.
pub(crate) fn arguments() -> BTreeSet<String> {
    let lines = stages().into_iter().flat_map(|stage| stage.lines);
    lines
        .filter_map(|line| {
            let (name, _) = line.strip_prefix("ARG ")?.split_once('=')?;
            Some(name.to_owned())
        })
        .collect()
}

/// The value of `variable` in an image's environment.
fn variable(stage: &Stage, variable: &str) -> Option<String> {
    let settings =
        stage.lines.iter().filter_map(|line| line.strip_prefix("ENV ")).flat_map(|line| line.split(' '));
    let (_, value) =
        settings.filter_map(|setting| setting.split_once('=')).find(|(name, _)| *name == variable)?;
    Some(value.to_owned())
}

/// Where `image` serves `/metrics`, according to its environment.
pub(crate) fn port_of_metrics(image: &str) -> String {
    let stage = stages().into_iter().find(|stage| stage.name == image).unwrap();
    let probes = variable(&stage, "PROBE_LISTEN").unwrap_or_else(|| "[::]:8000".to_owned());
    probes.rsplit_once(':').unwrap().1.to_owned()
}

#[test]
fn an_image_listens_on_every_address_and_shows_no_metrics_beside_an_api() {
    for stage in stages().iter().filter(|stage| stage.from == "runtime") {
        let settings = stage.lines.iter().filter_map(|line| line.strip_prefix("ENV "));
        let listens =
            settings.flat_map(|line| line.split(' ')).filter(|setting| setting.contains("_LISTEN="));
        for listen in listens {
            assert!(listen.contains("=[::]:"), "{}: {listen}", stage.name);
        }
        // Services without an API have only probes, on their only port.
        let has_api = !matches!(&*stage.name, "telegram" | "outbox-controller");
        let probes = variable(stage, "PROBE_LISTEN");
        assert_eq!(probes.as_deref(), has_api.then_some("[::]:9000"), "{}", stage.name);
    }
}

#[test]
fn every_service_is_an_image() {
    let services: BTreeSet<String> = std::fs::read_dir(tree::root().join("services"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(targets(), services);
}

#[test]
fn an_image_is_its_binary_run_by_nobody_in_particular_and_asked_how_it_is() {
    for stage in stages().iter().filter(|stage| stage.from == "runtime") {
        let name = &stage.name;
        let binary = format!("[\"/usr/local/bin/{name}\"");
        assert!(stage.has(&format!("ENTRYPOINT {binary}]")), "{name}");
        let healthcheck = format!("CMD {binary}, \"healthcheck\"]");
        assert!(
            stage.lines.iter().any(|line| line.starts_with("HEALTHCHECK ") && line.ends_with(&healthcheck)),
            "{name}"
        );
        assert!(stage.has(&format!("COPY --from=binaries /out/{name} /")), "{name}");
        let title = format!("LABEL org.opencontainers.image.title=\"{name}\"");
        assert!(stage.lines.iter().any(|line| line.starts_with(&title)), "{name}");
    }
    let runtime = stages().into_iter().find(|stage| stage.name == "runtime").unwrap();
    assert!(runtime.has("USER 65532:65532"));
    assert!(runtime.from.starts_with("gcr.io/distroless/static-") && runtime.from.ends_with(":nonroot"));
}

#[test]
fn all_binaries_come_out_of_one_build() {
    let build = stages().into_iter().find(|stage| stage.name == "build").unwrap();
    let packages = build.lines.iter().find_map(|line| line.strip_prefix("ENV PACKAGES=")).unwrap();
    let packages: BTreeSet<String> =
        packages.trim_matches('"').split(' ').filter(|word| *word != "-p").map(str::to_owned).collect();
    assert_eq!(packages, targets());
}

#[test]
fn a_stage_copies_from_stages_that_there_are() {
    let stages = stages();
    let names: BTreeSet<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    for line in stages.iter().flat_map(|stage| &stage.lines) {
        if let Some((from, _)) = line.strip_prefix("COPY --from=").and_then(|rest| rest.split_once(' ')) {
            assert!(names.contains(from), "{line}");
        }
    }
}
