//! Properties that hold for every input, tried on a fixed number of generated ones.
//!
//! The generator's seed is fixed, so that a run that fails fails again.

use crate::common::{
    KEK, KEY_ID, PROFILES, block_on, envelope, message_under, payload, sample, slots,
};
use ncp_envelope::format::{
    BoundHeader, CHUNK_LEN, Decryptor, Encryptor, FIXED_LEN, Header, Layout, MAX_SLOTS,
    PREAMBLE_LEN, Profile, RangeDecryptor, SlotTable, range,
};
use ncp_envelope::wrap::{MAX_WRAPPED_LEN, Provider, ZoneHint};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, ErrorKind, KeyId,
    LocalKeyWrapper, MAX_CONTEXT_PAIRS, WrappedKey,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed};

fn cases(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(0x4E43_5045),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Lengths of up to a few chunks, those around a chunk's end often.
fn length() -> impl Strategy<Value = usize> {
    let near_an_end = (0..4_usize, 0..5_usize)
        .prop_map(|(chunks, off)| (chunks * CHUNK_LEN + off).saturating_sub(2));
    prop_oneof![2 => 0..100_usize, 3 => near_an_end, 3 => 0..70_000_usize]
}

/// Sizes of pushes or of output buffers; used round and round.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0..40_usize, 16_380..16_420_usize, 0..50_000_usize], 1..12)
}

fn context() -> impl Strategy<Value = EncryptionContext> {
    btree_map("\\PC{1,12}", "\\PC{0,40}", 0..8).prop_map(|pairs| {
        let mut context = EncryptionContext::new();
        pairs.into_iter().for_each(|(name, value)| context.insert(name, value).unwrap());
        context
    })
}

fn any_slots() -> impl Strategy<Value = SlotTable> {
    let zones = [
        ZoneHint::None,
        ZoneHint::Global,
        ZoneHint::Kr,
        ZoneHint::Jp,
        ZoneHint::Gov,
        ZoneHint::Fin,
    ];
    let slot = ("[!-~]{1,255}", 126..=255u8, 0..zones.len(), vec(any::<u8>(), 1..=MAX_WRAPPED_LEN))
        .prop_map(move |(id, code, zone, wrapped)| {
            let provider = match code {
                ..=127 => Provider::NcpKms,
                255 => Provider::Local,
                code => Provider::Other(code),
            };
            WrappedKey::new(KeyId::new(provider, zones[zone], id).unwrap(), wrapped).unwrap()
        });
    vec(slot, 1..=MAX_SLOTS).prop_map(|slots| SlotTable::new(slots).unwrap())
}

/// Hands out sizes round and round; never 0 for ever.
struct Sizes<'a>(&'a [usize], usize);

impl Sizes<'_> {
    fn next(&mut self) -> usize {
        let size = self.0[self.1 % self.0.len()];
        self.1 += 1;
        if self.1.is_multiple_of(self.0.len() + 1) { size + 2 * CHUNK_LEN } else { size }
    }
}

/// Calls `update` until `input` is used up, in pieces and into buffers of these sizes.
fn push(
    mut input: &[u8],
    pieces: &[usize],
    buffers: &[usize],
    mut update: impl FnMut(&[u8], &mut [u8]) -> ncp_envelope::format::Progress,
) -> Vec<u8> {
    let (mut pieces, mut buffers) = (Sizes(pieces, 0), Sizes(buffers, 0));
    let mut out = Vec::new();
    while !input.is_empty() {
        let piece = &input[..input.len().min(pieces.next())];
        let mut buffer = vec![0xEE; buffers.next()];
        let progress = update(piece, &mut buffer);
        assert!(
            buffer[progress.written..].iter().all(|byte| *byte == 0xEE),
            "more was written than was said"
        );
        out.extend_from_slice(&buffer[..progress.written]);
        input = &input[progress.consumed..];
    }
    out
}

