//! The state shared by the server's requests and the emulator's owner.

use crate::emulator::answer::Refusal;
use crate::emulator::auth::account::Accounts;
use crate::emulator::clock::EmulatorClock;
use crate::emulator::faults::injected::Faults;
use crate::emulator::keys::token::{Generator, Lifetime, TokenType};
use crate::emulator::metadata::Issuer;
use crate::emulator::state::content::{State, UNKNOWN_KEY};
use crate::emulator::state::record::Record;
use crate::emulator::state::storage::Store;
use crate::emulator::state::usage::Usage;
use crate::emulator::throttle::Throttle;
use crate::error::Error;
use zeroize::Zeroizing;

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) clock: EmulatorClock,
    /// The clock's offset at the start.
    pub(crate) clock_offset: i64,
    pub(crate) metadata: Option<Issuer>,
    pub(crate) record: Record,
    /// The metadata service's requests.
    pub(crate) metadata_record: Record,
    pub(crate) usage: Usage,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    /// The URL at which callers reach this emulator.
    pub(crate) base_url: String,
}

impl App {
    /// Changes the state at the clock's time. Blocks.
    pub(crate) fn change<T, E: From<Error> + From<Refusal>>(
        &self,
        change: impl FnOnce(&mut State, i64) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.clock.unix_millis();
        self.store.change(now, |state| change(state, now))
    }

    /// Applies the changes that are due. Blocks.
    pub(crate) fn settle(&self) -> Result<(), Refusal> {
        self.change(|_, _| Ok(()))
    }

    /// Whether changes are due.
    pub(crate) fn is_due(&self) -> bool {
        self.store.view().due.is_some_and(|due| due <= self.clock.unix_millis())
    }

    /// Restores everything that the emulator started with, except for keys in a state directory.
    /// Returns whether the keys were restored.
    pub(crate) async fn reset(&self) -> Result<bool, Error> {
        self.faults.reset().await;
        self.clock.set_offset(self.clock_offset);
        let keys = self.store.reset()?;
        self.accounts.forget_temporary();
        if let Some(issuer) = &self.metadata {
            issuer.reset();
        }
        self.usage.reset();
        self.throttle.reset();
        self.metadata_record.reset();
        self.record.reset();
        Ok(keys)
    }

    /// Gives the key `tag` a token generator, unless it has one. Blocks.
    pub(crate) fn ensure_generator(&self, tag: &str) -> Result<(), Error> {
        if self.store.view().key(tag).is_some_and(|key| key.generator_id().is_some()) {
            return Ok(());
        }
        Ok(self.change(|state, now| state.key(tag)?.install_generator(now))?)
    }

    /// Mints a token of the key `tag` for `subject`, at `now`. A token generator's first token
    /// creates its signing key, which takes a tenth of a second or more. Blocks.
    pub(crate) fn mint(
        &self,
        tag: &str,
        subject: &str,
        token_type: TokenType,
        lifetime: Lifetime,
        now: i64,
    ) -> Result<Zeroizing<String>, Error> {
        let mut view = self.store.view();
        let key = view.key(tag).ok_or(UNKNOWN_KEY)?;
        let id =
            key.generator_id().ok_or(Refusal::status("key has no token generator"))?.to_owned();
        if key.generator().is_none() {
            let pkcs8 = Generator::generate().ok_or(FAILED)?;
            self.store.set_signing_key(self.clock.unix_millis(), tag, &id, pkcs8)?;
            view = self.store.view();
        }
        let generator = view.key(tag).and_then(|key| key.generator()).ok_or(FAILED)?;
        let token = generator.mint(token_type, subject, tag, lifetime, now).ok_or(FAILED)?;
        self.usage.issued(&id);
        Ok(token)
    }
}

const FAILED: Refusal = Refusal::internal("the emulator's token generator failed");
