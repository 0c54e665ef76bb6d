//! Random bytes, texts and UUIDs.

use crate::emulator::answer::Refusal;
use crate::emulator::text;
use zeroize::Zeroizing;

pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes).map_err(|_| Refusal::internal("the system's random source failed"))
}

pub(crate) fn bytes(len: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Random text with five bits of entropy a character.
pub(crate) fn text(len: usize) -> Result<Zeroizing<String>, Refusal> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    Ok(Zeroizing::new(
        bytes(len)?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect(),
    ))
}

pub(crate) fn uuid() -> Result<String, Refusal> {
    let mut from = [0; 16];
    from.copy_from_slice(&bytes(16)?);
    Ok(as_uuid(from))
}

/// Bytes as a UUID of version 4.
pub(crate) fn as_uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = text::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
