//! Messages out of an envelope: who may read, whose key is asked for, and what it opens.

use crate::datakey::{Route, Search, Terms, in_parts};
use crate::envelope::handle::Envelope;
use crate::envelope::recent::Read;
use crate::error::{Error, Result};
use crate::format::{Decryptor, Header, PREAMBLE_LEN, Parts};
use crate::policy::{Admitted, DecryptPolicy};
use crate::secret::DataKey;
use crate::wrap::WrappedKey;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A message whose header was read, and the search for its key.
type Ask = (Arc<Read>, Search);

impl Envelope {
    /// Opens the door to a message: checks `header` against `policy`, obtains the data key and
    /// verifies the commitment in `preamble`, the 56 bytes behind the header. Push everything after
    /// those into the decryptor.
    ///
    /// # Errors
    /// Before any call to the key service: what [`DecryptPolicy`] refuses. After it: those of the
    /// wrapper, and [`ErrorKind::Authentication`](crate::ErrorKind::Authentication).
    pub async fn decryptor(
        &self,
        header: &Header,
        preamble: &[u8; PREAMBLE_LEN],
        policy: &DecryptPolicy,
    ) -> Result<Decryptor> {
        let open =
            |key: &DataKey| Decryptor::new(key, header.bound(), preamble, policy.aad_bytes());
        self.unwrap_with(header, policy, open).await
    }

    /// Checks `header` against `policy`, and looks for the data key that satisfies `open`.
    pub(crate) async fn unwrap_with<T>(
        &self,
        header: &Header,
        policy: &DecryptPolicy,
        open: impl FnMut(&DataKey) -> Result<T>,
    ) -> Result<T> {
        let admitted = self.admitted(header, policy)?;
        let (readers, slots) = (&self.0.keys.readers, header.slots().slots());
        let routes = accepted(readers.routes(slots).into_iter(), slots, admitted);
        readers.open(slots, routes, terms(admitted, policy), open).await
    }

    fn admitted<'a>(
        &'a self,
        header: &'a Header,
        policy: &'a DecryptPolicy,
    ) -> Result<Admitted<'a>> {
        policy.admit(header, &self.0.recipients)
    }

    /// Whether `policy` lets this reader go on to ask for a key; asks nobody.
    ///
    /// # Errors
    /// What [`DecryptPolicy`] refuses.
    pub fn admit(&self, header: &Header, policy: &DecryptPolicy) -> Result<()> {
        self.admitted(header, policy).map(drop)
    }

    /// Decrypts a message that fits memory. Returns nothing unless the whole message is authentic;
    /// the plaintext is wiped when dropped.
    ///
    /// # Errors
    /// Before any call to the key service: [`Malformed`](crate::ErrorKind::Malformed),
    /// [`Truncated`](crate::ErrorKind::Truncated),
    /// [`UnsupportedVersion`](crate::ErrorKind::UnsupportedVersion),
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded),
    /// [`NotAccepted`](crate::ErrorKind::NotAccepted) and
    /// [`KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed). After it: those of the wrapper, and
    /// [`Authentication`](crate::ErrorKind::Authentication).
    pub async fn decrypt(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::new());
        self.decrypt_into(message, policy, &mut out).await?;
        Ok(out)
    }

    /// As [`decrypt`](Self::decrypt), into a buffer in place of what was there. The plaintext is
    /// the caller's to wipe: a `Zeroizing<Vec<u8>>` does that.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); the buffer is wiped and empty then.
    pub async fn decrypt_into(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let result = self.open_into(message, policy, out).await;
        if result.is_err() {
            zeroize::Zeroize::zeroize(out);
        }
        result
    }

    async fn open_into(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let readers = &self.0.keys.readers;
        let read = self.0.recent.read(message, readers)?;
        let admitted = self.admitted(&read.header, policy)?;
        let (parts, slots) = (Parts::of(message, &read.header)?, read.header.slots().slots());
        let routes = accepted(read.routes.iter().copied(), slots, admitted);
        let open = |key: &DataKey| parts.open(key, policy.aad_bytes(), out);
        readers.open(slots, routes, terms(admitted, policy), open).await?
    }

    /// Decrypts many messages that fit memory; the keys that are not in the cache are unwrapped
    /// together, hundreds in one call. One that cannot be opened does not stop the others.
    ///
    /// # Errors
    /// Each message has its own, as [`decrypt`](Self::decrypt).
    pub async fn decrypt_many<M: AsRef<[u8]>>(
        &self,
        messages: &[M],
        policy: &DecryptPolicy,
    ) -> Vec<Result<Zeroizing<Vec<u8>>>> {
        let mut opened = Vec::with_capacity(messages.len());
        for (part, mut asked) in in_parts(messages, |part| self.ask_for(part, policy)) {
            let asked = &mut asked[..];
            for (at, message) in part.iter().enumerate() {
                let Some((first, later)) = asked[at..].split_first_mut() else { break };
                let taken = std::mem::replace(first, Err(Error::authentication()));
                let (result, moved_on) = self.open_asked(message.as_ref(), policy, taken).await;
                opened.push(result);
                if moved_on {
                    let searches = later.iter_mut().filter_map(|asked| asked.as_mut().ok());
                    let searches =
                        searches.map(|(read, search)| (search, read.header.slots().slots()));
                    self.0.keys.readers.hurry(searches);
                }
            }
        }
        opened
    }

    /// Reads the headers, and asks for the first key of each that is admitted.
    fn ask_for<M: AsRef<[u8]>>(&self, messages: &[M], policy: &DecryptPolicy) -> Vec<Result<Ask>> {
        let readers = &self.0.keys.readers;
        let mut asking = readers.asking();
        let ask = |message: &M| {
            let read = self.0.recent.read(message.as_ref(), readers)?;
            let admitted = self.admitted(&read.header, policy)?;
            Parts::of(message.as_ref(), &read.header)?;
            let slots = read.header.slots().slots();
            let routes = accepted(read.routes.iter().copied(), slots, admitted);
            let search = asking.begin(routes, slots, terms(admitted, policy));
            Ok((read, search))
        };
        let asked = messages.iter().map(ask).collect();
        asking.send();
        asked
    }

    /// Opens a message, and says whether another recipient had to be asked than was asked first.
    async fn open_asked(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        asked: Result<Ask>,
    ) -> (Result<Zeroizing<Vec<u8>>>, bool) {
        let (read, search) = match asked {
            Ok(asked) => asked,
            Err(error) => return (Err(error), false),
        };
        let parts = match Parts::of(message, &read.header) {
            Ok(parts) => parts,
            Err(error) => return (Err(error), false),
        };
        let mut out = Zeroizing::new(Vec::new());
        let open = |key: &DataKey| parts.open(key, policy.aad_bytes(), &mut out);
        let slots = read.header.slots().slots();
        let (opened, moved_on) = self.0.keys.readers.finish(search, slots, open).await;
        (opened.and_then(|opened| opened).map(|()| out), moved_on)
    }
}

/// The ways to the slots that are admitted.
fn accepted<'a>(
    routes: impl Iterator<Item = Route> + 'a,
    slots: &'a [WrappedKey],
    admitted: Admitted<'a>,
) -> impl Iterator<Item = Route> + 'a {
    routes.filter(move |route| admitted.accepts(slots[route.slot].key_id()))
}

fn terms(admitted: Admitted<'_>, policy: &DecryptPolicy) -> Terms {
    Terms { max_age: policy.key_age_limit(), max_unwraps: admitted.max_unwraps }
}
