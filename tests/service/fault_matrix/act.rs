//! The calls of a cell: by one, by a hundred, and given up.

use crate::fault_matrix::case::Call;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::Key;
use ncp_envelope::wrap::KeyPayload;
use ncp_envelope::{DecryptPolicy, Envelope, KeyWrapper, Result, WrappedKey};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub(crate) const PLAINTEXT: &[u8] = b"what the message says";

/// What a call returns.
#[derive(Debug)]
pub(crate) enum Product {
    Plaintext(Vec<u8>),
    Wrapped(WrappedKey),
}

pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Product>> + Send>>;

/// The caller, and its key.
pub(crate) struct Caller {
    pub(crate) key: Key,
    /// With a cache, over `key`.
    pub(crate) envelope: Envelope,
    pub(crate) message: Vec<u8>,
    pub(crate) wrapped: WrappedKey,
    /// What is in `wrapped`.
    pub(crate) payload: Arc<KeyPayload>,
}

impl Caller {
    pub(crate) fn begin(&self, call: Call) -> Pending {
        let (key, envelope) = (self.key.clone(), self.envelope.clone());
        match call {
            // By the key, so that each makes a call of its own: an envelope would have a hundred
            // share one.
            Call::Encrypt => {
                let payload = [KeyPayload::copy_from(self.payload.expose_secret())];
                Box::pin(
                    async move { Ok(Product::Wrapped(key.wrap_keys(&payload).await?.remove(0))) },
                )
            }
            Call::Decrypt => {
                let message = self.message.clone();
                Box::pin(async move {
                    let plaintext = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
                    Ok(Product::Plaintext(plaintext.to_vec()))
                })
            }
            Call::ReEncrypt => {
                let wrapped = self.wrapped.clone();
                Box::pin(async move {
                    Ok(Product::Wrapped(key.rewrap_keys(&[wrapped]).await?.remove(0)))
                })
            }
        }
    }

    /// `count` calls at the same time.
    pub(crate) async fn together(&self, call: Call, count: usize) -> Vec<Result<Product>> {
        together((0..count).map(|_| self.begin(call)).collect()).await
    }

    /// One call that is dropped: as soon as the emulator has seen it if it `lingers`, otherwise
    /// once it has begun. Two others want the same all the while, if that can be: their results.
    /// Nothing if the call had ended before it could be dropped, or others could join it, unless
    /// what it asks for is `cached`.
    pub(crate) async fn give_up(
        &self,
        call: Call,
        cached: bool,
        lingers: bool,
        emulator: &Emulator,
    ) -> Option<Vec<Result<Product>>> {
        let before = emulator.request_count();
        let mut leader = self.begin(call);
        if let Poll::Ready(result) = poll_once(&mut leader) {
            return cached.then(|| vec![result]);
        }
        let mut others: Vec<Pending> = if call == Call::Decrypt {
            vec![self.begin(call), self.begin(call)]
        } else {
            Vec::new()
        };
        if others.iter_mut().any(|other| poll_once(other).is_ready())
            || poll_once(&mut leader).is_ready()
        {
            return None;
        }
        if lingers {
            let under_way = tokio::spawn(leader);
            // A request that is not recorded has arrived by then.
            let seen = async {
                while emulator.request_count() == before {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = timeout(Duration::from_millis(200), seen).await;
            under_way.abort();
            let _ = under_way.await;
        } else {
            drop(leader);
        }
        Some(together(others).await)
    }
}

/// The results of calls that have all begun, or gone on, before one of them can go further.
async fn together(mut calls: Vec<Pending>) -> Vec<Result<Product>> {
    let mut done = Vec::new();
    let mut running = JoinSet::new();
    calls.retain_mut(|call| match poll_once(call) {
        Poll::Ready(result) => {
            done.push(result);
            false
        }
        Poll::Pending => true,
    });
    calls.into_iter().for_each(|call| drop(running.spawn(call)));
    done.extend(running.join_all().await);
    done
}

fn poll_once(call: &mut Pending) -> Poll<Result<Product>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
