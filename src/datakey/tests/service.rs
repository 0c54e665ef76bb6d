//! A key service that answers as it is told, when it is told.

#![allow(dead_code)]

use crate::datakey::sync::{Mutex, lock};
use crate::datakey::tests::kit::{binding, key_id};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::wrap::{BoxFuture, KeyId, KeyPayload, KeyWrapper, WrappedKey};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Good,
    Fail(ErrorKind),
    /// The keys of others.
    Wrong,
    /// One result less than there should be.
    Short,
    Panic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Wrap,
    Unwrap,
    Rewrap,
}

/// A call as the service sees it.
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) tag: String,
    /// Wrapped keys, or payloads where those are wrapped.
    pub(crate) keys: Vec<Vec<u8>>,
    state: Mutex<ServiceState>,
}

#[derive(Default)]
struct ServiceState {
    reply: Option<Reply>,
    waker: Option<Waker>,
    polls: usize,
    over: bool,
}

type Plan = Box<dyn FnMut(&Call) -> Option<Reply> + Send>;

pub(crate) struct Service {
    id: KeyId,
    calls: Mutex<Vec<Arc<Call>>>,
    plan: Mutex<Plan>,
    version: Mutex<u32>,
}

impl Service {
    /// One that answers everything at once.
    pub(crate) fn new(tag: &str) -> Self {
        Self {
            id: key_id(tag),
            calls: Mutex::default(),
            plan: Mutex::new(Box::new(|_| Some(Reply::Good))),
            version: Mutex::new(1),
        }
    }

    /// What a call is answered with from now on; `None` lets it wait for [`Call::answer`].
    pub(crate) fn plan(&self, plan: impl FnMut(&Call) -> Option<Reply> + Send + 'static) {
        *lock(&self.plan) = Box::new(plan);
    }

    pub(crate) fn replies(&self, reply: Reply) {
        self.plan(move |_| Some(reply));
    }

    pub(crate) fn holds(&self) {
        self.plan(|_| None);
    }

    /// The key version that it wraps with.
    pub(crate) fn rotate(&self, version: u32) {
        *lock(&self.version) = version;
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.calls).len()
    }

    pub(crate) fn call(&self, at: usize) -> Arc<Call> {
        lock(&self.calls)[at].clone()
    }

    pub(crate) fn last(&self) -> Arc<Call> {
        lock(&self.calls).last().expect("a call").clone()
    }

    /// How many keys each call had.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        lock(&self.calls).iter().map(|call| call.keys.len()).collect()
    }

    /// Calls that were neither answered nor dropped.
    pub(crate) fn in_flight(&self) -> usize {
        lock(&self.calls).iter().filter(|call| !lock(&call.state).over).count()
    }

    async fn reply(&self, op: Op, tag: &KeyId, keys: Vec<Vec<u8>>) -> Result<Arc<Call>> {
        let call = Arc::new(Call { op, tag: tag.id().to_owned(), keys, state: Mutex::default() });
        lock(&self.calls).push(call.clone());
        let planned = (*lock(&self.plan))(&call);
        if planned.is_some() {
            lock(&call.state).reply = planned;
        }
        let _over = Over(&call);
        let reply = poll_fn(|cx| {
            let mut state = lock(&call.state);
            state.polls += 1;
            state.waker = Some(cx.waker().clone());
            state.reply.map_or(Poll::Pending, Poll::Ready)
        });
        match reply.await {
            Reply::Fail(kind) => Err(Error::new(kind, format!("{kind:?}"))),
            Reply::Panic => panic!("planted"),
            Reply::Good | Reply::Wrong | Reply::Short => Ok(call.clone()),
        }
    }
}

struct Over<'a>(&'a Call);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).over = true;
    }
}

impl Call {
    pub(crate) fn answer(&self, reply: Reply) {
        let waker = {
            let mut state = lock(&self.state);
            state.reply = Some(reply);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).over
    }

    pub(crate) fn polls(&self) -> usize {
        lock(&self.state).polls
    }

    fn results<T>(&self, mut make: impl FnMut(&[u8]) -> Result<T>) -> Result<Vec<T>> {
        let reply = lock(&self.state).reply;
        let mut keys = self.keys.clone();
        match reply {
            Some(Reply::Short) => drop(keys.pop()),
            Some(Reply::Wrong) => keys.iter_mut().for_each(|key| {
                // Another key in a sound frame.
                let last = key.len() - 1;
                key[last] = if key[last] == b'e' { b'f' } else { b'e' };
            }),
            _ => {}
        }
        keys.iter().map(|key| make(key)).collect()
    }
}

impl KeyWrapper for Service {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let keys = payloads.iter().map(|payload| hex(payload.expose_secret())).collect();
            let version = *lock(&self.version);
            let call = self.reply(Op::Wrap, &self.id, keys).await?;
            call.results(|key| {
                WrappedKey::new(
                    self.id.clone(),
                    [format!("test:v{version}:").as_bytes(), key].concat(),
                )
            })
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            let call = self.reply(Op::Unwrap, wrapped[0].key_id(), bytes(wrapped)).await?;
            assert!(
                wrapped.iter().all(|key| key.key_id() == wrapped[0].key_id()),
                "two key-encryption keys in one call"
            );
            call.results(|key| {
                Ok(KeyPayload::from_boxed(
                    unhex(key.rsplit(|byte| *byte == b':').next().unwrap()).into(),
                ))
            })
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let call = self.reply(Op::Rewrap, wrapped[0].key_id(), bytes(wrapped)).await?;
            call.results(|key| WrappedKey::new(wrapped[0].key_id().clone(), [key, b"0"].concat()))
        })
    }

    fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        let text = std::str::from_utf8(wrapped.as_bytes()).ok()?;
        text.strip_prefix("test:v")?.split_once(':')?.0.parse().ok()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

fn bytes(keys: &[WrappedKey]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.as_bytes().to_vec()).collect()
}

pub(crate) fn payload(n: u32, scope: &str) -> KeyPayload {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&n.to_be_bytes());
    KeyPayload::encode(&DataKey::copy_from(&key), &binding(scope))
}

pub(crate) fn number(key: &DataKey) -> u32 {
    let bytes = key.expose_secret();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Whether `wrapped` is what an honest service makes of `key`.
pub(crate) fn fits(key: &DataKey, wrapped: &WrappedKey) -> bool {
    wrapped.as_bytes().ends_with(&hex(key.expose_secret()))
}

pub(crate) fn wrapped(id: &KeyId, version: u32, payload: &KeyPayload) -> WrappedKey {
    WrappedKey::new(
        id.clone(),
        [format!("test:v{version}:").as_bytes(), &hex(payload.expose_secret())].concat(),
    )
    .unwrap()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| {
            [
                b"0123456789abcdef"[usize::from(byte >> 4)],
                b"0123456789abcdef"[usize::from(byte & 15)],
            ]
        })
        .collect()
}

fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
