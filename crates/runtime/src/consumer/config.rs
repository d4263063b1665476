use clap::{Args, ValueEnum};
use shop_outbox::consumer::{Options, Trace};

/// The variables of every service that consumes.
#[derive(Args, Clone, Debug, Default)]
pub struct ConsumerConfig {
    /// Whether handling a message continues the message's trace, or begins a trace of its own that links to it
    #[arg(long = "consumer-trace", env = "CONSUMER_TRACE", value_enum, default_value_t)]
    pub trace: ConsumerTrace,
}

/// What `CONSUMER_TRACE` can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConsumerTrace {
    /// One order is one trace.
    #[default]
    Continue,
    /// Every handling is a trace of its own, for collectors that cannot hold traces that last as long as an order's life.
    Link,
}

impl ConsumerConfig {
    /// The options of a consumer with these settings.
    pub fn options(&self) -> Options {
        let trace = match self.trace {
            ConsumerTrace::Continue => Trace::Child,
            ConsumerTrace::Link => Trace::Link,
        };
        Options { trace, ..Options::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        consumer: ConsumerConfig,
    }

    fn trace(arguments: &[&str]) -> Result<Trace, clap::Error> {
        let cli = Cli::try_parse_from([&["mailer"], arguments].concat())?;
        Ok(cli.consumer.options().trace)
    }

    #[test]
    fn a_trace_is_continued_unless_links_are_asked_for() {
        assert_eq!(trace(&[]).unwrap(), Trace::Child);
        assert_eq!(trace(&["--consumer-trace", "continue"]).unwrap(), Trace::Child);
        assert_eq!(trace(&["--consumer-trace", "link"]).unwrap(), Trace::Link);
        let error = trace(&["--consumer-trace", "both"]).unwrap_err().to_string();
        assert!(error.contains("[possible values: continue, link]"), "{error}");
    }
}
