//! The active faults, and which of them a request meets.

use crate::emulator::action;
use crate::emulator::faults::fault::{Fault, FaultId, FaultKind};
use crate::error::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub(crate) struct Faults {
    /// The latency at the start.
    latency: Duration,
    injected: Mutex<Injected>,
    /// Whether the port should be open.
    gate: watch::Sender<bool>,
    /// Whether the port is open.
    open: watch::Receiver<bool>,
}

struct Injected {
    faults: Vec<(FaultId, Fault, Sequence)>,
    next: u64,
    latency: Duration,
}

/// The part of a request that decides which faults it meets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// The name of the call; none if the request is not a call.
    pub(crate) action: Option<&'static str>,
    /// The tag of the call's key.
    pub(crate) key: Option<&'a str>,
}

/// What happens to one request.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) latency: Duration,
    /// Milliseconds.
    pub(crate) shift: i64,
    pub(crate) kind: Option<FaultKind>,
    /// The fault's name in the record.
    pub(crate) name: Option<&'static str>,
}

impl Faults {
    /// `gate` and `open` are the other ends of those that
    /// [`IdleListener`](crate::emulator::http::idle::IdleListener) has.
    pub(crate) fn new(
        latency: Duration,
        gate: watch::Sender<bool>,
        open: watch::Receiver<bool>,
    ) -> Self {
        let injected = Mutex::new(Injected { faults: Vec::new(), next: 1, latency });
        Self { latency, injected, gate, open }
    }

    /// What a request meets, of the faults that match: every latency and clock shift, and the first
    /// of the others.
    pub(crate) fn plan(&self, asked: Asked<'_>) -> Plan {
        let mut injected = self.lock();
        let latency = if asked.is_metadata() { Duration::ZERO } else { injected.latency };
        let mut plan = Plan { latency, ..Plan::default() };
        for (_, fault, sequence) in &mut injected.faults {
            let modifies = matches!(fault.kind, FaultKind::Latency(_) | FaultKind::ClockShift(_));
            if (!modifies && plan.kind.is_some())
                || fault.times == Some(0)
                || !matches(fault, asked)
                || !sequence.hits(fault.probability)
            {
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            plan.name.get_or_insert(fault.kind.name());
            match &fault.kind {
                FaultKind::Latency(by) => plan.latency = plan.latency.saturating_add(*by),
                FaultKind::ClockShift(by) => plan.shift = plan.shift.saturating_add(*by),
                kind => {
                    plan.name = Some(kind.name());
                    plan.kind = Some(kind.clone());
                }
            }
        }
        injected.faults.retain(|(_, fault, _)| fault.times != Some(0));
        plan
    }

    /// Adds a fault. It is active once this returns.
    pub(crate) async fn inject(&self, fault: Fault) -> Result<FaultId> {
        fault.check()?;
        let id = {
            let mut injected = self.lock();
            let id = FaultId(injected.next);
            injected.next += 1;
            injected.faults.push((id, fault, Sequence(0)));
            id
        };
        self.settle().await;
        Ok(id)
    }

    /// Removes one fault, or all. Returns whether there was any.
    pub(crate) async fn clear(&self, id: Option<FaultId>) -> bool {
        let cleared = {
            let mut injected = self.lock();
            let before = injected.faults.len();
            injected.faults.retain(|(known, _, _)| id.is_some_and(|id| id != *known));
            injected.faults.len() < before
        };
        self.settle().await;
        cleared
    }

    /// The active faults, oldest first.
    pub(crate) fn list(&self) -> Vec<(FaultId, Fault)> {
        self.lock().faults.iter().map(|(id, fault, _)| (*id, fault.clone())).collect()
    }

    /// Delays every request by this much from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Removes all faults and restores the latency of the start.
    pub(crate) async fn reset(&self) {
        self.set_latency(self.latency);
        self.clear(None).await;
    }

    /// Opens or closes the port, and waits for it.
    async fn settle(&self) {
        let open = !self.lock().faults.iter().any(|(_, fault, _)| fault.kind == FaultKind::Refused);
        self.gate.send_replace(open);
        // Fails once the server has ended; the port is closed then.
        let _ = self.open.clone().wait_for(|now| *now == open).await;
    }

    fn lock(&self) -> MutexGuard<'_, Injected> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    fn is_metadata(self) -> bool {
        self.action.is_some_and(action::is_metadata)
    }
}

/// The metadata service meets only faults that name one of its calls: a test of the key service
/// must not lose its credentials.
fn matches(fault: &Fault, asked: Asked<'_>) -> bool {
    let action = match fault.action.as_deref() {
        Some(name) => asked.action == Some(name),
        None => !asked.is_metadata(),
    };
    action && fault.key.as_deref().is_none_or(|key| asked.key == Some(key))
}

