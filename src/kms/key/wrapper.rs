//! A [`Key`] as the crate's [`KeyWrapper`]: batches of any size, split into calls that the service
//! accepts.
//!
//! Promises: the wrapped bytes are the service's ciphertext, unchanged; results keep the order of
//! the arguments, however a batch is split; keys of another provider, and keys under another tag if
//! the client has a token, are refused before any call.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::key::cipher::{Key, MAX_CALL_PLAINTEXT, key_version};
use crate::wrap::{BoxFuture, KeyId, KeyPayload, KeyWrapper, Provider, WrappedKey};
use std::collections::HashMap;

/// Most keys in one call. Whether the service's 32 KB counts base64 or what it stands for is not
/// documented; 256 payloads of 80 bytes fit either way.
const MAX_KEYS: usize = 256;

impl KeyWrapper for Key {
    fn key_id(&self) -> &KeyId {
        self.id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let slices: Vec<&[u8]> = payloads.iter().map(KeyPayload::expose_secret).collect();
            let mut wrapped = Vec::with_capacity(slices.len());
            for part in parts(&slices, |slice| slice.len().div_ceil(3) * 4) {
                for ciphertext in self.encrypt_slices(part).await? {
                    wrapped.push(WrappedKey::new(self.id.clone(), ciphertext)?);
                }
            }
            Ok(wrapped)
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            let mut payloads: Vec<Option<KeyPayload>> = wrapped.iter().map(|_| None).collect();
            for group in self.groups(wrapped)? {
                let mut places = group.places.iter();
                for part in parts(&group.ciphertexts, |text| decoded_len(text)) {
                    for (payload, place) in group
                        .key
                        .decrypt_strs(part)
                        .await
                        .map_err(refused)?
                        .into_iter()
                        .zip(&mut places)
                    {
                        payloads[*place] = Some(payload.into());
                    }
                }
            }
            all(payloads)
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let mut rewrapped: Vec<Option<WrappedKey>> = wrapped.iter().map(|_| None).collect();
            for group in self.groups(wrapped)? {
                let mut places = group.places.iter();
                for part in parts(&group.ciphertexts, |text| decoded_len(text)) {
                    for (ciphertext, place) in group
                        .key
                        .re_encrypt_strs(part)
                        .await
                        .map_err(refused)?
                        .into_iter()
                        .zip(&mut places)
                    {
                        rewrapped[*place] =
                            Some(WrappedKey::new(group.key.id.clone(), ciphertext)?);
                    }
                }
            }
            all(rewrapped)
        })
    }

    fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        if wrapped.key_id().provider() != Provider::NcpKms {
            return None;
        }
        key_version(std::str::from_utf8(wrapped.as_bytes()).ok()?)
    }
}

/// The wrapped keys under one tag, and where they are in the batch.
struct Group<'a> {
    key: Key,
    places: Vec<usize>,
    ciphertexts: Vec<&'a str>,
}

impl Key {
    /// Groups a batch by tag, and refuses what this client cannot or must not send to the service.
    fn groups<'a>(&self, wrapped: &'a [WrappedKey]) -> Result<Vec<Group<'a>>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut known: HashMap<&KeyId, usize> = HashMap::new();
        for (place, key) in wrapped.iter().enumerate() {
            let index = match known.get(key.key_id()) {
                Some(index) => *index,
                None => {
                    groups.push(Group {
                        key: self.sibling(key.key_id())?,
                        places: Vec::new(),
                        ciphertexts: Vec::new(),
                    });
                    known.insert(key.key_id(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            groups[index].places.push(place);
            groups[index].ciphertexts.push(ciphertext(key)?);
        }
        Ok(groups)
    }

    /// The key `id` through the same client.
    fn sibling(&self, id: &KeyId) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(ErrorKind::KeyNotAllowed, format!("a key is wrapped under {id}, {why}"))
        };
        if id.provider() != Provider::NcpKms {
            return Err(refuse("which is not a key of this key service"));
        }
        if *id == self.id {
            return Ok(self.clone());
        }
        if self.client.uses_token() {
            return Err(refuse(&format!("and this client's token serves {} only", self.id)));
        }
        self.client.key(id.id()).map_err(|_| refuse("which cannot be the tag of a key"))
    }
}

