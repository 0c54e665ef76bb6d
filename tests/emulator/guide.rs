//! The guide against the tests it names.

use std::fs;

/// The last column of the tables of calls and faults has tests, and those are there; no cell is left empty.
#[test]
fn the_guide_names_tests_that_there_are() {
    let root = env!("CARGO_MANIFEST_DIR");
    let guide = fs::read_to_string(format!("{root}/docs/emulator.md")).unwrap();
    let mut rows = 0;
    for line in guide.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [.., tests] = cells[..] else { continue };
        if cells.len() != 5 {
            continue;
        }
        rows += 1;
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(tests == "same" || !names.is_empty(), "{line}");
        for name in names {
            let (module, test) = name.split_once("::").unwrap_or(("faults", name));
            let source = fs::read_to_string(format!("{root}/tests/emulator/{module}.rs")).unwrap();
            assert!(source.contains(&format!("async fn {test}()")), "{name}");
        }
    }
    assert_eq!(rows, 31 + 16);
}
