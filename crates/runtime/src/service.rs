use std::{
    ffi::OsString,
    future::Future,
    io::{Read as _, Write as _},
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use shop_core::Clock;
use shop_messaging::{Broker, Subscription};

use crate::{
    Lifecycle,
    bus::{Bus, Queues},
    config,
    health::Health,
    http::{ApiDoc, HttpConfig},
    metrics::Metrics,
    telemetry,
};

/// What a service gets from the process that hosts it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The service's name, as in compose: `auth_service`.
    pub name: &'static str,
    /// Tasks and shutdown.
    pub lifecycle: Lifecycle,
    /// The clock.
    pub clock: Clock,
    /// The service's own metrics.
    pub metrics: Metrics,
    /// What the service depends on, for `/readyz`.
    pub health: Health,
    /// How its HTTP is served.
    pub http: HttpConfig,
    /// The event bus: `scope.bus.open(&config.rabbitmq_url)`.
    pub bus: Bus,
}

impl Scope {
    /// Creates the scope of service `name`, in the process of `lifecycle`.
    pub fn new(name: &'static str, lifecycle: &Lifecycle) -> Self {
        Self {
            name,
            lifecycle: lifecycle.clone(),
            clock: Clock::system(),
            metrics: Metrics::default(),
            health: Health::new(name, lifecycle.stopping()),
            http: HttpConfig::default(),
            bus: Bus::default(),
        }
    }
}

/// A deployable service. `main.rs` runs it alone; the `shop` binary runs it together with all others.
pub trait Service: 'static {
    /// The name in `/health`, in logs and in compose: `auth_service`.
    const NAME: &'static str;
    /// Its description, for `--help`.
    const ABOUT: &'static str;
    /// Its environment variables.
    type Config: Args + Send + 'static;

    /// Starts it and returns the address that it listens on; its tasks continue in the scope's lifecycle.
    fn start(config: Self::Config, scope: Scope) -> impl Future<Output = anyhow::Result<SocketAddr>> + Send;

    /// Migrates its database and returns. Does nothing for a service without one.
    fn migrate(_config: Self::Config) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Opens its event bus: `bus.open(&config.rabbitmq_url).map(Some)` for a service that has one.
    ///
    /// # Errors
    /// As [`Bus::open`].
    fn bus(_config: &Self::Config, _bus: &Bus) -> anyhow::Result<Option<Broker>> {
        Ok(None)
    }

    /// Its subscriptions. Their queues are declared by `migrate`, and before the service starts.
    fn subscriptions(_config: &Self::Config) -> Vec<Subscription> {
        Vec::new()
    }

    /// The address that it listens on, for the `healthcheck` command.
    fn listen(config: &Self::Config) -> SocketAddr;

    /// Its API, for the `openapi` command. `None` for a service without one.
    fn api() -> Option<ApiDoc> {
        None
    }
}

/// Additional commands of a service's binary, for its operator. A tool needs no variables of the service except
/// those that it declares itself, and it has standard output to itself: there is no log.
pub trait Tools: Subcommand {
    /// Runs it, and returns the process's exit code.
    fn run(self) -> impl Future<Output = anyhow::Result<ExitCode>>;
}

/// For a service without tools.
#[derive(Subcommand)]
pub enum NoTools {}

impl Tools for NoTools {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {}
    }
}

#[derive(Parser)]
#[command(name = S::NAME, about = S::ABOUT, long_about = None, version, disable_help_subcommand = true)]
struct Cli<S: Service, T: Tools> {
    #[command(flatten)]
    config: S::Config,
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    telemetry: telemetry::TelemetryConfig,
    #[command(subcommand)]
    command: Option<Command<T>>,
}

/// The same without the service's configuration, which a tool does not need.
#[derive(Parser)]
#[command(name = S::NAME, about = S::ABOUT, long_about = None, version, disable_help_subcommand = true)]
struct ToolCli<S: Service, T: Tools> {
    #[command(subcommand)]
    tool: T,
    #[arg(skip)]
    service: PhantomData<S>,
}

#[derive(Subcommand)]
enum Command<T: Tools> {
    /// Migrate the database and exit
    Migrate,
    /// Ask the running service whether it is ready, and exit 0 or 1: for containers without a shell
    Healthcheck,
    /// Print the API as OpenAPI JSON and exit; needs no configuration
    Openapi,
    #[command(flatten)]
    Tool(T),
}