/// The service has no code of its own for a ciphertext that it cannot decrypt: it calls the request
/// invalid. The request was well-formed, so here it means that the wrapped key was changed, or
/// belongs to another key.
fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput => Error::with_source(
            ErrorKind::Authentication,
            format!("{error}: the wrapped key was not accepted"),
            error,
        ),
        _ => error,
    }
}

fn ciphertext(key: &WrappedKey) -> Result<&str> {
    match std::str::from_utf8(key.as_bytes()) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text),
        _ => Err(Error::new(
            ErrorKind::Malformed,
            "a wrapped key is not a ciphertext of the key service",
        )),
    }
}

/// An upper bound of the length of a ciphertext's decoded base64.
fn decoded_len(ciphertext: &str) -> usize {
    ciphertext.len().div_ceil(4) * 3
}

/// Splits a batch into calls by count and by weight.
fn parts<T>(items: &[T], weight: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut total = 0_usize;
        let fitting = rest.iter().take(MAX_KEYS).take_while(|item| {
            total = total.saturating_add(weight(item));
            total <= MAX_CALL_PLAINTEXT
        });
        // An item that is too heavy goes alone: whether it is acceptable is not decided here.
        let count = fitting.count().max(1).min(rest.len());
        let (part, tail) = rest.split_at(count);
        rest = tail;
        (!part.is_empty()).then_some(part)
    })
}

fn all<T>(results: Vec<Option<T>>) -> Result<Vec<T>> {
    let missing = || Error::new(ErrorKind::Internal, "a batch has fewer results than keys");
    results.into_iter().map(|result| result.ok_or_else(missing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::{Client, Credentials};
    use crate::wrap::{PAYLOAD_LEN, ZoneHint};

    fn cuts(count: usize, len: usize) -> Vec<usize> {
        parts(&vec![len; count], |len| *len).map(<[usize]>::len).collect()
    }

    #[test]
    fn batches_are_cut_by_count_and_weight() {
        assert!(cuts(0, 1).is_empty());
        assert_eq!(cuts(256, PAYLOAD_LEN.div_ceil(3) * 4), [256]);
        assert_eq!(cuts(257, 1), [256, 1]);
        assert_eq!(cuts(5, 10_923), [2, 2, 1]);
        assert_eq!(cuts(3, 16_384), [2, 1]);
        assert_eq!(cuts(2, 40_000), [1, 1]);
        assert_eq!(
            parts(&[40_000, 1, 1, 32_768], |len| *len).map(<[usize]>::len).collect::<Vec<_>>(),
            [1, 2, 1]
        );
        // A wrapped payload of 80 bytes has about 155 characters.
        assert_eq!(cuts(256, decoded_len(&"x".repeat(155))), [256]);
    }

    #[test]
    fn groups_keep_places_and_foreign_keys_are_refused() {
        let wrapped = |provider, tag: &str, bytes: &[u8]| {
            WrappedKey::new(KeyId::new(provider, ZoneHint::None, tag).unwrap(), bytes).unwrap()
        };
        let ours = |tag| wrapped(Provider::NcpKms, tag, b"ncpkms:v1:AAAA");
        let key = |credentials| {
            Client::builder().credentials(credentials).build().unwrap().key("a").unwrap()
        };
        let account = key(Credentials::account("k", "s").unwrap());
        let token = key(Credentials::token("t", None).unwrap());

        let batch = [ours("b"), ours("a"), ours("b")];
        let groups = account.groups(&batch).unwrap();
        assert_eq!(
            groups.iter().map(|group| (group.key.id.id(), &group.places[..])).collect::<Vec<_>>(),
            [("b", &[0, 2][..]), ("a", &[1])]
        );

        let kind = |key: &Key, wrapped| key.groups(&[wrapped]).err().map(|error| error.kind());
        assert_eq!(kind(&token, ours("a")), None);
        assert_eq!(kind(&token, ours("b")), Some(ErrorKind::KeyNotAllowed));
        assert_eq!(kind(&account, ours("..")), Some(ErrorKind::KeyNotAllowed));
        assert_eq!(
            kind(&account, wrapped(Provider::Local, "a", b"x")),
            Some(ErrorKind::KeyNotAllowed)
        );
        assert_eq!(
            kind(&account, wrapped(Provider::NcpKms, "a", b"\xff")),
            Some(ErrorKind::Malformed)
        );
        assert_eq!(
            kind(&account, wrapped(Provider::NcpKms, "a", b"a b")),
            Some(ErrorKind::Malformed)
        );
    }
}
