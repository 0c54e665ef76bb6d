//! One cell of the matrix: what it sets up, what it does, and how that compares.

use crate::fault_matrix::act::{Caller, PLAINTEXT, Product};
use crate::fault_matrix::table::{Ends, Row, Seen, Want};
use ncp_envelope::emulator::{Emulator, Fault};
use ncp_envelope::format::Header;
use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, RateLimit};
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EncryptOptions, Envelope, ErrorKind, KeyWrapper, Result, WrappedKey,
};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Call {
    Encrypt,
    Decrypt,
    ReEncrypt,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Callers {
    One,
    Hundred,
    Cancelled,
}

pub(crate) struct Cell {
    pub(crate) row: Arc<Row>,
    pub(crate) standing: bool,
    pub(crate) call: Call,
    pub(crate) warm: bool,
    pub(crate) callers: Callers,
}

/// What a cell is to come to.
struct Expected {
    /// How many results there are.
    results: usize,
    failed: RangeInclusive<usize>,
    kind: Option<ErrorKind>,
    attempts: RangeInclusive<u64>,
    requests: RangeInclusive<u64>,
    /// Attempts that one decrypt of the message makes once the fault is gone: none if the cache
    /// holds its key.
    later: u64,
}

/// How long the emulator holds the requests of calls that others join, or that are dropped.
const HELD: Duration = Duration::from_millis(50);
const NONE: Duration = Duration::ZERO;
/// How often a cell is tried whose call has ended before it could be dropped.
const AGAIN: usize = 20;
/// No call hangs: this much past its own time it must have ended.
const MARGIN: Duration = Duration::from_secs(5);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.standing { "until cleared" } else { "once" };
        let cache = if self.warm { "warm" } else { "cold" };
        write!(
            f,
            "{:24} | {times:13} | {:9?} | {cache} | {:9?}",
            self.row.name, self.call, self.callers
        )
    }
}

fn client(emulator: &Emulator) -> ClientBuilder {
    let credentials = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let builder = Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(credentials);
    builder.circuit_breaker(false).rate_limit(RateLimit::Off)
}

impl Cell {
    /// What differs from the table.
    pub(crate) async fn run(&self) -> Vec<String> {
        for _ in 0..AGAIN {
            if let Some(wrong) = self.try_run().await {
                return wrong;
            }
        }
        vec!["the call always ended before it could be dropped".to_owned()]
    }

