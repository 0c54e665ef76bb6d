//! Splits work on more keys than a queue may hold.

/// Keys in a part: twice as many as all calls in flight can carry.
const PART: usize = 64 * super::lane::MAX_BATCH;

/// `items` in parts, each with the result of `ask` for it. A part is requested while the one before
/// it is processed, so the key service is never idle, and at most two parts are queued.
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
