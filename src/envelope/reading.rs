//! Messages out of an envelope: who may read, whose key is asked for, and what it opens.

use crate::context::EncryptionContext;
use crate::datakey::{Route, Search, Terms, in_parts};
use crate::envelope::handle::Envelope;
use crate::envelope::opened::Opened;
use crate::envelope::recent::Read;
use crate::error::{Error, Result};
use crate::format::{Decryptor, Header, PREAMBLE_LEN, Parts};
use crate::policy::{Admitted, DecryptPolicy, ToDecryptPolicy};
use crate::secret::DataKey;
use crate::wrap::WrappedKey;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A message whose header was read, and the search for its key.
type Ask = (Arc<Read>, Search);

impl Envelope {
    /// Starts to decrypt a message: checks `header` against `policy`, obtains the data key and
    /// verifies the commitment in `preamble`, the 56 bytes after the header. Push everything after
    /// the preamble into the decryptor.
    ///
    /// ```
    /// use ncp_envelope::format::Header;
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// let header = Header::decode(&message)?;
    /// let body = &message[header.bound().body_offset()..];
    /// let (preamble, chunks) = body.split_first_chunk().unwrap();
    /// let mut decryptor = envelope.decryptor(&header, preamble, [("kind", "note")])?;
    /// let mut plaintext = vec![0; chunks.len()];
    /// let taken = decryptor.update(chunks, &mut plaintext)?;
    /// let len = taken.written + decryptor.finish(&mut plaintext[taken.written..])?;
    /// assert_eq!(&plaintext[..len], b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Before any call to the key service: what [`DecryptPolicy`] refuses. After it: those of the
    /// wrapper, and [`ErrorKind::Authentication`](crate::ErrorKind::Authentication).
    pub async fn decryptor(
        &self,
        header: &Header,
        preamble: &[u8; PREAMBLE_LEN],
        policy: impl ToDecryptPolicy,
    ) -> Result<Decryptor> {
        let (policy, backend) = (&*policy.to_policy()?, self.engine.backend);
        let open = |key: &DataKey| {
            Decryptor::on(backend, key, header.bound(), preamble, policy.aad_bytes())
        };
        self.unwrap_with(header, policy, open).await
    }

    /// As [`decryptor`](Self::decryptor), for the fronts of many messages; the keys that are not in
    /// the cache are unwrapped together, hundreds in one call.
    pub(crate) async fn decryptors(
        &self,
        fronts: &[(Header, [u8; PREAMBLE_LEN])],
        policy: &DecryptPolicy,
    ) -> Vec<Result<Decryptor>> {
        let (readers, backend) = (&self.inner.keys.readers, self.engine.backend);
        let mut asking = readers.asking();
        let mut ask = |header: &Header| {
            let (admitted, slots) = (self.admitted(header, policy)?, header.slots().slots());
            let routes = accepted(readers.routes(slots).into_iter(), slots, admitted);
            Ok(asking.begin(routes, slots, terms(admitted, policy)))
        };
        let mut asked: Vec<_> = fronts.iter().map(|(header, _)| Some(ask(header))).collect();
        asking.send();
        let mut decryptors = Vec::with_capacity(fronts.len());
        for (at, (header, preamble)) in fronts.iter().enumerate() {
            let search = match asked[at].take() {
                Some(Ok(search)) => search,
                Some(Err(error)) => {
                    decryptors.push(Err(error));
                    continue;
                }
                None => continue,
            };
            let open = |key: &DataKey| {
                Decryptor::on(backend, key, header.bound(), preamble, policy.aad_bytes())
            };
            let (opened, moved_on) = readers.finish(search, header.slots().slots(), open).await;
            decryptors.push(opened);
            if moved_on {
                let later = asked[at + 1..].iter_mut().zip(&fronts[at + 1..]);
                readers.hurry(later.filter_map(|(asked, (header, _))| match asked {
                    Some(Ok(search)) => Some((search, header.slots().slots())),
                    _ => None,
                }));
            }
        }
        decryptors
    }

