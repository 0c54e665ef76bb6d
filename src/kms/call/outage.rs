//! What a failure says about the service.

/// What a failed attempt says about the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// It answered, and the answer is about the call.
    No,
    /// It answered that it cannot serve this key, or anything, now.
    Service,
    /// It did not answer.
    Host,
    /// Nothing is known.
    Unknown,
}
