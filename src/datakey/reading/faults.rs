//! Which failure is returned when no data key opens a message (`F-33`).

use crate::datakey::failure::Failure;
use crate::error::Error;

/// The failures so far.
#[derive(Default)]
pub(crate) struct Faults {
    /// The first slot, in their order, whose service was unreachable.
    outage: Option<(usize, Error)>,
    /// The first unwrap that was requested.
    first: Option<(usize, Error)>,
}

impl Faults {
    /// Records the failure of the slot with index `place`, requested after `asked` others.
    pub(crate) fn note(&mut self, place: usize, asked: usize, error: Error) {
        if Failure::of(error.kind()) == Failure::Outage {
            keep_earlier(&mut self.outage, place, &error);
        }
        keep_earlier(&mut self.first, asked, &error);
    }

    /// An outage first, since a retry may help.
    pub(crate) fn told(self) -> Error {
        self.outage.or(self.first).map_or_else(Error::authentication, |(_, error)| error)
    }
}

fn keep_earlier(kept: &mut Option<(usize, Error)>, at: usize, error: &Error) {
    if kept.as_ref().is_none_or(|(kept, _)| at < *kept) {
        *kept = Some((at, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    // F-33
    #[test]
    fn the_first_outage_in_the_order_of_slots_is_told_or_else_what_was_asked_first() {
        let told = |noted: &[(usize, usize, ErrorKind)]| {
            let mut faults = Faults::default();
            for (place, asked, kind) in noted {
                faults.note(*place, *asked, Error::new(*kind, format!("{place}")));
            }
            let told = faults.told();
            (told.kind(), told.to_string())
        };
        use ErrorKind::{AccessDenied, Authentication, Throttled, Unavailable};
        assert_eq!(told(&[]).0, Authentication);
        let denied = (0, 1, AccessDenied);
        assert_eq!(told(&[denied, (1, 0, Authentication)]), (Authentication, "1".into()));
        let (early, late) = ((1, 3, Throttled), (2, 2, Unavailable));
        for noted in [[denied, late, early], [early, denied, late], [late, early, denied]] {
            assert_eq!(told(&noted), (Throttled, "1".into()));
        }
        assert_eq!(told(&[denied, late]), (Unavailable, "2".into()));
    }
}