    /// Checks `header` against `policy`, and looks for the data key that satisfies `open`.
    pub(crate) async fn unwrap_with<T>(
        &self,
        header: &Header,
        policy: &DecryptPolicy,
        open: impl FnMut(&DataKey) -> Result<T>,
    ) -> Result<T> {
        let admitted = self.admitted(header, policy)?;
        let (readers, slots) = (&self.inner.keys.readers, header.slots().slots());
        let routes = accepted(readers.routes(slots).into_iter(), slots, admitted);
        readers.open(slots, routes, terms(admitted, policy), open).await
    }

    fn admitted<'a>(
        &'a self,
        header: &'a Header,
        policy: &'a DecryptPolicy,
    ) -> Result<Admitted<'a>> {
        policy.admit(header, &self.inner.recipients)
    }

    /// Whether `policy` accepts the message with this header. Calls no key service.
    ///
    /// ```
    /// use ncp_envelope::format::Header;
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// let header = Header::decode(&message)?;
    /// assert!(envelope.admit(&header, [("kind", "note")]).is_ok());
    /// assert!(envelope.admit(&header, [("kind", "invoice")]).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [`DecryptPolicy`] refuses.
    pub fn admit(&self, header: &Header, policy: impl ToDecryptPolicy) -> Result<()> {
        self.admitted(header, &*policy.to_policy()?).map(drop)
    }

    /// Decrypts a message that fits memory. Returns nothing unless the whole message is authentic;
    /// the plaintext is wiped when dropped.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt("hello", [("kind", "note"), ("author", "kim")]).await?;
    /// let opened = envelope.decrypt(&message, [("kind", "note")]).await?;
    /// assert_eq!(opened, "hello");
    /// assert_eq!(opened.context.get("author"), Some("kim"));
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
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
        message: impl AsRef<[u8]>,
        policy: impl ToDecryptPolicy,
    ) -> Result<Opened> {
        let mut out = Zeroizing::new(Vec::new());
        let context = self.decrypt_into(message, policy, &mut out).await?;
        Ok(Opened::new(out, context))
    }

    /// As [`decrypt`](Self::decrypt), into a buffer in place of what was there, and returns the
    /// context. The plaintext is the caller's to wipe: a `Zeroizing<Vec<u8>>` does that.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// use zeroize::Zeroizing;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// let mut plaintext = Zeroizing::new(Vec::new());
    /// let context = envelope.decrypt_into(&message, DecryptPolicy::new(), &mut plaintext)?;
    /// assert_eq!((&plaintext[..], context.get("kind")), (&b"hello"[..], Some("note")));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); the buffer is wiped and empty then.
    pub async fn decrypt_into(
        &self,
        message: impl AsRef<[u8]>,
        policy: impl ToDecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<EncryptionContext> {
        let result = match policy.to_policy() {
            Ok(policy) => self.open_into(message.as_ref(), &policy, out).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            out.zeroize();
        }
        result
    }

    async fn open_into(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<EncryptionContext> {
        let readers = &self.inner.keys.readers;
        let read = self.inner.recent.read(message, readers)?;
        let admitted = self.admitted(&read.header, policy)?;
        let (parts, slots) = (Parts::of(message, &read.header)?, read.header.slots().slots());
        let routes = accepted(read.routes.iter().copied(), slots, admitted);
        let open = |key: &DataKey| parts.open(self.engine, key, policy.aad_bytes(), out);
        readers.open(slots, routes, terms(admitted, policy), open).await??;
        Ok(read.header.bound().context().clone())
    }

    /// Decrypts many messages that fit memory; the keys that are not in the cache are unwrapped
    /// together, hundreds in one call. One that cannot be opened does not stop the others.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let mut messages = envelope.encrypt_many(["one", "two"], [("kind", "line")])?;
    /// messages[0].pop();
    /// let opened = envelope.decrypt_many(&messages, DecryptPolicy::new());
    /// assert!(opened[0].is_err());
    /// assert_eq!(*opened[1].as_ref().unwrap(), "two");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Each message has its own, as [`decrypt`](Self::decrypt).
    pub async fn decrypt_many<M: AsRef<[u8]>>(
        &self,
        messages: impl IntoIterator<Item = M>,
        policy: impl ToDecryptPolicy,
    ) -> Vec<Result<Opened>> {
        let policy = policy.to_policy();
        let policy = policy.as_deref().map_err(Clone::clone);
        let messages: Vec<_> = messages.into_iter().collect();
        self.decrypt_all(&messages, |message| (message.as_ref(), policy.clone())).await
    }

    /// As [`decrypt_many`](Self::decrypt_many), each with a policy of its own.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let rows = [("first", [("row", "1")]), ("second", [("row", "2")])];
    /// let messages = envelope.encrypt_many_with(rows)?;
    /// let ids = ["1", "3"];
    /// let asked = messages.iter().zip(ids.map(|id| [("row", id)]));
    /// let opened = envelope.decrypt_many_with(asked);
    /// assert!(opened[0].is_ok() && opened[1].is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn decrypt_many_with<M: AsRef<[u8]>, P: ToDecryptPolicy>(
        &self,
        messages: impl IntoIterator<Item = (M, P)>,
    ) -> Vec<Result<Opened>> {
        let (messages, policies): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let policies = policies.iter().map(|policy| policy.to_policy());
        let messages: Vec<_> = messages.into_iter().zip(policies).collect();
        self.decrypt_all(&messages, |(message, policy)| {
            (message.as_ref(), policy.as_deref().map_err(Clone::clone))
        })
        .await
    }

    async fn decrypt_all<'i, T>(
        &self,
        items: &'i [T],
        of: impl Fn(&'i T) -> (&'i [u8], Result<&'i DecryptPolicy>),
    ) -> Vec<Result<Opened>> {
        let mut opened = Vec::with_capacity(items.len());
        for (part, mut asked) in in_parts(items, |part| self.ask_for(part, &of)) {
            let asked = &mut asked[..];
            for (at, item) in part.iter().enumerate() {
                let Some((first, later)) = asked[at..].split_first_mut() else { break };
                let taken = std::mem::replace(first, Err(Error::authentication()));
                let (message, policy) = of(item);
                let (result, moved_on) = match policy {
                    Ok(policy) => self.open_asked(message, policy, taken).await,
                    Err(error) => (Err(error), false),
                };
                opened.push(result);
                if moved_on {
                    let searches = later.iter_mut().filter_map(|asked| asked.as_mut().ok());
                    let searches =
                        searches.map(|(read, search)| (search, read.header.slots().slots()));
                    self.inner.keys.readers.hurry(searches);
                }
            }
        }
        opened
    }

    /// Reads the headers, and asks for the first key of each that is admitted.
    fn ask_for<'i, T>(
        &self,
        items: &'i [T],
        of: impl Fn(&'i T) -> (&'i [u8], Result<&'i DecryptPolicy>),
    ) -> Vec<Result<Ask>> {
        let readers = &self.inner.keys.readers;
        let mut asking = readers.asking();
        let ask = |item: &'i T| {
            let (message, policy) = of(item);
            let policy = policy?;
            let read = self.inner.recent.read(message, readers)?;
            let admitted = self.admitted(&read.header, policy)?;
            Parts::of(message, &read.header)?;
            let slots = read.header.slots().slots();
            let routes = accepted(read.routes.iter().copied(), slots, admitted);
            let search = asking.begin(routes, slots, terms(admitted, policy));
            Ok((read, search))
        };
        let asked = items.iter().map(ask).collect();
        asking.send();
        asked
    }

    /// Opens a message, and says whether a recipient other than the first had to be tried.
    async fn open_asked(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        asked: Result<Ask>,
    ) -> (Result<Opened>, bool) {
        let (read, search) = match asked {
            Ok(asked) => asked,
            Err(error) => return (Err(error), false),
        };
        let parts = match Parts::of(message, &read.header) {
            Ok(parts) => parts,
            Err(error) => return (Err(error), false),
        };
        let mut out = Zeroizing::new(Vec::new());
        let open = |key: &DataKey| parts.open(self.engine, key, policy.aad_bytes(), &mut out);
        let slots = read.header.slots().slots();
        let (opened, moved_on) = self.inner.keys.readers.finish(search, slots, open).await;
        let context = read.header.bound().context();
        (opened.and_then(|opened| opened).map(|()| Opened::new(out, context.clone())), moved_on)
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
