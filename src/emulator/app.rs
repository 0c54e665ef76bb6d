//! What the server's requests and the emulator's owner share.

use super::clock::EmulatorClock;
use super::record::Record;
use super::state::unknown_key;
use super::store::Store;
use super::token::{Generator, Lifetime, TokenType};
use crate::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

pub(super) struct App {
    pub(super) store: Store,
    pub(super) clock: EmulatorClock,
    pub(super) record: Record,
}

impl App {
    /// Mints a token of the key `tag`, and makes the key's token generator if there is none yet, which takes a tenth of a second
    /// or more. Blocks.
    pub(super) fn mint(&self, tag: &str, token_type: TokenType, lifetime: Lifetime) -> Result<Zeroizing<String>> {
        let mut view = self.store.view();
        if !view.key(tag).ok_or_else(unknown_key)?.has_generator() {
            let pkcs8 = Generator::generate().ok_or_else(failed)?;
            self.store.change(|state| state.set_token_generator(tag, pkcs8))?;
            view = self.store.view();
        }
        let generator = view.key(tag).and_then(|key| key.generator()).ok_or_else(failed)?;
        generator.mint(token_type, &view.account.id, tag, lifetime, self.clock.unix_millis()).ok_or_else(failed)
    }
}

fn failed() -> Error {
    Error::new(ErrorKind::Internal, "the emulator's token generator failed")
}