    /// Nothing if the call that was to be dropped had ended before.
    async fn try_run(&self) -> Option<Vec<String>> {
        let emulator = Emulator::builder().unthrottled().start().await.unwrap();
        let bystander = client(&emulator).build().unwrap().key(emulator.key_tag()).unwrap();
        let plain = Envelope::builder(bystander.clone()).build().unwrap();
        let message = plain.encrypt(PLAINTEXT, EncryptOptions::new()).await.unwrap();
        let wrapped = wrapped(&message);
        emulator.rotate_key(emulator.key_tag()).await.unwrap();

        let (attempt, all) = if self.row.slow { (600, 4_000) } else { (3_000, 6_000) };
        let (attempt, all) = (Duration::from_millis(attempt), Duration::from_millis(all));
        let builder =
            client(&emulator).connect_timeout(attempt).attempt_timeout(attempt).call_timeout(all);
        let key = builder.build().unwrap().key(emulator.key_tag()).unwrap();
        let limits = CacheLimits::new(Duration::from_secs(3_600));
        let envelope = Envelope::builder(key.clone()).cache(limits).build().unwrap();
        if self.warm {
            envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap();
        }
        let payload = Arc::new(
            bystander.unwrap_keys(std::slice::from_ref(&wrapped)).await.unwrap().remove(0),
        );
        let caller = Caller { key, envelope, message, wrapped, payload };
        let attempts = || caller.key.client().stats().attempts;

        let fault = Fault::new(self.row.fault.clone());
        emulator.inject(if self.standing { fault } else { fault.once() }).await.unwrap();
        let before = (attempts(), emulator.request_count());
        let act = async {
            match self.callers {
                Callers::One => Some(vec![caller.begin(self.call).await]),
                Callers::Hundred => {
                    // A call keeps running by itself, and must not end before all have joined it.
                    emulator.set_latency(if self.call == Call::Decrypt { HELD } else { NONE });
                    let results = caller.together(self.call, 100).await;
                    emulator.set_latency(NONE);
                    Some(results)
                }
                Callers::Cancelled => {
                    // Nor before it is dropped.
                    emulator.set_latency(HELD);
                    let cached = self.warm && self.call == Call::Decrypt;
                    let results =
                        caller.give_up(self.call, cached, self.row.lingers, &emulator).await;
                    emulator.set_latency(NONE);
                    results
                }
            }
        };
        let Ok(results) = timeout(all + MARGIN, act).await else {
            return Some(vec!["hangs".to_owned()]);
        };
        let results = results?;
        let made = (attempts() - before.0, emulator.request_count() - before.1);
        emulator.clear_faults().await;
        // On the thread that calls are made on a later one runs after the end of one that was
        // dropped, which counts nothing from then on.
        bystander.encrypt(b"later").await.unwrap();

        let expected = self.expected();
        let mut wrong = expected.compare(&results, made);
        let before = attempts();
        let refused = self.call == Call::Decrypt
            && expected.kind.is_some_and(is_refusal)
            && results.iter().any(Result::is_err);
        let afterwards = async {
            if refused {
                match caller.begin(Call::Decrypt).await {
                    Err(error) if expected.kind == Some(error.kind()) && attempts() == before => {}
                    other => wrong.push(format!(
                        "a refusal is not remembered: {other:?}, {} attempts",
                        attempts() - before
                    )),
                }
                caller.envelope.invalidate(caller.wrapped.key_id().id());
            }
            match caller.begin(Call::Decrypt).await {
                Ok(Product::Plaintext(plaintext)) if plaintext == PLAINTEXT => {}
                other => wrong.push(format!("a decrypt afterwards gives {other:?}")),
            }
            let later = attempts() - before;
            if later != expected.later {
                wrong.push(format!(
                    "a decrypt afterwards makes {later} attempts, not {}",
                    expected.later
                ));
            }
            if let Err(error) = caller.begin(self.call).await {
                wrong.push(format!("the call afterwards gives {error:?}"));
            }
            // Of a hundred, one has another product, and it is unknown which.
            if self.standing || self.callers != Callers::Hundred {
                for product in results.into_iter().flatten() {
                    wrong.extend(self.check(product, &bystander, &caller.wrapped).await);
                    if self.callers == Callers::Hundred {
                        break;
                    }
                }
            }
        };
        if timeout(3 * all + MARGIN, afterwards).await.is_err() {
            wrong.push("hangs afterwards".to_owned());
        }
        Some(wrong)
    }

    fn ends(&self) -> &Ends {
        match self.call {
            Call::Encrypt => &self.row.encrypt,
            Call::Decrypt => &self.row.decrypt,
            Call::ReEncrypt => &self.row.re_encrypt,
        }
    }

    /// How many of so many attempts, the first of them hit by the fault, the emulator writes down.
    fn requests(&self, attempts: u64) -> u64 {
        match (self.row.seen, self.standing) {
            (Seen::Always, _) => attempts,
            (Seen::Never, true) => 0,
            (Seen::Never, false) => attempts - 1,
            // One connection was open, and only if the client had made a call.
            (Seen::Reused, _) => u64::from(self.warm),
        }
    }

