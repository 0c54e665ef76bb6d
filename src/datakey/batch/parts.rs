//! Work on more keys than may wait for the key service at once.

/// Keys in a part: enough for all calls that may be under way, twice.
const PART: usize = 64 * super::lane::MAX_BATCH;

/// `items` in parts, each with what `ask` gave for it. A part is asked for while the one before it
/// is worked on, so the key service is never waited for without being asked, and however many
/// there are, no more than two parts wait.
pub(crate) fn in_parts<'i, T, A>(
    items: &'i [T],
    mut ask: impl FnMut(&'i [T]) -> A,
) -> impl Iterator<Item = (&'i [T], A)> {
    let mut parts = items.chunks(PART);
    let mut ask = move || parts.next().map(|part| (part, ask(part)));
    let mut next = ask();
    std::iter::from_fn(move || std::mem::replace(&mut next, ask()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_are_asked_for_at_most_and_none_is_left_out() {
        for len in [0, 1, PART, PART + 1, 5 * PART - 1] {
            let items: Vec<_> = (0..len).collect();
            let asked = std::cell::Cell::new(0);
            let (mut seen, mut done) = (Vec::<usize>::new(), 0);
            for (part, first) in in_parts(&items, |part| {
                asked.set(asked.get() + part.len());
                part[0]
            }) {
                assert_eq!(first, part[0]);
                assert!(asked.get() - done <= 2 * PART);
                assert!(asked.get() == len || asked.get() > done + part.len());
                seen.extend(part);
                done += part.len();
            }
            assert_eq!(seen, items);
        }
    }
}
