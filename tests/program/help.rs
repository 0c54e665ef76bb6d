//! Help: its width, its parts, its colours, and its examples, which are run.

use crate::kit::{Place, commands, help_of};
use ncp_envelope::emulator::Emulator;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn help_is_narrow_and_each_command_has_an_example() {
    let all = commands();
    assert!(all.len() > 60, "{all:?}");
    for command in all {
        let (short, long) = (help_of(&command, "-h"), help_of(&command, "--help"));
        for line in short.lines().chain(long.lines()) {
            assert!(line.chars().count() < 100, "{command:?}: {line}");
        }
        let name = command.last().map_or("ncp-envelope", String::as_str);
        for (text, option) in [(&short, "-h"), (&long, "--help")] {
            let examples = text.split_once("\nExamples:\n").map(|(_, rest)| rest);
            let example = examples.is_some_and(|text| {
                let lines: Vec<_> = text.lines().filter(|line| line.starts_with("    ")).collect();
                lines.iter().any(|line| line.contains("ncp-envelope") && line.contains(name))
            });
            assert!(example, "{command:?} {option} has no example: {text}");
        }
        for part in ["\nEnvironment:\n", "\nExit codes:\n"] {
            assert!(!short.contains(part), "{command:?}: {short}");
            assert!(long.contains(part) || long.contains("\nCommands:\n"), "{command:?}: {long}");
        }
    }
}

/// Runs a program on a terminal, and prints what it says there.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while True:
        os.write(1, os.read(terminal, 1000))
except OSError:
    pass
"#;