    fn expected(&self) -> Expected {
        let ends = self.ends();
        let want: &Want = if self.standing { &ends.standing } else { &ends.once };
        let one = usize::from(want.kind.is_some());
        let shared = self.call == Call::Decrypt;
        let requests = self.requests(want.attempts);
        let expected = |results,
                        failed,
                        attempts: RangeInclusive<u64>,
                        requests: RangeInclusive<u64>,
                        later| Expected {
            results,
            failed,
            kind: ends.kind,
            attempts,
            requests,
            later,
        };
        // Whatever happens to the service, the cache has the key.
        if self.warm && shared {
            let results = if self.callers == Callers::Hundred { 100 } else { 1 };
            return expected(results, 0..=0, 0..=0, 0..=0, 0);
        }
        let misled = self.row.misleads && self.standing && self.callers != Callers::Cancelled;
        let later = match (self.warm, shared) {
            (true, _) => 0,
            (false, true) => u64::from(want.kind.is_some()),
            (false, false) => 1 + u64::from(misled),
        };
        // An idle connection that turns out to be closed costs no attempt of the call's.
        let free = u64::from(self.warm && self.row.drops && self.standing);
        match (self.callers, shared) {
            (Callers::One, _) => {
                let attempts = want.attempts + free;
                let requests = self.requests(attempts);
                expected(1, one..=one, attempts..=attempts, requests..=requests, later)
            }
            // One of them asks for all.
            (Callers::Hundred, true) => expected(
                100,
                one * 100..=one * 100,
                want.attempts..=want.attempts,
                requests..=requests,
                later,
            ),
            (Callers::Hundred, false) => {
                let attempts =
                    want.crowd_attempts.start() + free..=want.crowd_attempts.end() + free;
                let requests = self.requests(*attempts.start())..=self.requests(*attempts.end());
                expected(100, want.crowd_failed.clone(), attempts, requests, later)
            }
            // The first is cancelled, and what it started keeps running for the others.
            (Callers::Cancelled, true) => expected(
                2,
                2 * one..=2 * one,
                want.attempts..=want.attempts,
                requests..=requests,
                later,
            ),
            (Callers::Cancelled, false) => {
                // It keeps running until it is dropped, so it may be anywhere.
                let (attempts, requests) = if self.row.lingers {
                    (1..=1, self.requests(1)..=self.requests(1))
                } else {
                    (0..=want.attempts + free, 0..=self.requests(want.attempts + free))
                };
                expected(0, 0..=0, attempts, requests, later)
            }
        }
    }

    /// What is wrong with what a call returned.
    async fn check(
        &self,
        product: Product,
        key: &dyn KeyWrapper,
        original: &WrappedKey,
    ) -> Option<String> {
        let (opened, version) = match product {
            Product::Plaintext(plaintext) => {
                return (plaintext != PLAINTEXT).then(|| "another plaintext".to_owned());
            }
            Product::Wrapped(moved) => (same(key, original, &moved).await, key.key_version(&moved)),
        };
        let fits = match opened {
            Ok(right) => right && self.row.opens,
            Err(error) => !self.row.opens && error.kind() == ErrorKind::Authentication,
        };
        (!fits || version != Some(self.row.version))
            .then(|| format!("what was returned has version {version:?} and opens: {fits}"))
    }
}

impl Expected {
    fn compare(
        &self,
        results: &[Result<Product>],
        (attempts, requests): (u64, u64),
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut kinds = BTreeMap::new();
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            *kinds.entry(format!("{:?}", error.kind())).or_insert(0_usize) += 1;
        }
        let failed = kinds.values().sum();
        let of_kind =
            self.kind.and_then(|kind| kinds.get(&format!("{kind:?}")).copied()).unwrap_or_default();
        if results.len() != self.results || !self.failed.contains(&failed) || of_kind != failed {
            let first = results.iter().find_map(|result| result.as_ref().err());
            let (of, wanted, kind) = (results.len(), &self.failed, self.kind);
            wrong.push(format!(
                "of {of} callers {failed} fail, {kinds:?}, not of {} {wanted:?} \
                with {kind:?}: {first:?}",
                self.results
            ));
        }
        for (what, got, wanted) in
            [("attempts", attempts, &self.attempts), ("requests", requests, &self.requests)]
        {
            if !wanted.contains(&got) {
                wrong.push(format!("{got} {what}, not {wanted:?}"));
            }
        }
        wrong
    }
}

/// Whether the cache remembers it for a moment: what says something of the key or the caller.
fn is_refusal(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Internal)
}

fn wrapped(message: &[u8]) -> WrappedKey {
    Header::decode(message).unwrap().slots().slots()[0].clone()
}

/// Whether both are of the same data key.
async fn same(key: &dyn KeyWrapper, one: &WrappedKey, other: &WrappedKey) -> Result<bool> {
    let (one, other) = (one.clone(), other.clone());
    let unwrapped =
        [key.unwrap_keys(&[one]).await?.remove(0), key.unwrap_keys(&[other]).await?.remove(0)];
    Ok(unwrapped[0].expose_secret() == unwrapped[1].expose_secret())
}