/// What a message consists of, taken apart again.
fn open(message: &[u8], key: &DataKey, aad: &[u8], pieces: &[usize], buffers: &[usize]) -> Vec<u8> {
    let header = Header::decode(message).unwrap();
    let (preamble, chunks) =
        message[header.bound().body_offset()..].split_first_chunk::<PREAMBLE_LEN>().unwrap();
    let mut decryptor = Decryptor::new(key, header.bound(), preamble, aad).unwrap();
    let mut out = push(chunks, pieces, buffers, |input, out| decryptor.update(input, out).unwrap());
    let mut last = vec![0; decryptor.finish_len()];
    assert_eq!(decryptor.finish(&mut last).unwrap(), last.len());
    out.append(&mut last);
    out
}

proptest! {
    #![proptest_config(cases(96))]

    // F-24, F-25, F-27
    #[test]
    fn pieces_and_buffers_make_no_difference(
        len in length(), pieces in sizes(), buffers in sizes(), other_pieces in sizes(),
        other_buffers in sizes(),
    ) {
        let (key, plaintext) = (DataKey::generate().unwrap(), sample(len));
        let slots = slots(&key, 1);
        let bound = BoundHeader::new(Profile::Compact, &EncryptionContext::new(), false, &slots)
            .unwrap();
        let mut encryptor = Encryptor::new(&key, &bound, &slots, b"").unwrap();
        let mut message = encryptor.front().to_vec();
        let mut update = |input: &[u8], out: &mut [u8]| encryptor.update(input, out).unwrap();
        message.append(&mut push(&plaintext, &pieces, &buffers, &mut update));
        let mut last = vec![0; encryptor.finish_len()];
        prop_assert_eq!(encryptor.finish(&mut last).unwrap(), last.len());
        message.append(&mut last);

        // The same bytes as in one push, but for the salt and what hangs on it: the same length,
        // and every reader sees one plaintext.
        prop_assert_eq!(message.len(), message_under(&key, &slots, &plaintext).len());
        prop_assert_eq!(message.len() as u64,
            bound.body_offset() as u64 + range::body_len(len as u64).unwrap());
        prop_assert!(open(&message, &key, b"", &[message.len()], &[message.len()]) == plaintext);
        prop_assert!(open(&message, &key, b"", &other_pieces, &other_buffers) == plaintext);
        let opened = block_on(envelope().decrypt(&message, &DecryptPolicy::new())).unwrap();
        prop_assert!(*opened == plaintext);
    }

    // F-23, F-25
    #[test]
    fn a_range_is_that_part_of_the_plaintext(len in length(), from in any::<Index>(),
        to in any::<Index>()) {
        let (key, plaintext) = (DataKey::generate().unwrap(), sample(len));
        let message = message_under(&key, &slots(&key, 1), &plaintext);
        let header = Header::decode(&message).unwrap();
        let body = &message[header.bound().body_offset()..];
        let decryptor = RangeDecryptor::new(&key, header.bound(), body.first_chunk().unwrap(),
            b"").unwrap();
        prop_assert_eq!(range::plaintext_len(body.len() as u64).unwrap(), len as u64);

        let (from, to) = (from.index(len + 1), to.index(len + 1));
        let (from, to) = (from.min(to), from.max(to));
        let run = range::covering(from as u64, (to - from) as u64, len as u64).unwrap();
        let sealed = &body[run.offset as usize..(run.offset + run.len) as usize];
        let mut out = vec![0; run.count as usize * CHUNK_LEN];
        let opened = decryptor.open(run.first, sealed, &mut out).unwrap();
        let skip = run.skip as usize;
        prop_assert!(out[..opened][skip..skip + (to - from)] == plaintext[from..to]);
        // No chunk more than the range touches.
        let last = if to > from { (to - 1) / CHUNK_LEN } else { from / CHUNK_LEN };
        prop_assert_eq!((run.first as usize, run.count as usize),
            (from / CHUNK_LEN, last - from / CHUNK_LEN + 1));
        prop_assert_eq!(run.len as usize, sealed.len());

        // Another place in the message does not open as this one.
        prop_assert_eq!(decryptor.open(run.first + 1, sealed, &mut out).unwrap_err().kind(),
            ErrorKind::Authentication);
        prop_assert!(out[..opened].iter().all(|byte| *byte == 0));
    }

    // F-25, F-26: for any number at all, without a panic.
    #[test]
    fn lengths_are_inverse_or_refused(len in any::<u64>(), narrow in 0..48_u32,
        offset in any::<u64>(), wanted in any::<u64>()) {
        let len = len >> narrow;
        match range::body_len(len) {
            Ok(body) => prop_assert_eq!(range::plaintext_len(body).unwrap(), len),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::LimitExceeded),
        }
        match range::plaintext_len(len) {
            Ok(plaintext) => prop_assert_eq!(range::body_len(plaintext).unwrap(), len),
            Err(error) => prop_assert!(matches!(error.kind(),
                ErrorKind::LimitExceeded | ErrorKind::Truncated)),
        }
        if let Ok(run) = range::covering(offset, wanted, len) {
            prop_assert!(offset + wanted <= len);
            prop_assert!(run.offset + run.len <= range::body_len(len).unwrap());
        }
    }

    // F-10, F-12, F-20, F-29: whatever the binding is, it is needed to the byte.
    #[test]
    fn any_binding_is_kept_and_needed(
        context in context(), aad in vec(any::<u8>(), 0..80), scope in vec(any::<u8>(), 0..40),
        profile in select(&PROFILES), len in length(),
        bit in any::<Index>(),
    ) {
        let made = |scope: &[u8]| {
            Envelope::builder(LocalKeyWrapper::new(KEY_ID, &DataKey::copy_from(&KEK)).unwrap())
                .scope(scope).build().unwrap()
        };
        let plaintext = sample(len);
        let options = EncryptOptions::new().context(context.clone()).aad(aad.clone())
            .layout(profile);
        let message = block_on(made(&scope).encrypt(&plaintext, options)).unwrap();
        let mut policy = DecryptPolicy::new().aad(aad.clone());
        for (name, value) in context.iter() {
            policy = policy.require(name, value);
        }
        prop_assert!(*block_on(made(&scope).decrypt(&message, &policy)).unwrap() == plaintext);

        let header = Header::decode(&message).unwrap();
        crate::canonical_form::check(&message, &header);
        prop_assert_eq!(header.bound().context(), &context);
        prop_assert_eq!(header.bound().requires_aad(), !aad.is_empty());

        let mut other = if aad.is_empty() { vec![0] } else { aad.clone() };
        if !aad.is_empty() {
            let bit = bit.index(aad.len() * 8);
            other[bit / 8] ^= 1 << (bit % 8);
        }
        let refused = block_on(made(&scope).decrypt(&message, &policy.clone().aad(other)))
            .unwrap_err().kind();
        prop_assert_eq!(refused,
            if aad.is_empty() { ErrorKind::NotAccepted } else { ErrorKind::Authentication });
        let mut other = scope.clone();
        other.push(0);
        prop_assert_eq!(block_on(made(&other).decrypt(&message, &policy)).unwrap_err().kind(),
            ErrorKind::Authentication);
        for (name, value) in context.iter() {
            let policy = policy.clone().require(name, format!("{value}x"));
            prop_assert_eq!(block_on(made(&scope).decrypt(&message, &policy)).unwrap_err().kind(),
                ErrorKind::NotAccepted);
        }
    }

    // F-2, F-3, F-8, F-9, F-19: a header is what its parts say, long enough and no longer.
    #[test]
    fn a_header_has_one_encoding(context in context(), aad in any::<bool>(),
        profile in select(&PROFILES), detached in any::<bool>(), slots in any_slots()) {
        let layout = Layout::from(profile).detached(detached);
        let bound = BoundHeader::new(layout, &context, aad, &slots).unwrap();
        prop_assert_eq!(bound.as_bytes(), &crate::canonical_form::region_a(&bound)[..]);
        prop_assert_eq!(&BoundHeader::decode(bound.as_bytes()).unwrap(), &bound);

        let content: usize = slots.slots().iter()
            .map(|slot| 5 + slot.key_id().id().len() + slot.as_bytes().len()).sum();
        let content = 4 + 1 + 3 + content + 4 + 16;
        let (region_a, copy) = (bound.as_bytes().len(), bound.copy_len());
        let (len, step) = match profile {
            Profile::Compact => (copy, 64),
            Profile::Durable => (copy, 4_096),
            _ => (region_a + copy, 4_096),
        };
        prop_assert!(len % step == 0 && copy >= content && copy - content < step);

        let encryptor = Encryptor::new(&DataKey::generate().unwrap(), &bound, &slots,
            if aad { b"x" } else { b"" }).unwrap();
        let written = encryptor.front();
        prop_assert_eq!(written.len(), bound.body_offset() + PREAMBLE_LEN);
        prop_assert_eq!(Header::len_from(&written[..FIXED_LEN]).unwrap(), bound.body_offset());
        let header = Header::decode(written).unwrap();
        crate::canonical_form::check(written, &header);
        prop_assert_eq!(header.slots(), &slots);
        prop_assert_eq!(header.bound(), &bound);
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    // F-1, F-2, F-17, F-18: no bytes make it panic, and what is accepted has no other form.
    #[test]
    fn mutated_headers_are_refused_or_canonical(
        profile in 0..PROFILES.len(), changes in vec((any::<Index>(), any::<u8>(), 0..8_u8), 1..4),
        repair in any::<bool>(), cut in any::<Index>(),
    ) {
        let mut message = HEADERS.with(|headers| headers[profile].clone());
        for (at, value, how) in changes {
            // Most fields are in front; padding takes up most of the others.
            let within = if how < 6 { message.len().min(120) } else { message.len() };
            let at = at.index(within);
            message[at] = match how {
                0..=2 => value,
                3 | 4 => message[at] ^ (1 << (value % 8)),
                5 => message[at].wrapping_add(1),
                _ => 0,
            };
        }
        if repair {
            crate::canonical_form::repair_checksums(&mut message);
        }
        if cut.index(8) == 0 {
            message.truncate(cut.index(message.len() + 1));
        }
        let len = Header::len_from(&message);
        match Header::decode(&message) {
            Ok(header) => {
                prop_assert_eq!(len.unwrap(), header.bound().body_offset());
                prop_assert!(header.slots().slots().len() <= MAX_SLOTS);
                prop_assert!(header.bound().context().len() <= MAX_CONTEXT_PAIRS);
                crate::canonical_form::check(&message, &header);
                rebuilt(&header);
            }
            Err(error) => prop_assert!(
                matches!(error.kind(),
                    ErrorKind::Malformed | ErrorKind::Truncated
                        | ErrorKind::UnsupportedVersion | ErrorKind::LimitExceeded),
                "{:?}", error
            ),
        }
    }
}