/// Its bytes would be taken for commands there, and are lost.
#[test]
fn a_message_goes_to_a_terminal_only_on_demand() {
    let place = Place::new();
    place.write("f", b"");
    let mut command = Command::new("python3");
    command.args([
        "-c",
        ON_A_TERMINAL,
        env!("CARGO_BIN_EXE_ncp-envelope"),
        "encrypt",
        "--local",
        "-",
    ]);
    command.current_dir(place.path("")).env("XDG_DATA_HOME", place.dir.path().join("data"));
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let why = "a message is not for a terminal: give -o OUT, or -o - if you mean it";
    assert!(said.contains(why), "{said:?}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let place = Place::new();
    place.write("f", b"");
    let said = |terminal: bool, args: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.std_command();
        if terminal {
            command = Command::new("python3");
            command.args(["-c", ON_A_TERMINAL, env!("CARGO_BIN_EXE_ncp-envelope")]);
            command.env_remove("NO_COLOR").env_remove("TERM").current_dir(place.path(""));
            command.env("XDG_DATA_HOME", place.dir.path().join("data"));
        }
        let output = command.args(args).envs(variables.iter().copied()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let xterm = ("TERM", "xterm");
    for (args, coloured) in [
        (&["inspect", "absent"][..], "\x1b[1;31mncp-envelope:\x1b[0m cannot open absent"),
        (&["inspect"], "\x1b[1;31merror:\x1b[0m the following"),
        (&["encrypt", "--local", "-o", "/dev/null", "f"], "\x1b[1mncp-envelope:\x1b[0m --local is"),
        (&["inspect", "--help"], "\x1b[1m\x1b[4mExamples:\x1b[0m"),
        (&["inspect", "-h"], "\x1b[1m\x1b[4mUsage:\x1b[0m"),
    ] {
        let shown = said(true, args, &[xterm]);
        assert!(shown.contains(coloured), "{shown:?}");
        for variables in [&[][..], &[("TERM", "dumb")], &[xterm, ("NO_COLOR", "1")]] {
            let shown = said(true, args, variables);
            // The bar moves the cursor.
            assert!(!shown.contains("\x1b[0m"), "{variables:?}: {shown:?}");
        }
        assert!(said(true, args, &[xterm, ("NO_COLOR", "")]).contains('\x1b'));
        assert!(!said(false, args, &[xterm, ("CLICOLOR_FORCE", "1")]).contains('\x1b'));
    }
    // Nobody else's text has a colour, or gives one.
    let shown = said(true, &["inspect", "\x1b[32mabsent"], &[xterm]);
    assert!(shown.contains("\x1b[0m cannot open \\u{1b}[32mabsent"), "{shown:?}");
    let shown = said(true, &["\x1b[32mabsent"], &[xterm]);
    assert_eq!(shown.matches('\x1b').count(), 2, "{shown:?}");
}

/// What has to be done before an example can be followed.
const BEFORE: &[(&str, &str)] = &[
    ("", "rm -f photo.jpg.ncpe"),
    ("encrypt", "rm -f photo.jpg.ncpe"),
    ("decrypt", "ncp-envelope encrypt -c kind=backup -o photos.tar.ncpe photos.tar"),
    (
        "slots remove",
        "ncp-envelope encrypt --layout durable -o two-keys.ncpe photo.jpg
      ncp-envelope slots add --to-key $NEW_KEY two-keys.ncpe",
    ),
    ("ring retire", "ncp-envelope ring rotate --ring ring"),
    (
        "field decrypt",
        "printf kim | ncp-envelope field encrypt --ring ring --field people.email --row 17 \
         --text > email.txt",
    ),
    (
        "field csv decrypt",
        "ncp-envelope field csv encrypt --ring ring --column email --row-column id < people.csv > \
         sealed.csv",
    ),
    ("keys enable", "ncp-envelope keys disable --yes --key $KEY"),
    ("keys auto-rotation off", "ncp-envelope keys auto-rotation on --key $KEY"),
    ("keys auto-rotation period", "ncp-envelope keys auto-rotation on --key $KEY"),
    (
        "keys versions enable",
        "ncp-envelope keys rotate --key $KEY
      ncp-envelope keys versions disable --yes --key $KEY 1",
    ),
    ("keys versions disable", "ncp-envelope keys rotate --key $KEY"),
    ("keys cancel-deletion", "ncp-envelope keys request-deletion --yes --key $KEY"),
    ("keys delete", "ncp-envelope keys request-deletion --yes --key $KEY"),
    ("keys acl enable", "ncp-envelope keys acl add --key $KEY 192.0.2.1"),
    (
        "keys acl disable",
        "ncp-envelope keys acl add --key $KEY 192.0.2.1
      ncp-envelope keys acl enable --yes --key $KEY",
    ),
    ("keys acl remove", "ncp-envelope keys acl add --key $KEY 192.0.2.1"),
    ("tokens renew", "ncp-envelope tokens create --store tokens"),
    ("tokens access", "ncp-envelope tokens create --store tokens"),
    ("tokens validate", "ncp-envelope tokens create --store tokens"),
    ("tokens generator enable", "ncp-envelope tokens generator disable --yes"),
    ("cipher decrypt", "ncp-envelope cipher encrypt -o password.enc password"),
    ("cipher re-encrypt", "ncp-envelope cipher encrypt -o password.enc password"),
    (
        "cipher verify",
        "sha256sum photo.jpg |
        ncp-envelope cipher sign --key $SIGNER -o sig",
    ),
    ("man", "mkdir -p ~/.local/share/man/man1"),
    (
        "completions",
        "mkdir -p ~/.local/share/bash-completion/completions
      mkdir -p ~/.config/fish/completions",
    ),
];

/// Commands without an end, or with one that is a minute away. They get no standard output, which
/// they look at before they begin: so their arguments are good.
const ENDLESS: &[&str] = &["bench", "emulator"];

/// What is there for every example.
const FILES: &str = r#"
set -eo pipefail
man() { cat > /dev/null; }
create() { ncp-envelope keys create --json "$@" | sed 's/.*"key_tag":"\([^"]*\)".*/\1/'; }
mkdir photos
echo photo > photo.jpg
cp photo.jpg photos
tar cf photos.tar photos
echo an error > server.log
echo secret > password
"#;

/// What is there for examples with this word.
const FOR_WORD: &[(&str, &str)] = &[
    ("$KEY", "KEY=$(create one)"),
    ("$NEW_KEY", "NEW_KEY=$(create other)"),
    ("$SIGNER", "SIGNER=$(create --type ECDSA sign)"),
    ("photo.jpg.ncpe", "ncp-envelope encrypt photo.jpg"),
    ("server.log.ncpe", "ncp-envelope encrypt server.log"),
    ("backup", "mkdir backup; ncp-envelope encrypt -o backup/a.ncpe photo.jpg"),
    ("--ring ring", "ncp-envelope ring create --ring ring > made"),
    ("people.csv", r"printf 'id,email\n17,kim@example.com\n' > people.csv"),
    ("durable", "mkdir durable; ncp-envelope encrypt --layout durable -o durable/ photo.jpg"),
];

/// Runs `script` in `place` with an account of `emulator`.
fn bash(place: &Place, emulator: &Emulator, script: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(place.path("")).env_clear();
    command.env("PATH", path).env("HOME", place.dir.path());
    command.env("NCP_KMS_ENDPOINT", emulator.url()).env("NCP_KMS_KEY_TAG", emulator.key_tag());
    command.env("NCP_ACCESS_KEY", emulator.access_key());
    command.env("NCP_SECRET_KEY", emulator.secret_key());
    command.output().unwrap()
}

#[test]
fn every_example_does_what_it_says() {
    let mut run = 0;
    for command in commands() {
        let (path, help) = (command.join(" "), help_of(&command, "-h"));
        let yes = help.contains("--yes");
        for example in examples(&help) {
            let place = Place::new();
            fs::create_dir_all(place.path("")).unwrap();
            let emulator = Emulator::builder().start_blocking().unwrap();
            let words = FOR_WORD.iter().filter(|(word, _)| example.contains(word));
            let words: String = words.map(|(_, script)| format!("{script}\n")).collect();
            let before = BEFORE.iter().find(|(of, _)| *of == path).map_or("", |(_, script)| script);
            let endless = ENDLESS.contains(&path.as_str()) && !example.contains('>');
            let more = [(yes, " --yes"), (endless, " >&-")];
            let more = more.iter().filter(|(when, _)| *when).map(|(_, more)| *more);
            let more: String = more.collect();
            // What a script starts in the background has begun before the script ends.
            let begun = match example.ends_with('&') {
                true => "\nuntil test -s connection.json; do sleep 0.02; done",
                false => "",
            };
            let example = format!("{example}{more}{begun}");
            let script = format!("{FILES}{words}{{ :\n{before}\n}} > before\n{example}");
            let done = bash(&place, &emulator, &script);
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            match endless {
                true => assert!(said.contains("standard output: it is closed"), "{said}"),
                false => assert!(done.status.success(), "{path}: {example}: {said}"),
            }
            run += 1;
        }
    }
    assert!(run > 70, "{run}");
}

/// The scripts under the heading of `help`, one for each description.
fn examples(help: &str) -> Vec<String> {
    let (_, text) = help.split_once("\nExamples:\n").unwrap();
    let text = text.split("\n\n").next().unwrap();
    let mut all: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(line) => {
                let last = all.last_mut().unwrap();
                last.push_str(if last.is_empty() { "" } else { "\n" });
                last.push_str(line);
            }
            None => all.push(String::new()),
        }
    }
    all
}
