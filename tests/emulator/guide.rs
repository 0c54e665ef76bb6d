//! The guide against the sources and tests it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// As the guide writes them.
const AUTH_ROWS: [&str; 5] = ["account v1", "account v2", "account", "access", "refresh"];
const ENDPOINT_COLUMNS: usize = 7;
const FAULT_COLUMNS: usize = 5;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_default()
}

/// The rows of all tables with so many columns, without their heads.
fn rows(guide: &str, columns: usize) -> Vec<Vec<&str>> {
    let lines = guide.lines().filter(|line| line.starts_with("| `"));
    let rows =
        lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == columns).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The text of an async function without arguments.
fn body<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let rest = &source[source.find(&format!("async fn {name}()"))?..];
    Some(&rest[..rest.find("\n}\n")?])
}

/// What is wrong with the tests that a cell names.
fn tests_of_the_emulator(cell: &str) -> Option<String> {
    let names = quoted(cell);
    let missing = names.iter().find(|name| {
        let (module, test) = name.split_once("::").unwrap_or(("faults", name));
        body(&read(&format!("tests/emulator/{module}.rs")), test).is_none()
    });
    match missing {
        _ if names.is_empty() => Some("no test is named".to_owned()),
        Some(name) => Some(format!("there is no test {name}")),
        None => None,
    }
}

/// The text of every file in `dir` and the folders below it.
fn sources(dir: &Path) -> Vec<String> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => fs::read_to_string(path).into_iter().collect(),
        })
        .collect()
}

/// What is wrong with the table of endpoints.
fn faults_of_endpoints(guide: &str) -> Vec<String> {
    let client = sources(format!("{ROOT}/src/kms").as_ref());
    let tests = read("tests/service/every_call.rs");
    let mut faults = Vec::new();
    for cells in rows(guide, ENDPOINT_COLUMNS) {
        let [endpoint, name, auth, calls, emulator, of_emulator, with_client] = cells[..] else {
            unreachable!()
        };
        let mut fault = |text: String| faults.push(format!("{endpoint}: {text}"));
        if cells.iter().any(|cell| cell.is_empty()) {
            fault("a cell is empty".to_owned());
        }
        if quoted(auth).is_empty() || !quoted(auth).iter().all(|row| AUTH_ROWS.contains(row)) {
            fault(format!("no rows of authentication: {auth}"));
        }
        if !["**D**", "**I**", "**X**"].iter().any(|mark| emulator.contains(mark)) {
            fault("nothing says where the behaviour is from".to_owned());
        }
        tests_of_the_emulator(of_emulator).into_iter().for_each(&mut fault);
        let [test] = quoted(with_client)[..] else {
            fault("no test with the client".to_owned());
            continue;
        };
        let Some(test_body) = body(&tests, test) else {
            fault(format!("there is no test {test}"));
            continue;
        };
        // The test asserts by this name that the emulator answered the call.
        for name in quoted(name).iter().filter(|name| !test_body.contains(&format!("\"{name}\""))) {
            fault(format!("{test} does not look for {name}"));
        }
        if quoted(calls).is_empty() {
            fault("no call of the client is named".to_owned());
        }
        for call in quoted(calls) {
            let (owner, method) = call.split_once("::").unwrap_or(("", call));
            let begins = |text: &str, end| text.contains(&format!("fn {method}{end}"));
            let there = |text: &String| {
                text.contains(&format!("impl {owner} {{"))
                    && (begins(text, '(') || begins(text, '<'))
            };
            if !client.iter().any(there) {
                fault(format!("the client has no {call}"));
            }
            if !test_body.contains(&format!(".{method}(")) {
                fault(format!("{test} does not call {call}"));
            }
        }
    }
    faults
}

#[test]
fn every_endpoint_has_a_client_an_emulator_and_tests() {
    let guide = read("docs/emulator.md");
    let rows = rows(&guide, ENDPOINT_COLUMNS);
    let column = |index: usize| rows.iter().map(|cells| cells[index]).collect::<BTreeSet<_>>();
    // Six calls of API 1.0; of API 2.0 those, the public key, 8 about tokens and 24 that manage
    // keys.
    assert_eq!((column(0).len(), rows.len()), (6 + 39, 6 + 39));
    assert_eq!(column(1).len(), 39);
    let faults = faults_of_endpoints(&guide);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_missing_in_the_table_is_found() {
    let guide = read("docs/emulator.md");
    let row = guide.lines().find(|line| line.starts_with("| `POST T/sign`")).unwrap();
    assert!(faults_of_endpoints(row).is_empty());
    for (was, is) in [
        ("| `Key::sign` |", "| |"),
        ("`Key::sign`", "`Key::sing`"),
        ("`Key::sign`", "`Keys::sign`"),
        ("`Key::sign`", "`Key::public_key`"),
        ("`account`", "`root`"),
        ("(**D**)", ""),
        ("`types::", "`tokens::"),
        ("`types::signatures", "`types::no_signatures"),
        ("`signatures_are_made", "`signatures_are_not_made"),
        ("`sign`", "`rotate-key`"),
    ] {
        let spoilt = row.replace(was, is);
        assert_ne!(spoilt, row);
        assert!(!faults_of_endpoints(&spoilt).is_empty(), "{spoilt}");
    }
}

/// The last column of the table of faults has tests, and those are there; no cell is left empty.
#[test]
fn the_guide_names_tests_that_there_are() {
    let guide = read("docs/emulator.md");
    let rows = rows(&guide, FAULT_COLUMNS);
    assert_eq!(rows.len(), 17);
    for cells in rows {
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{cells:?}");
        if cells[4] != "same" {
            assert_eq!(tests_of_the_emulator(cells[4]), None, "{cells:?}");
        }
    }
    // So are those that stand between the tables.
    for test in guide
        .lines()
        .filter(|line| !line.starts_with('|'))
        .flat_map(quoted)
        .filter(|name| name.matches("::").count() == 1)
    {
        let module = test.split("::").next().unwrap();
        if fs::exists(format!("{ROOT}/tests/emulator/{module}.rs")).unwrap() {
            assert_eq!(tests_of_the_emulator(&format!("`{test}`")), None);
        }
    }
}
