use std::net::SocketAddr;

use clap::{ArgAction, Args};

/// How HTTP is served: the variables that every service has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub struct HttpConfig {
    /// Where to answer /livez, /readyz and /metrics instead of on the API's port, such as [::]:9000
    #[arg(long, env = "PROBE_LISTEN")]
    pub probe_listen: Option<SocketAddr>,
    /// How long a connection is kept between two requests, in seconds: longer than the load balancer keeps it
    #[arg(
        long,
        env = "HTTP_KEEP_ALIVE_SECONDS",
        default_value_t = Self::DEFAULT.keep_alive_seconds,
        value_parser = clap::value_parser!(u16).range(1..=3600)
    )]
    pub keep_alive_seconds: u16,
    /// How many connections may be open at once; beyond that, a silent one is closed for a new one
    #[arg(
        long,
        env = "HTTP_MAX_CONNECTIONS",
        default_value_t = Self::DEFAULT.max_connections,
        value_parser = clap::value_parser!(u32).range(16..=1_000_000)
    )]
    pub max_connections: u32,
    /// How many of them one address (one /64 network of IPv6) may have; three quarters if unset
    #[arg(
        long,
        env = "HTTP_MAX_CONNECTIONS_PER_PEER",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_connections_per_peer: Option<u32>,
    /// Continue any caller's trace: set it only if nobody but the shop's own services can call
    #[arg(long, env = "TRUST_TRACEPARENT", default_value_t = false, action = ArgAction::Set)]
    pub trust_traceparent: bool,
}

impl HttpConfig {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        probe_listen: None,
        keep_alive_seconds: 75,
        max_connections: 4096,
        max_connections_per_peer: None,
        trust_traceparent: false,
    };
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
