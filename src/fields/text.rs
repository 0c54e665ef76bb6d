//! base64url without padding, in its one canonical spelling (`R-24`).
//!
//! Of its own, since the core has no other use for it: the features that bring a crate for it are
//! those of the key service's client. Ciphertexts are public, so time may depend on them.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NONE: u8 = 255;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < DIGITS.len() {
        values[DIGITS[at] as usize] = at as u8;
        at += 1;
    }
    values
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..=group.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[value as usize]));
        }
    }
    text
}

/// `None` unless it is what [`encode`] gives for some bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for digit in group {
            let value = VALUES[usize::from(*digit)];
            if value == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        let [_, all @ ..] = bits.to_be_bytes();
        // A single digit is less than a byte.
        let (taken, unused) = all.split_at(group.len().checked_sub(1).filter(|len| *len > 0)?);
        if unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(taken);
    }
    Some(bytes)
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
        }
    }

    //
    #[test]
    fn a_text_has_one_spelling() {
        for other in ["Zg==", "Zg=", "Zh", "Zm9", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Z", "Zm9vY"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        assert!(decode("Zm8").is_some());
        for digit in 0..=255_u8 {
            let text = [b'Z', b'm', b'8', digit];
            let known = DIGITS.contains(&digit);
            if let Ok(text) = std::str::from_utf8(&text) {
                assert_eq!(decode(text).is_some(), known, "{text:?}");
            }
        }
    }
}
