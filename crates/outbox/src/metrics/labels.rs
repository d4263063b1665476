//! The labels of the metrics.

/// The broker's answer for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "metrics", derive(prometheus_client::encoding::EncodeLabelValue))]
pub(crate) enum Outcome {
    Ack,
    Nack,
    Returned,
    Refused,
    /// No answer before the deadline: it may have arrived.
    TimedOut,
    /// The connection broke before the answer: it may have arrived.
    Unknown,
}

#[cfg(feature = "metrics")]
impl Outcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Ack, Self::Nack, Self::Returned, Self::Refused, Self::TimedOut, Self::Unknown];
}

/// Which side failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "metrics", derive(prometheus_client::encoding::EncodeLabelValue))]
pub(crate) enum Source {
    Broker,
    Database,
}
