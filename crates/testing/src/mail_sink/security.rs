use super::certificate::TestCertificate;

/// How the sink protects its connections.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    Clear,
    /// STARTTLS, and no mail without it.
    StartTls(TestCertificate),
    /// TLS from the first byte.
    Implicit(TestCertificate),
}
