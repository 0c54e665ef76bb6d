//! Where records and cells begin and end, as the csv crate reads them.
//!
//! Text without a quote has no more to it than commas and line ends, which are found many times
//! faster than by the crate, and without a copy. The crate reads the rest.

/// What may be between two bytes of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A quote here begins or goes on with a quoted part.
    Begin,
    Cell,
    Quoted,
}

/// Where the last line of `text` ends that is known to, and is not in quotes; `text` begins with a
/// record. More may come behind a carriage return.
pub(super) fn last_end(text: &[u8]) -> Option<usize> {
    if !has_quote(text) {
        return (0..text.len()).rev().find(|at| ends_line(text, *at)).map(|at| at + 1);
    }
    ends(text).last()
}

/// Where the first empty line begins that is not in quotes; `text` begins with a record.
pub(super) fn first_empty(text: &[u8]) -> Option<usize> {
    let mut begin = 0;
    ends(text).chain([text.len()]).find_map(|end| {
        let line = &text[begin..end];
        let empty = !line.is_empty() && line.iter().all(|byte| is_end(*byte));
        let found = empty.then_some(begin);
        begin = end;
        found
    })
}

/// Where the first record of `text` ends that is not empty.
pub(super) fn first_end(text: &[u8]) -> Option<usize> {
    let begin = text.iter().position(|byte| !is_end(*byte))?;
    ends(&text[begin..]).next().map(|end| begin + end)
}

pub(super) fn has_quote(text: &[u8]) -> bool {
    // Without an early end in a piece, many bytes are compared at once.
    text.chunks(4_096).any(|piece| piece.iter().fold(false, |any, byte| any | (*byte == b'"')))
}

pub(super) fn lines(text: &[u8]) -> u64 {
    let in_piece =
        |piece: &[u8]| piece.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'\n'));
    text.chunks(255).map(|piece| u64::from(in_piece(piece))).sum()
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut state = State::Begin;
    text.iter().enumerate().filter_map(move |(at, byte)| {
        state = match (state, byte) {
            (State::Quoted, b'"') => State::Begin,
            (State::Quoted, _) => State::Quoted,
            (State::Begin, b'"') => State::Quoted,
            (_, b',' | b'\r' | b'\n') => State::Begin,
            _ => State::Cell,
        };
        (state == State::Begin && ends_line(text, at)).then_some(at + 1)
    })
}

/// Whether the byte at `at` is the last of a line: a line feed, or a carriage return that has none
/// behind it.
fn ends_line(text: &[u8], at: usize) -> bool {
    match text[at] {
        b'\n' => true,
        b'\r' => text.get(at + 1).is_some_and(|next| *next != b'\n'),
        _ => false,
    }
}

/// Calls `each` with the place of every comma and line end of `text`.
pub(super) fn separators(text: &[u8], mut each: impl FnMut(usize)) {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    // The highest bit of every byte that is zero.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let all = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let mut found =
            zeros(word ^ all(b',')) | zeros(word ^ all(b'\n')) | zeros(word ^ all(b'\r'));
        while found != 0 {
            each(at * 8 + found.trailing_zeros() as usize / 8);
            found &= found - 1;
        }
    }
    for (at, byte) in rest.iter().enumerate() {
        if *byte == b',' || is_end(*byte) {
            each(words.len() * 8 + at);
        }
    }
}
