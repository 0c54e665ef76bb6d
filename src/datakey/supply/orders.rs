//! What is on order from the mint: how many keys are coming, whether what comes is still wanted,
//! and what a failure says of the next order. Pool and reuse do this alike.

use crate::datakey::clock::Instant;
use crate::datakey::ends::End;
use crate::datakey::failure::Failure;
use crate::datakey::reaper::NextVisit;
use crate::datakey::supply::gather::Unminted;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// After a failure no keys are ordered ahead of need for this long, and a refusal is remembered for
/// as long.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Orders {
    coming: usize,
    /// Raised when what is coming is to be thrown away.
    epoch: u64,
    quiet: Option<(Instant, Error)>,
    /// Whether demand was met with a larger order since keys last came: those who wait together
    /// are one demand.
    pub(crate) raised: bool,
    pub(crate) visit: NextVisit,
}

/// How many keys to order now, and in which epoch.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) count: usize,
    pub(crate) epoch: u64,
}

impl Orders {
    pub(crate) fn coming(&self) -> usize {
        self.coming
    }

    /// Counts `count` more keys as coming.
    pub(crate) fn place(&mut self, count: usize) -> Placed {
        self.coming += count;
        Placed { count, epoch: self.epoch }
    }

    /// A denial that was heard a moment ago. An outage may have ended since.
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

    /// Counts what was ordered in `epoch` as come, whatever it is. Whether it is still wanted: not
    /// if it was thrown away while it was under way.
    pub(crate) fn expects(&mut self, epoch: u64) -> bool {
        let wanted = self.is_of(epoch);
        if wanted {
            self.coming = self.coming.saturating_sub(1);
        }
        wanted
    }

    /// The key, if it is good for use, and what its coming or failing means for the next order.
    pub(crate) fn judge(
        &mut self,
        minted: std::result::Result<Minted, Unminted>,
        max_age: Option<Duration>,
        mint: &Mint,
        now: Instant,
    ) -> Result<Minted> {
        let minted = minted.map_err(|unminted| unminted.error).and_then(|minted| {
            // One that was long under way may be of no use any more.
            if max_age.is_some_and(|max_age| minted.is_old(max_age, now)) {
                mint.counters.too_old.add();
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the key service took longer to wrap a data key than one may be kept or used",
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

    /// Whether what was ordered in `epoch` is still wanted.
    pub(crate) fn is_of(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }

    /// Throws away what is coming, and says how many that is. After a denial nothing is ordered
    /// ahead for a moment.
    pub(crate) fn end(&mut self, end: End<'_>, now: Instant) -> usize {
        self.epoch += 1;
        self.quiet = match end {
            End::Wraps(_, error) => now.checked_add(QUIET).map(|until| (until, error.clone())),
            _ => None,
        };
        std::mem::take(&mut self.coming)
    }
}
