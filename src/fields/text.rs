//! base64url without padding, in its one canonical spelling (`R-24`).
//!
//! Of its own, since the core has no other use for it: the features that bring a crate for it are
//! those of the key service's client. Ciphertexts are public, so time may depend on them.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NONE: u8 = 255;
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < DIGITS.len() {
        values[DIGITS[at] as usize] = at as u8;
        at += 1;
    }
    values
}

/// The two digits of each 12 bits: one look-up for both.
static PAIRS: [[u8; 2]; 4096] = pairs();

const fn pairs() -> [[u8; 2]; 4096] {
    let mut pairs = [[0; 2]; 4096];
    let mut at = 0;
    while at < pairs.len() {
        pairs[at] = [DIGITS[at >> 6], DIGITS[at & 63]];
        at += 1;
    }
    pairs
}

/// Digits of so many bytes.
pub(super) const fn len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    append(bytes, &mut text);
    // Digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// As [`encode`], behind what `text` has.
pub(super) fn append(bytes: &[u8], text: &mut Vec<u8>) {
    let begin = text.len();
    let (groups, rest) = bytes.as_chunks::<3>();
    text.resize(begin + groups.len() * 4 + len(rest.len()), 0);
    let (places, last) = text[begin..].as_chunks_mut::<4>();
    for ([a, b, c], place) in groups.iter().zip(places) {
        let bits = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let ([a, b], [c, d]) = (PAIRS[bits >> 12], PAIRS[bits & 4095]);
        *place = [a, b, c, d];
    }
    let mut padded = [0; 4];
    padded[1..=rest.len()].copy_from_slice(rest);
    let bits = u32::from_be_bytes(padded);
    for (digit, place) in last.iter_mut().enumerate() {
        *place = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
    }
}

/// `None` unless it is what [`encode`] gives for some bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    append_decoded(text.as_bytes(), &mut bytes)?;
    Some(bytes)
}

/// As [`decode`], behind what `bytes` has, which stays as it was if there is nothing to append.
pub(super) fn append_decoded(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let begin = bytes.len();
    let (groups, last) = text.as_chunks::<4>();
    bytes.resize(begin + groups.len() * 3 + last.len().saturating_sub(1), 0);
    let (places, rest) = bytes[begin..].as_chunks_mut::<3>();
    // All values are less than 64, and NONE has other bits.
    let mut seen = 0;
    let value = |digit: u8| u32::from(VALUES[usize::from(digit)]);
    for ([a, b, c, d], place) in groups.iter().zip(places) {
        let (a, b, c, d) = (value(*a), value(*b), value(*c), value(*d));
        seen |= a | b | c | d;
        let [_, all @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        *place = all;
    }
    let mut bits = 0;
    for digit in last {
        seen |= value(*digit);
        bits = bits << 6 | value(*digit);
    }
    bits <<= 6 * (4 - last.len());
    let [_, all @ ..] = bits.to_be_bytes();
    let (taken, unused) = all.split_at(rest.len());
    rest.copy_from_slice(taken);
    // A single digit is less than a byte.
    if last.len() == 1 || seen > 63 || unused.iter().any(|byte| *byte != 0) {
        bytes.truncate(begin);
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn every_length_comes_back_and_is_spelled_as_the_standard_says() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        let bytes: Vec<u8> = (0..=255).rev().collect();
        for len in 0..bytes.len() {
            let text = encode(&bytes[..len]);
            assert_eq!(text.len(), (len * 8).div_ceil(6));
            assert_eq!(decode(&text).unwrap(), bytes[..len]);
            let (mut behind, mut decoded) = (b"before".to_vec(), b"before".to_vec());
            append(&bytes[..len], &mut behind);
            assert_eq!(behind, format!("before{text}").as_bytes());
            append_decoded(text.as_bytes(), &mut decoded).unwrap();
            assert_eq!(decoded, [b"before", &bytes[..len]].concat());
        }
    }

    //
    #[test]
    fn a_text_has_one_spelling() {
        for other in ["Zg==", "Zg=", "Zh", "Zm9", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Z", "Zm9vY"] {
            assert_eq!(decode(other), None, "{other:?}");
            let mut behind = b"before".to_vec();
            assert_eq!(append_decoded(other.as_bytes(), &mut behind), None, "{other:?}");
            assert_eq!(behind, b"before");
        }
        assert!(decode("Zm8").is_some());
        for digit in 0..=255_u8 {
            for at in 0..6 {
                let mut text = *b"Zm8vAA";
                text[at] = digit;
                // The last digit has four bits that belong to no byte.
                let known =
                    if at == 5 { b"AQgw".contains(&digit) } else { DIGITS.contains(&digit) };
                assert_eq!(append_decoded(&text, &mut Vec::new()).is_some(), known, "{text:?}");
            }
        }
    }
}
