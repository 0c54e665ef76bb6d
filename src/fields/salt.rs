//! Salts of randomized values (`R-21`).
//!
//! One request to the system's random source serves many salts, of one thread. After a fork, or
//! where a snapshot of a machine is resumed twice, two processes can get the same ones. That is
//! harmless here, unlike for messages: keys and counters follow from the tag, which covers the
//! value, so that a repeated salt shows no more than whether two values are equal.

use super::ciphertext::SALT_LEN;
use crate::error::Result;
use crate::secret::random;
use std::cell::RefCell;

/// Salts for each request.
const SALTS: usize = 64;

struct Salts {
    bytes: [u8; SALTS * SALT_LEN],
    used: usize,
}

thread_local! {
    static SALTS_LEFT: RefCell<Salts> =
        const { RefCell::new(Salts { bytes: [0; SALTS * SALT_LEN], used: SALTS * SALT_LEN }) };
}

/// Fills `salt`, which is empty in deterministic mode.
pub(super) fn fill(salt: &mut [u8]) -> Result<()> {
    if salt.is_empty() {
        return Ok(());
    }
    SALTS_LEFT.with_borrow_mut(|salts| {
        if salts.used + salt.len() > salts.bytes.len() {
            random(&mut salts.bytes)?;
            salts.used = 0;
        }
        let next = &salts.bytes[salts.used..salts.used + salt.len()];
        salt.copy_from_slice(next);
        salts.used += salt.len();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    //
    #[test]
    fn no_salt_comes_twice() {
        let salts = || {
            let next = |_| {
                let mut salt = [0; SALT_LEN];
                fill(&mut salt).unwrap();
                salt
            };
            (0..10 * SALTS).map(next).collect::<Vec<_>>()
        };
        let other = std::thread::spawn(salts);
        let all: HashSet<_> = salts().into_iter().chain(other.join().unwrap()).collect();
        assert_eq!(all.len(), 20 * SALTS);
        assert!(!all.contains(&[0; SALT_LEN]));
    }
}
