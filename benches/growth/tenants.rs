//! Tenants: an envelope for each scope, which share one cache and one key service.

use crate::cells::{Cell, Figures, Random, median, seconds, wrapper};
use crate::machine;
use ncp_envelope::wrap::{BoxFuture, KeyPayload, KeyWrapper, WrappedKey};
use ncp_envelope::{
    CacheLimits, DecryptPolicy, Envelope, Error, ErrorKind, KeyId, LocalKeyWrapper, Result,
    ReuseLimits,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NONE: [(&str, &str); 0] = [];
const LEN: usize = 64;
const LOOK_UPS: usize = 300_000;
const DENIALS: usize = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn tenants(cell: &Cell) -> Figures {
    let units = cell.units as usize;
    let service = Arc::new(Service { keys: wrapper(), denies: AtomicBool::new(false) });
    let limits = CacheLimits::new(HOUR).with_max_keys(units);
    let envelope = Envelope::builder(service.clone()).cache(limits).reuse(ReuseLimits::new(HOUR));
    let envelope = envelope.build().unwrap().blocking();
    let mut messages = vec![Vec::new(); units];
    let bytes_since = |before: f64| (machine::resident() - before) / units as f64;

    let before = machine::resident();
    let mut tenants = Vec::with_capacity(units);
    let make = cell.each(|| {
        tenants.extend((0..units).map(|n| envelope.for_scope(format!("tenant-{n}")).unwrap()));
    });
    let bytes = bytes_since(before);
    let before = machine::resident();
    let write = cell.each(|| {
        for (tenant, message) in tenants.iter().zip(&mut messages) {
            *message = tenant.encrypt([7; LEN], NONE).unwrap();
        }
    });
    let written: usize = messages.iter().map(Vec::capacity).sum();
    let writer_bytes = bytes_since(before) - written as f64 / units as f64;
    let open = |n: usize| drop(tenants[n].decrypt(&messages[n], DecryptPolicy::new()).unwrap());
    let before = machine::resident();
    let read = cell.each(|| (0..units).for_each(open));
    let reader_bytes = bytes_since(before);
    assert_eq!(envelope.stats().cache.keys, units as u64);

    let (mut random, look_ups) = (Random(1), LOOK_UPS as f64);
    let one = seconds(|| (0..LOOK_UPS).for_each(|_| open(units / 2))) / look_ups;
    let any = seconds(|| (0..LOOK_UPS).for_each(|_| open(random.below(units)))) / look_ups;
    assert_eq!(envelope.stats().cache.misses, units as u64);
    let peak = machine::peak();
    let forget = cell.each(|| envelope.forget_keys());

    // Each of another tenant, from all over. The median, because the allocator puts together what
    // was freed before when it pleases.
    service.denies.store(true, Ordering::Relaxed);
    let refused =
        |n: usize| assert!(tenants[n].decrypt(&messages[n], DecryptPolicy::new()).is_err());
    let apart = units / DENIALS;
    let denied = median((0..DENIALS).map(|n| seconds(|| refused(n * apart))).collect());
    let end = cell.each(|| drop(tenants));
    let figures = [
        ("make", make),
        ("write", write),
        ("read", read),
        ("one", one),
        ("any", any),
        ("forget", forget),
        ("denied", denied),
        ("end", end),
        ("bytes", bytes),
        ("writer_bytes", writer_bytes),
        ("reader_bytes", reader_bytes),
        ("peak", peak),
    ];
    figures.map(|(name, figure)| (name.to_owned(), figure)).into()
}

/// A key service that can disable its key.
#[derive(Debug)]
struct Service {
    keys: LocalKeyWrapper,
    denies: AtomicBool,
}

impl KeyWrapper for Service {
    fn key_id(&self) -> &KeyId {
        self.keys.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.keys.wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        if self.denies.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Error::new(ErrorKind::KeyUnusable, "disabled")) });
        }
        self.keys.unwrap_keys(wrapped)
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.keys.rewrap_keys(wrapped)
    }
}