/// The `main` of a service: reads the configuration, starts telemetry and the service, and waits until it ends.
pub fn main<S: Service>() -> ExitCode {
    main_with_tools::<S, NoTools>()
}

/// The `main` of a service whose binary has the commands of `T` in addition to the common ones.
pub fn main_with_tools<S: Service, T: Tools>() -> ExitCode {
    main_from::<S, T>(&std::env::args_os().collect::<Vec<_>>())
}

/// The same with these arguments, starting with the program's name: for a binary that contains several services.
pub fn main_from<S: Service, T: Tools>(arguments: &[OsString]) -> ExitCode {
    match run::<S, T>(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error:#}", S::NAME);
            ExitCode::FAILURE
        }
    }
}

fn run<S: Service, T: Tools>(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    // Before the configuration is read: neither the API nor a tool depends on it.
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("openapi") => return openapi::<S>(),
        Some(command) if T::has_subcommand(command) => {
            return run_tool(config::parse_from::<ToolCli<S, T>>(arguments)?.tool);
        }
        _ => {}
    }
    install_crypto();
    let Cli { config, http, telemetry, command } = config::parse_from::<Cli<S, T>>(arguments)?;
    let migrate = match command {
        Some(Command::Healthcheck) => {
            return Ok(healthcheck(http.probe_listen.unwrap_or_else(|| S::listen(&config))));
        }
        Some(Command::Openapi) => return openapi::<S>(),
        Some(Command::Tool(tool)) => return run_tool(tool),
        Some(Command::Migrate) => true,
        None => false,
    };
    let telemetry = telemetry::init(S::NAME, &telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        if migrate {
            migrate_with_queues::<S>(config).await?;
            return anyhow::Ok(ExitCode::SUCCESS);
        }
        let lifecycle = Lifecycle::new();
        // Signals are handled from the first moment: process 1 in a container has no default handlers, and a start
        // may wait long for a database.
        let mut running = pin!(lifecycle.clone().run());
        let address = tokio::select! {
            started = start::<S>(config, Scope { http, ..Scope::new(S::NAME, &lifecycle) }) => started?,
            code = &mut running => return Ok(code),
        };
        tracing::info!(service = S::NAME, %address, "listening");
        Ok(running.await)
    });
    // Inside the tracing subscriber's life, so that errors are also in the log.
    if let Err(error) = &outcome {
        tracing::error!(error = format!("{error:#}"), "the service did not start");
    }
    // A blocking task, such as a DNS look-up, must not delay the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    telemetry.shutdown();
    outcome
}

/// Declares the queues that `S` consumes from, and starts it. A process with several services, or with a publisher beside them,
/// starts the publisher last, so that no event is published before its queues exist.
///
/// # Errors
/// A queue cannot be declared as required, or the service cannot start. A broker that is away is not an error: the consumers
/// wait for it.
pub async fn start<S: Service>(config: S::Config, scope: Scope) -> anyhow::Result<SocketAddr> {
    queues::<S>(&config, &scope.bus)?.declare_at_start().await?;
    S::start(config, scope).await
}

async fn migrate_with_queues<S: Service>(config: S::Config) -> anyhow::Result<()> {
    let queues = queues::<S>(&config, &Bus::default())?;
    S::migrate(config).await?;
    queues.declare().await
}

fn queues<S: Service>(config: &S::Config, bus: &Bus) -> anyhow::Result<Queues> {
    Queues::new(S::bus(config, bus)?, S::subscriptions(config))
}

fn run_tool<T: Tools>(tool: T) -> anyhow::Result<ExitCode> {
    install_crypto();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tool.run())
}

/// Makes aws-lc-rs the process's TLS provider. Idempotent; every `main` and test that opens TLS calls it first.
pub fn install_crypto() {
    // An error means that a provider is already installed, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn openapi<S: Service>() -> anyhow::Result<ExitCode> {
    let api = S::api().ok_or_else(|| anyhow::anyhow!("there is no API to describe"))?;
    writeln!(std::io::stdout(), "{}", api.to_pretty_json()?)?;
    Ok(ExitCode::SUCCESS)
}

