//! The record of requests, for tests to assert on. It holds no secret.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How many requests are kept; older ones are only counted.
const KEPT: usize = 10_000;
/// The most bytes of all kept requests: an unauthenticated caller can send long paths as often as
/// it likes.
const MAX_BYTES: usize = 8 << 20;

/// How a request was authenticated, or attempted to be.
///
/// ```
/// # #[cfg(feature = "kms")] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{AuthRow, Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
/// assert_eq!(emulator.requests()[0].auth, AuthRow::AccountV2);
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthRow {
    /// Account, API Gateway signature v1.
    AccountV1,
    /// Account, API Gateway signature v2.
    AccountV2,
    /// Access token of a key.
    AccessToken,
    /// Refresh token of a key.
    RefreshToken,
    /// Either token of a key, where both are accepted.
    AnyToken,
    /// The request was refused before authentication.
    None,
}

/// A request that the emulator answered.
///
/// ```
/// # #[cfg(feature = "kms")] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::Emulator;
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// let wrong = Credentials::account(emulator.access_key(), "not-its-secret-key")?;
/// # let client = Client::builder().endpoint(endpoint).credentials(wrong).build()?;
/// assert!(wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?.is_err());
///
/// let request = &emulator.requests()[0];
/// assert_eq!((request.action, request.status), (Some("encrypt"), 401));
/// assert_eq!(request.refusal, Some("signature does not match"));
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The path as received, without the query.
    pub path: String,
    /// The caller's address.
    pub peer: IpAddr,
    /// The name of the call, as the guide lists it; none if the service has no such call.
    pub action: Option<&'static str>,
    /// How the request was authenticated.
    pub auth: AuthRow,
    /// The HTTP status of the answer; 0 if a fault kept it from having one.
    pub status: u16,
    /// Number of plaintexts or ciphertexts: 1 for the single form; 0 if the call carries none or
    /// was refused before they were read.
    pub items: usize,
    /// Why it was refused, for people. The answer does not contain it.
    pub refusal: Option<&'static str>,
    /// The name of the fault it met, as the guide lists it.
    pub fault: Option<&'static str>,
}

#[derive(Default)]
pub(crate) struct Record(Mutex<Requests>);

#[derive(Default)]
struct Requests {
    count: u64,
    last: VecDeque<RecordedRequest>,
    bytes: usize,
}

impl Record {
    pub(crate) fn push(&self, request: RecordedRequest) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.count += 1;
        requests.bytes += weight(&request);
        requests.last.push_back(request);
        while requests.last.len() > KEPT || requests.bytes > MAX_BYTES {
            let Some(oldest) = requests.last.pop_front() else { break };
            requests.bytes -= weight(&oldest);
        }
    }

    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Requests::default();
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}

/// Approximate bytes of memory.
fn weight(request: &RecordedRequest) -> usize {
    size_of::<RecordedRequest>() + request.method.len() + request.path.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn request(path: String) -> RecordedRequest {
        RecordedRequest {
            method: "GET".into(),
            path,
            peer: Ipv4Addr::LOCALHOST.into(),
            action: None,
            auth: AuthRow::None,
            status: 404,
            items: 0,
            refusal: None,
            fault: None,
        }
    }

    #[test]
    fn the_newest_are_kept_up_to_a_number_and_a_size() {
        let record = Record::default();
        for number in 0..KEPT + 5 {
            record.push(request(number.to_string()));
        }
        assert_eq!((record.count(), record.requests().len()), (10_005, KEPT));
        assert_eq!(record.requests()[0].path, "5");

        for _ in 0..KEPT {
            record.push(request("x".repeat(64 << 10)));
        }
        let kept = record.requests();
        let bytes: usize = kept.iter().map(|request| request.path.len()).sum();
        assert!(kept.len() > 100 && bytes <= MAX_BYTES, "{} of {bytes}", kept.len());
        for _ in 0..KEPT {
            record.push(request("/".into()));
        }
        assert_eq!((record.count(), record.requests().len()), (30_005, KEPT));
        record.reset();
        record.push(request("/".into()));
        assert_eq!((record.count(), record.requests().len()), (1, 1));
    }
}
