//! The id of a key in the cache.

use crate::datakey::ends::Family;
use crate::wrap::{Binding, KeyId, MAX_KEY_ID_LEN, MAX_WRAPPED_LEN, WrappedKey, ZoneHint};
use aws_lc_rs::digest;
use std::hash::{Hash, Hasher};

const HASH_LEN: usize = 32;
const MAX_LEN: usize = HASH_LEN + 1 + 8 + MAX_KEY_ID_LEN + 8 + MAX_WRAPPED_LEN;

/// SHA-256 over everything that determines the data key and its permitted use: the realm, then
/// provider, key tag and wrapped bytes, each of variable length with its length in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheId([u8; HASH_LEN]);

impl Hash for CacheId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Takes a part of an id as its hash, since it is a hash already. Only for maps of keys that a key
/// service has unwrapped: an attacker who makes up wrapped keys can make other ids collide.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What all keys of one reader share: partition, endpoint zone, and what they may be used for.
/// Hashed once, since lookups are a hot path.
#[derive(Clone)]
pub(crate) struct Realm {
    hash: [u8; HASH_LEN],
    /// The partition's hash.
    pub(crate) partition: [u8; HASH_LEN],
}

impl Realm {
    /// `zone` is that of the reader's own client, not the one in a message.
    pub(crate) fn new(partition: &[u8], zone: ZoneHint, binding: &Binding) -> Self {
        let zone: &[u8] = match zone {
            ZoneHint::None => b"none",
            ZoneHint::Global => b"global",
            ZoneHint::Kr => b"kr",
            ZoneHint::Jp => b"jp",
            ZoneHint::Gov => b"gov",
            ZoneHint::Fin => b"fin",
        };
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [partition, zone, binding.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            hash: array(&hash.finish()),
            partition: array(&digest::digest(&digest::SHA256, partition)),
        }
    }

    pub(crate) fn id(&self, wrapped: &WrappedKey) -> CacheId {
        let (tag, bytes) = (wrapped.key_id().id().as_bytes(), wrapped.as_bytes());
        let mut input = [0; MAX_LEN];
        let mut len = 0;
        let mut put = |part: &[u8]| {
            input[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        };
        put(&self.hash);
        put(&[wrapped.key_id().provider().code()]);
        for part in [tag, bytes] {
            put(&(part.len() as u64).to_be_bytes());
            put(part);
        }
        CacheId(array(&digest::digest(&digest::SHA256, &input[..len])))
    }

    /// Same as [`id`](Self::id), where several clients may open the slot: this is the id for the
    /// client whose own key is `own`, so that its unwraps are not shared with the others.
    pub(crate) fn id_through(&self, wrapped: &WrappedKey, own: &KeyId) -> CacheId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.id(wrapped).0);
        hash.update(&[own.provider().code()]);
        hash.update(own.id().as_bytes());
        CacheId(array(&hash.finish()))
    }

    pub(crate) fn family(&self, key: &KeyId) -> Family {
        Family { partition: self.partition, key: key.clone() }
    }
}

fn array(digest: &digest::Digest) -> [u8; HASH_LEN] {
    let mut out = [0; HASH_LEN];
    out.copy_from_slice(digest.as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scope;
    use crate::suite::Suite;
    use crate::wrap::Provider;

    // Without its length a part could give bytes to its neighbour.
    #[test]
    fn an_id_is_the_hash_of_all_parts_each_with_its_length() {
        let sha256 = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes);
        let part = |bytes: &[u8]| [&(bytes.len() as u64).to_be_bytes(), bytes].concat();
        let binding = Binding::message(Suite::Cobblestone256, &Scope::new("tenant"));
        for (zone, word) in [
            (ZoneHint::None, &b"none"[..]),
            (ZoneHint::Global, b"global"),
            (ZoneHint::Kr, b"kr"),
            (ZoneHint::Jp, b"jp"),
            (ZoneHint::Gov, b"gov"),
            (ZoneHint::Fin, b"fin"),
        ] {
            let realm = Realm::new(b"readers", zone, &binding);
            let parts = [part(b"readers"), part(word), part(binding.as_bytes())];
            assert_eq!(realm.hash, sha256(&parts.concat()).as_ref());
            assert_eq!(realm.partition, sha256(b"readers").as_ref());
            let key = KeyId::new(Provider::NcpKms, ZoneHint::Jp, "tag").unwrap();
            let id = realm.id(&WrappedKey::new(key.clone(), *b"wrapped").unwrap());
            let parts = [realm.hash.to_vec(), vec![1], part(b"tag"), part(b"wrapped")];
            assert_eq!(id.0, sha256(&parts.concat()).as_ref());
            let family = realm.family(&key);
            assert!(family.partition == realm.partition && family.key == key);
        }
    }

    #[test]
    fn a_hasher_takes_a_part_of_the_id() {
        let (mut hasher, id) = (IdHasher::default(), CacheId(std::array::from_fn(|at| at as u8)));
        id.hash(&mut hasher);
        assert_eq!(hasher.finish(), u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn ids_differ_by_every_part() {
        let tag = |provider, text| KeyId::new(provider, ZoneHint::None, text).unwrap();
        let wrapped = |key, bytes: &[u8]| WrappedKey::new(key, bytes).unwrap();
        let realm = |partition: &[u8], zone, scope, suite| {
            Realm::new(partition, zone, &Binding::message(suite, &Scope::new(scope)))
        };
        let ncp = |text, bytes| wrapped(tag(Provider::NcpKms, text), bytes);
        let own = realm(b"p", ZoneHint::Kr, "s", Suite::Cobblestone256);
        let ids = [
            own.id(&ncp("ab", b"cd")),
            own.id(&wrapped(tag(Provider::Local, "ab"), b"cd")),
            own.id(&wrapped(tag(Provider::Other(128), "ab"), b"cd")),
            own.id(&wrapped(tag(Provider::Other(254), "ab"), b"cd")),
            own.id(&ncp("abc", b"d")),
            own.id(&ncp("ab", b"ce")),
            realm(b"", ZoneHint::Kr, "s", Suite::Cobblestone256).id(&ncp("ab", b"cd")),
            realm(b"p", ZoneHint::Jp, "s", Suite::Cobblestone256).id(&ncp("ab", b"cd")),
            realm(b"p", ZoneHint::Kr, "", Suite::Cobblestone256).id(&ncp("ab", b"cd")),
            realm(b"p", ZoneHint::Kr, "s", Suite::Unknown).id(&ncp("ab", b"cd")),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
        let through = [(Provider::NcpKms, "x"), (Provider::NcpKms, "y"), (Provider::Local, "x")];
        let through = through.map(|(of, name)| own.id_through(&ncp("ab", b"cd"), &tag(of, name)));
        for (at, id) in through.iter().enumerate() {
            assert!(!ids.contains(id) && !through[..at].contains(id), "{at}");
        }
        let longest =
            wrapped(tag(Provider::NcpKms, &"x".repeat(MAX_KEY_ID_LEN)), &[7; MAX_WRAPPED_LEN]);
        assert!(own.id(&longest) == own.id(&longest.clone()));
    }
}