/// The loopback address of a service that listens on `ip`. `[::]` may mean all IPv4 addresses on a machine without
/// IPv6.
fn loopback(ip: IpAddr) -> &'static [IpAddr] {
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if ip.is_ipv6() { &[V6, V4] } else { &[V4] }
}

/// Asks the service that listens on `listen`, on this machine, whether it is ready. Returns success or failure, with the reason on
/// standard error.
pub fn healthcheck(listen: SocketAddr) -> ExitCode {
    let ip = listen.ip();
    let ips = if ip.is_unspecified() { loopback(ip) } else { std::slice::from_ref(&ip) };
    let patience = Duration::from_secs(3);
    let connect = || {
        let mut outcome = Err(std::io::ErrorKind::AddrNotAvailable.into());
        for ip in ips {
            outcome = TcpStream::connect_timeout(&SocketAddr::new(*ip, listen.port()), patience);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    };
    let ask = || -> std::io::Result<String> {
        let mut stream = connect()?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.split(' ').nth(1) == Some("200") => ExitCode::SUCCESS,
        Ok(answer) => {
            eprintln!("{}", answer.lines().last().unwrap_or_default());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead as _, net::TcpListener, thread};

    use shop_messaging::in_process::InProcessBroker;

    use super::*;
    use crate::BusUrl;

    /// A service with a subscription.
    struct Greeter;

    #[derive(Args)]
    struct GreeterConfig {
        #[arg(long, env = "GREETER_RABBITMQ_URL")]
        rabbitmq_url: BusUrl,
    }

    impl Service for Greeter {
        const NAME: &'static str = "greeter_service";
        const ABOUT: &'static str = "Greets";
        type Config = GreeterConfig;

        async fn start(config: GreeterConfig, scope: Scope) -> anyhow::Result<SocketAddr> {
            // Fails if there is no such queue.
            scope.bus.open(&config.rabbitmq_url)?.dead_letters("greeter", 1).await?;
            Ok(Self::listen(&config))
        }

        fn bus(config: &GreeterConfig, bus: &Bus) -> anyhow::Result<Option<Broker>> {
            bus.open(&config.rabbitmq_url).map(Some)
        }

        fn subscriptions(_config: &GreeterConfig) -> Vec<Subscription> {
            vec![Subscription::new("events", "greeter", ["order.created"])]
        }

        fn listen(_config: &GreeterConfig) -> SocketAddr {
            SocketAddr::from(([127, 0, 0, 1], 1))
        }
    }

    #[tokio::test]
    async fn queues_are_declared_before_the_service_starts() {
        let bus = Bus::of_process(InProcessBroker::default().into());
        let scope = Scope { bus, ..Scope::new(Greeter::NAME, &Lifecycle::new()) };
        start::<Greeter>(GreeterConfig { rabbitmq_url: BusUrl::EMBEDDED }, scope).await.unwrap();
    }

    #[tokio::test]
    async fn migrating_declares_the_queues() {
        let Some(rabbitmq) = shop_testing::rabbitmq().await else { return };
        let config = GreeterConfig { rabbitmq_url: rabbitmq.url.parse().unwrap() };
        let broker = Bus::default().open(&config.rabbitmq_url).unwrap();
        assert!(broker.dead_letters("greeter", 1).await.is_err());
        migrate_with_queues::<Greeter>(config).await.unwrap();
        assert!(broker.dead_letters("greeter", 1).await.unwrap().is_empty());
    }

    /// A service that is ready, asked once.
    fn ready_on(address: &str) -> u16 {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let lines = std::io::BufReader::new(&stream).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            (&stream).write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        });
        port
    }

    #[test]
    fn the_healthcheck_finds_what_listens_on_every_address() {
        // The last is what `[::]` becomes on a kernel without IPv6.
        for (bound, configured) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("127.0.0.1:0", "0.0.0.0"),
            ("[::1]:0", "[::1]"),
            ("[::1]:0", "[::]"),
            ("127.0.0.1:0", "[::]"),
        ] {
            let port = ready_on(bound);
            let outcome = healthcheck(format!("{configured}:{port}").parse().unwrap());
            assert_eq!(outcome, ExitCode::SUCCESS, "{configured} on {bound}");
        }
        assert_eq!(healthcheck("[::]:1".parse().unwrap()), ExitCode::FAILURE);
    }
}
