//! Orders of new keys: how many keys are in flight, whether they are still valid when they arrive,
//! and the backoff after a failure. Shared by pool and reuse.

use crate::datakey::clock::Instant;
use crate::datakey::ends::{End, Registration};
use crate::datakey::failure::Failure;
use crate::datakey::reaper::NextTimer;
use crate::datakey::supply::gather::Unminted;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// Backoff: after a failure no keys are ordered ahead of need for this long, and a denial is
/// returned for as long without a call.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Orders {
    /// Whether keys were ordered since the holder was emptied. Otherwise its [`Registration`]
    /// rests.
    awake: bool,
    coming: usize,
    /// Incremented to discard the keys in flight.
    epoch: u64,
    quiet: Option<(Instant, Error)>,
    /// Whether the order size was raised since keys last arrived: concurrent waiters count as one
    /// demand.
    pub(crate) raised: bool,
    pub(crate) timer: NextTimer,
}

/// How many keys to order now, and the epoch of the order.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) count: usize,
    pub(crate) epoch: u64,
}

impl Orders {
    pub(crate) fn coming(&self) -> usize {
        self.coming
    }

    /// Counts `count` more keys as in flight.
    pub(crate) fn place(&mut self, count: usize, registration: &Registration) -> Placed {
        if count > 0 && !self.awake {
            registration.wake();
            self.awake = true;
        }
        self.coming += count;
        Placed { count, epoch: self.epoch }
    }

    /// An error if the service denied a key a moment ago. An outage may have ended since.
    pub(crate) fn denied(&self, now: Instant) -> Result<()> {
        match &self.quiet {
            Some((until, error))
                if now < *until && Failure::of(error.kind()) != Failure::Outage =>
            {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    /// Whether an order failed a moment ago.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.quiet.as_ref().is_some_and(|(until, _)| now < *until)
    }

    /// Counts a key or failure of `epoch` as arrived. Returns whether it is still valid: not if it
    /// was discarded while in flight.
    pub(crate) fn expects(&mut self, epoch: u64) -> bool {
        let wanted = self.is_of(epoch);
        if wanted {
            self.coming = self.coming.saturating_sub(1);
        }
        wanted
    }

    /// The key, if it can be used. Records success or failure for the backoff.
    pub(crate) fn judge(
        &mut self,
        minted: std::result::Result<Minted, Unminted>,
        max_age: Option<Duration>,
        mint: &Mint,
        now: Instant,
    ) -> Result<Minted> {
        let minted = minted.map_err(|unminted| unminted.error).and_then(|minted| {
            // A key that was in flight for too long has expired.
            if max_age.is_some_and(|max_age| minted.is_old(max_age, now)) {
                mint.counters.too_old.add();
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the key service took longer to wrap a data key than its age limit: raise the \
                     limit, or check the service",
                ));
            }
            mint.unless_retired(minted)
        });
        match &minted {
            Ok(_) => (self.raised, self.quiet) = (false, None),
            Err(error) => {
                self.quiet = now.checked_add(QUIET).map(|until| (until, error.clone()));
            }
        }
        minted
    }

    /// Whether keys of `epoch` are still valid.
    pub(crate) fn is_of(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }

    /// Discards the keys in flight and returns their number. After a denial nothing is ordered
    /// ahead for a moment. `holds` is whether the holder has a key left.
    pub(crate) fn end(
        &mut self,
        end: End<'_>,
        holds: bool,
        now: Instant,
        registration: &Registration,
    ) -> usize {
        if self.awake && !holds {
            registration.rest();
            self.awake = false;
        }
        self.epoch += 1;
        self.quiet = match end {
            End::Wraps(_, error) => now.checked_add(QUIET).map(|until| (until, error.clone())),
            _ => None,
        };
        std::mem::take(&mut self.coming)
    }
}
