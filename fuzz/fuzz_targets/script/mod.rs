//! What an input says to do to a message.

/// Takes numbers off the input; an input that is used up gives zeros.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl Script<'_> {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        let (head, tail) = self.0.split_at(self.0.len().min(3));
        self.0 = tail;
        head.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) % below.max(1)
    }
}

/// Up to 7 changes, or none.
pub(crate) fn change(chunks: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    use ncp_envelope::format::CHUNK_LEN;
    let mut body = chunks.to_vec();
    for _ in 0..script.next(8) {
        let (kind, at) = (script.next(5), script.next(body.len()));
        match kind {
            0 if !body.is_empty() => body[at] ^= 1 << script.next(8),
            1 => body.truncate(at),
            2 => drop(body.splice(at..at, vec![0; script.next(40)])),
            3 => drop(body.drain(at..body.len().min(at + script.next(CHUNK_LEN)))),
            _ => {
                let end = body.len().min(at + script.next(2 * CHUNK_LEN));
                let again = body[at..end].to_vec();
                body.splice(at..at, again);
            }
        }
    }
    body
}
