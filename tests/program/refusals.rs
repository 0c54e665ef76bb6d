//! Refusals that need no key service: one file for each case, with the complete output.
//!
//! `TRYCMD=overwrite cargo test --all-features --test program refusals` writes the current output;
//! check the difference before you commit it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A secret of the cases' environments.
const SECRET: &str = "hush-hush";

#[test]
fn every_case_is_refused_in_these_words() {
    trycmd::TestCases::new().case("tests/program/refusals/*.toml");
}

#[test]
fn no_case_leaves_anything_or_repeats_a_secret() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/refusals");
    let mut cases = 0;
    for path in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let case = fs::read_to_string(&path).unwrap();
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::copy(dir.join("files.in/f"), place.path().join("f")).unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
        run.current_dir(&place).env_clear().env("HOME", home.path());
        for (name, value) in case.lines().filter_map(|line| line.split_once(" = ")) {
            // The strings in these cases are the same in TOML and JSON.
            if name == "args" {
                run.args(serde_json::from_str::<Vec<String>>(value).unwrap());
            } else if let Some(variable) = name.strip_prefix("env.add.") {
                run.env(variable, serde_json::from_str::<String>(value).unwrap());
            }
        }
        let output = run.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8(said).unwrap().contains(SECRET), "{path:?}");
        let names: Vec<_> =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["f"], "{path:?}");
        assert_eq!(
            fs::read(place.path().join("f")).unwrap(),
            fs::read(dir.join("files.in/f")).unwrap()
        );
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "{path:?}");
    }
    assert!(cases > 20);
}
