//! The backends that the tests need: named in the environment, started from local binaries, installed, or run in Docker.

use std::thread::{self, JoinHandle};

use shop_testing::servers::{self, Browser, Durability, Kind, Server};

use crate::{docker, install};

/// What each kind is called, and how to obtain it otherwise.
struct Backend {
    kind: Kind,
    name: &'static str,
    /// Set by users who bring their own server.
    variable: &'static str,
    /// For Debian and Ubuntu.
    packages: &'static [&'static str],
    image: Option<docker::Image>,
}

const BACKENDS: [Backend; 7] = [
    Backend {
        kind: Kind::Postgres,
        name: "PostgreSQL",
        variable: "SHOP_TEST_POSTGRES_URL",
        packages: &["postgresql"],
        image: Some(docker::POSTGRES),
    },
    Backend {
        kind: Kind::PgBouncer,
        name: "PgBouncer",
        variable: "SHOP_TEST_PGBOUNCER",
        packages: &["pgbouncer"],
        image: None,
    },
    Backend {
        kind: Kind::Redis,
        name: "Redis",
        variable: "SHOP_TEST_REDIS_URL",
        packages: &["redis-server"],
        image: Some(docker::REDIS),
    },
    Backend {
        kind: Kind::RabbitMq,
        name: "RabbitMQ",
        variable: "SHOP_TEST_RABBITMQ_URL",
        packages: &["rabbitmq-server"],
        image: Some(docker::RABBITMQ),
    },
    Backend {
        kind: Kind::Kubernetes,
        name: "Kubernetes API",
        variable: "SHOP_TEST_KUBECONFIG",
        packages: &[],
        image: None,
    },
    Backend {
        kind: Kind::Chromium,
        name: "Chromium",
        variable: "SHOP_TEST_CHROMIUM",
        // Without its recommended packages, Chromium has no fonts.
        packages: &["chromium", "chromium-driver", "fonts-dejavu-core"],
        image: None,
    },
    Backend {
        kind: Kind::Faketime,
        name: "libfaketime",
        variable: "SHOP_TEST_FAKETIME",
        packages: &["libfaketime"],
        image: None,
    },
];

/// The backends that the tests want.
pub(crate) const ALL: [Kind; 7] = [
    Kind::Postgres,
    Kind::PgBouncer,
    Kind::Redis,
    Kind::RabbitMq,
    Kind::Kubernetes,
    Kind::Chromium,
    Kind::Faketime,
];

