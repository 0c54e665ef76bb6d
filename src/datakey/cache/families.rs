//! How many cached keys each family has, so that an invalidation finds out without a walk over the
//! keys whether it concerns any.

use crate::datakey::ends::{End, Family};
use std::collections::HashMap;
use std::sync::Arc;

/// None without a key.
#[derive(Default)]
pub(crate) struct Families(HashMap<Arc<Family>, usize>);

impl Families {
    /// Counts one more key of the family. All of them share what is returned.
    pub(crate) fn join(&mut self, family: Family) -> Arc<Family> {
        let kept = self.0.get_key_value(&family).map(|(kept, _)| kept.clone());
        let family = kept.unwrap_or_else(|| Arc::new(family));
        *self.0.entry(family.clone()).or_default() += 1;
        family
    }

    /// Counts one less.
    pub(crate) fn leave(&mut self, family: &Arc<Family>) {
        if let Some(count) = self.0.get_mut(family) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(family);
            }
        }
    }

    /// The number of keys in families that `end` touches.
    pub(crate) fn touched(&self, end: &End<'_>) -> usize {
        match end {
            End::Unwraps(family, _) | End::Wraps(family, _) => {
                self.0.get(*family).copied().unwrap_or_default()
            }
            End::All | End::Key(_) | End::Below(..) => self
                .0
                .iter()
                .filter(|(family, _)| end.touches(family))
                .map(|(_, count)| count)
                .sum(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.values().sum()
    }
}
