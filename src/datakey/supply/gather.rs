//! Collects the wrapped keys of one data key from several services: all of them, or the first
//! failure.

use crate::datakey::sync::{Mutex, lock};
use crate::error::Error;
use crate::wrap::WrappedKey;

/// Why there is no key.
pub(crate) struct Unminted {
    /// The index of the recipient whose service did not wrap it, if that is the reason.
    pub(crate) by: Option<usize>,
    pub(crate) error: Error,
}

/// `None`: the order was dropped.
pub(crate) type Outcome<T> = Option<Result<T, Unminted>>;

/// Collects the wrapped keys and calls `arrive` once.
pub(crate) struct Gather<A>(Mutex<Gathered<A>>);

struct Gathered<A> {
    slots: Vec<Option<WrappedKey>>,
    missing: usize,
    /// Receives the result; `None` once it was called.
    arrive: Option<A>,
}

impl<A> Gather<A>
where
    A: FnOnce(Outcome<Vec<WrappedKey>>),
{
    pub(crate) fn new(count: usize, arrive: A) -> Self {
        let slots = (0..count).map(|_| None).collect();
        Self(Mutex::new(Gathered { slots, missing: count, arrive: Some(arrive) }))
    }

    /// Records the result of the recipient with index `place`; `None` if its call was dropped.
    pub(crate) fn came(&self, place: usize, wrapped: Outcome<WrappedKey>) {
        let mut gathered = lock(&self.0);
        let all = match wrapped {
            Some(Ok(slot)) => {
                gathered.slots[place] = Some(slot);
                gathered.missing -= 1;
                if gathered.missing > 0 {
                    return;
                }
                Some(Ok(gathered.slots.drain(..).flatten().collect()))
            }
            // Without this slot the key is useless, so the others are not waited for.
            Some(Err(unminted)) => Some(Err(unminted)),
            None => None,
        };
        let arrive = gathered.arrive.take();
        // Outside the lock: the receiver may order again.
        drop(gathered);
        if let Some(arrive) = arrive {
            arrive(all);
        }
    }
}