/// The public constructors give the same header, where they can give it at all.
fn rebuilt(header: &Header) {
    let bound = header.bound();
    let mut context = EncryptionContext::new();
    bound.context().iter().for_each(|(name, value)| context.insert(name, value).unwrap());
    let slots = SlotTable::new(header.slots().slots().to_vec()).unwrap();
    let again = BoundHeader::new(bound.layout(), &context, bound.requires_aad(), &slots).unwrap();
    if again.copy_len() == bound.copy_len() {
        assert_eq!(again.as_bytes(), bound.as_bytes());
        assert_eq!(&again, bound);
    }
}

thread_local! {
    /// A header of each profile, with pairs and two slots, and the start of a body.
    static HEADERS: [Vec<u8>; 3] = PROFILES.map(|profile| {
        let key = DataKey::copy_from(&[7; 32]);
        let wrapper = LocalKeyWrapper::new("k", &DataKey::copy_from(&KEK)).unwrap();
        let payloads = [payload(&key, ""), payload(&key, "")];
        let wrapped = block_on(ncp_envelope::KeyWrapper::wrap_keys(&wrapper, &payloads)).unwrap();
        let slots = SlotTable::new(wrapped).unwrap();
        let context = EncryptionContext::new().with("a", "1").unwrap().with("b", "2").unwrap();
        let bound = BoundHeader::new(profile, &context, false, &slots).unwrap();
        Encryptor::new(&key, &bound, &slots, b"").unwrap().front().to_vec()
    });
}