/// Backends that are being started.
pub(crate) struct Starting(Vec<(&'static Backend, JoinHandle<anyhow::Result<Started>>)>);

/// Running backends; they are stopped when this is dropped.
pub(crate) struct Backends {
    /// The variables that tell the tests where they are.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Those that are not available, and why.
    pub(crate) missing: Vec<String>,
    _held: Vec<Held>,
}

/// Keeps a backend running.
enum Held {
    Process { _server: Server },
    Container { _container: docker::Container },
    Nothing,
}

struct Started {
    environment: Vec<(&'static str, String)>,
    held: Held,
    how: String,
}

/// Installs what can be installed, and starts the rest in the background, so that a build can run meanwhile.
pub(crate) fn start(kinds: &[Kind], durability: Durability) -> Starting {
    let wanted: Vec<&'static Backend> = BACKENDS
        .iter()
        .filter(|backend| kinds.contains(&backend.kind))
        .filter(|backend| std::env::var_os(backend.variable).is_none_or(|value| value.is_empty()))
        .collect();
    install_missing(&wanted);
    let starting =
        wanted.into_iter().map(|backend| (backend, thread::spawn(move || backend.start(durability))));
    Starting(starting.collect())
}

/// Installs what can be installed, for a program that starts its own servers.
pub(crate) fn install(kinds: &[Kind]) {
    let wanted: Vec<&Backend> = BACKENDS.iter().filter(|backend| kinds.contains(&backend.kind)).collect();
    install_missing(&wanted);
}

fn install_missing(wanted: &[&Backend]) {
    let missing = wanted.iter().filter(|backend| backend.kind.find().is_err());
    let packages: Vec<&str> = missing.flat_map(|backend| backend.packages).copied().collect();
    if !packages.is_empty()
        && let Err(error) = install::packages(&packages)
    {
        eprintln!("{} cannot be installed: {error:#}", packages.join(", "));
    }
}

impl Starting {
    /// Waits until each backend answers, or turns out not to be available.
    pub(crate) fn wait(self) -> Backends {
        let mut backends = Backends { environment: Vec::new(), missing: Vec::new(), _held: Vec::new() };
        for (backend, starting) in self.0 {
            let started = starting.join().unwrap_or_else(|_| Err(anyhow::anyhow!("its start panicked")));
            match started {
                Ok(started) => {
                    println!("{}: {}", backend.name, started.how);
                    backends.environment.extend(started.environment);
                    backends._held.push(started.held);
                }
                Err(error) => backends.missing.push(format!("{}: {error:#}", backend.name)),
            }
        }
        backends
    }
}

impl Backend {
    fn start(&self, durability: Durability) -> anyhow::Result<Started> {
        match (self.kind.find(), &self.image) {
            (Ok(()), _) => self.start_local(durability),
            // The images are configured for speed.
            (Err(missing), Some(image)) if durability == Durability::Fast && docker::is_available() => {
                let container = docker::Container::start(image)
                    .map_err(|error| missing.context(format!("Docker did not help either: {error:#}")))?;
                Ok(Started {
                    environment: server_environment(
                        self.variable,
                        &container.url,
                        container.management_url.as_deref(),
                    ),
                    how: format!("{} in Docker", image.name),
                    held: Held::Container { _container: container },
                })
            }
            (Err(missing), _) if self.packages.is_empty() => {
                Err(missing.context(format!("set {}, or", self.variable)))
            }
            (Err(missing), _) => {
                let packages = self.packages.join(" ");
                Err(missing.context(format!("install {packages}, or set {}", self.variable)))
            }
        }
    }

    fn start_local(&self, durability: Durability) -> anyhow::Result<Started> {
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let server = match self.kind {
            Kind::Postgres => Server::postgres(durability)?,
            Kind::Redis => Server::redis()?,
            Kind::RabbitMq => Server::rabbitmq()?,
            Kind::Kubernetes => Server::kubernetes()?,
            Kind::Chromium => {
                let Browser { chromium, chromedriver } = Browser::find()?;
                return Ok(Started {
                    how: chromium.display().to_string(),
                    environment: vec![
                        (self.variable, text(chromium)),
                        ("SHOP_TEST_CHROMEDRIVER", text(chromedriver)),
                    ],
                    held: Held::Nothing,
                });
            }
            Kind::Faketime => return self.found(text(servers::faketime()?)),
            // A test that wants one starts it, in front of its own PostgreSQL.
            Kind::PgBouncer => return self.found(text(servers::pgbouncer()?)),
        };
        let kubeconfig = server.kubeconfig().map(|file| text(file.to_owned()));
        let address = kubeconfig.as_deref().unwrap_or(server.url());
        Ok(Started {
            environment: server_environment(self.variable, address, server.management_url()),
            how: server.url().to_owned(),
            held: Held::Process { _server: server },
        })
    }

    /// The kinds that need no server.
    fn found(&self, path: String) -> anyhow::Result<Started> {
        Ok(Started { how: path.clone(), environment: vec![(self.variable, path)], held: Held::Nothing })
    }
}

fn server_environment(
    variable: &'static str,
    address: &str,
    management_url: Option<&str>,
) -> Vec<(&'static str, String)> {
    let management = management_url.map(|url| ("SHOP_TEST_RABBITMQ_MANAGEMENT_URL", url.to_owned()));
    std::iter::once((variable, address.to_owned())).chain(management).collect()
}