/// A pseudo-random sequence, the same in every run.
struct Sequence(u64);

impl Sequence {
    /// Sebastiano Vigna's SplitMix64, reduced to the 53 bits that a float holds.
    fn hits(&mut self, probability: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[allow(clippy::cast_precision_loss)]
        let part = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        part < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> Faults {
        let (gate, open) = (watch::channel(true).0, watch::channel(true).1);
        Faults::new(Duration::ZERO, gate, open)
    }

    #[tokio::test]
    async fn a_fault_hits_what_it_is_for_and_as_often() {
        let faults = faults();
        let encrypt = Asked { action: Some("encrypt"), key: Some("tag") };
        let decrypt = Asked { action: Some("decrypt"), ..encrypt };
        let other = Asked::default();
        faults.inject(Fault::new(FaultKind::Silent).on_action("encrypt").times(2)).await.unwrap();
        let id = faults.inject(Fault::new(FaultKind::NotJson).on_key("tag")).await.unwrap();
        faults.inject(Fault::new(FaultKind::Latency(Duration::from_secs(1)))).await.unwrap();
        let met = |asked| faults.plan(asked).name;
        assert_eq!(
            [met(encrypt), met(encrypt), met(encrypt)],
            [Some("silent"), Some("silent"), Some("not-json")]
        );
        assert_eq!(faults.list().len(), 2);
        assert_eq!((met(decrypt), met(other)), (Some("not-json"), Some("latency")));
        assert_eq!(faults.plan(encrypt).latency, Duration::from_secs(1));
        assert!(faults.clear(Some(id)).await && !faults.clear(Some(id)).await);
        assert_eq!(met(encrypt), Some("latency"));
        assert!(faults.clear(None).await);
        assert_eq!(met(encrypt), None);
    }

    #[tokio::test]
    async fn the_metadata_service_meets_its_own_faults_only() {
        let faults = faults();
        faults.set_latency(Duration::from_secs(1));
        faults.inject(Fault::new(FaultKind::Silent)).await.unwrap();
        let keys = Asked { action: Some(action::METADATA_KEYS), key: None };
        let plan = faults.plan(keys);
        assert_eq!((plan.name, plan.latency), (None, Duration::ZERO));
        let fault = Fault::new(FaultKind::NotJson).on_action(action::METADATA_KEYS);
        faults.inject(fault).await.unwrap();
        assert_eq!(faults.plan(keys).name, Some("not-json"));
        let roles = Asked { action: Some(action::METADATA_ROLES), key: None };
        assert_eq!(faults.plan(roles).name, None);
    }

    #[tokio::test]
    async fn chance_is_about_right_and_repeats() {
        let count = async |probability| {
            let faults = faults();
            faults.inject(Fault::new(FaultKind::Silent).probability(probability)).await.unwrap();
            (0..1_000).filter(|_| faults.plan(Asked::default()).kind.is_some()).count()
        };
        assert_eq!((count(0.0).await, count(1.0).await), (0, 1_000));
        let some = count(0.3).await;
        assert!((250..350).contains(&some), "{some}");
        assert_eq!(count(0.3).await, some);
    }

    #[tokio::test]
    async fn faults_that_cannot_be_are_refused() {
        let status = |status| FaultKind::Status {
            status,
            shape: crate::emulator::faults::fault::FaultShape::Service,
            retry_after: None,
        };
        for wrong in [
            Fault::new(FaultKind::Silent).on_action("dance"),
            Fault::new(FaultKind::Silent).probability(1.5),
            Fault::new(FaultKind::Silent).probability(f64::NAN),
            Fault::new(FaultKind::Refused).once(),
            Fault::new(FaultKind::Refused).on_key("tag"),
            Fault::new(status(200)),
            Fault::new(FaultKind::Redirect("a\r\nb".into())),
            Fault::new(FaultKind::Code("Failed".into())),
            Fault::new(FaultKind::Code("Failed".into())).on_action("encrypt"),
            Fault::new(FaultKind::Code("Failed".into())).on_action(action::METADATA_ROLES),
            Fault::new(FaultKind::StaleVersion).on_action(action::METADATA_KEYS),
            Fault::new(FaultKind::MissingField).on_action(action::METADATA_TOKEN),
            Fault::new(FaultKind::Silent).on_action(action::METADATA_KEYS).on_key("tag"),
        ] {
            assert!(faults().inject(wrong).await.is_err());
        }
    }
}
