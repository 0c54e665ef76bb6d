//! The listing of the public API: what it names can be named by who uses the crate.

use crate::none;
use crate::source::root;
use std::collections::BTreeSet;
use std::fs;

/// Paths in the crate that `listing` names, and that lead to nothing that it lists: private types,
/// which a compiler's message would show to somebody who cannot use them.
fn unlisted(listing: &str) -> Vec<String> {
    let path = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
        text[..end.unwrap_or(text.len())].trim_end_matches(':').to_owned()
    };
    // What an item line names first, with the word in front of it.
    let item = |line: &str| {
        let at = line.find("ncp_envelope::").filter(|_| line.contains("pub "))?;
        Some((line[..at].split_whitespace().last()?.to_owned(), path(&line[at..])))
    };
    let listed = |kinds: &[&str]| -> BTreeSet<_> {
        let items = listing.lines().filter_map(item);
        items.filter(|(kind, _)| kinds.contains(&&**kind)).map(|(_, path)| path).collect()
    };
    let types = listed(&["struct", "enum", "union", "trait"]);
    let others = listed(&["mod", "type", "fn", "const", "static", "use"]);
    let named: BTreeSet<_> =
        listing.match_indices("ncp_envelope::").map(|(at, _)| path(&listing[at..])).collect();
    // A method, a variant or a field belongs to a type that is listed.
    let unknown = |name: &&String| {
        let mut ends = name.match_indices("::").map(|(at, _)| at).chain([name.len()]);
        !others.contains(*name) && !ends.any(|end| types.contains(&name[..end]))
    };
    named.iter().filter(unknown).cloned().collect()
}

#[test]
fn no_private_type_is_in_the_public_api() {
    let listing = fs::read_to_string(root().join("docs/public-api.txt")).unwrap();
    assert!(listing.lines().count() > 1_000);
    none(unlisted(&listing));

    let good = "pub struct ncp_envelope::A\npub fn ncp_envelope::A::b(ncp_envelope::A) -> u8\n";
    none(unlisted(good));
    let bad =
        "pub mod ncp_envelope::a\npub fn ncp_envelope::a::c() -> ncp_envelope::a::hidden::B<u8>\n";
    assert_eq!(unlisted(bad), ["ncp_envelope::a::hidden::B"]);
}
