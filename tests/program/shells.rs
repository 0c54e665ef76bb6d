//! What bash and zsh answer to Tab, and how manual pages look.

use crate::kit::{Place, commands};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Types lines into an interactive shell, and prints the arguments that the program would get. A
/// terminal is needed: with a pipe a shell completes nothing.
const TYPED: &str = r#"
import os, pty, signal, sys
shell, script, *lines = sys.argv[1:]
signal.alarm(60)
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="", HISTFILE="", INPUTRC="/dev/null")
    options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}
    os.execvp(shell, [shell, *options[shell]])
said = b""
def until(end, count):
    global said
    while said.count(end) < count:
        said += os.read(terminal, 4096)
if shell == "zsh":
    os.write(terminal, b"autoload -Uz compinit && compinit -D -u\n")
shows = "ncp-envelope() { printf '\\nGOT'; printf '<%s>' \"$@\"; printf '\\nEND\\n'; }"
os.write(terminal, f". {script}; {shows}\n".encode())
for number, line in enumerate(lines, 1):
    os.write(terminal, line.encode() + b"\n")
    until(b"\nEND", number)
os.write(terminal, b"exit\n")
for line in said.decode().replace("\r", "").split("\n"):
    if line.startswith("GOT"):
        print(line[3:])
"#;

/// What is typed before Tab, and the arguments after it.
const COMPLETED: &[(&str, &str)] = &[
    ("enc", "<encrypt>"),
    ("--vers", "<--version>"),
    ("keys cre", "<keys><create>"),
    ("keys versions dis", "<keys><versions><disable>"),
    ("cipher re", "<cipher><re-encrypt>"),
    ("encrypt --end", "<encrypt><--endpoint>"),
    ("rewrap --local --dry", "<rewrap><--local><--dry-run>"),
    ("encrypt --layout d", "<encrypt><--layout><durable>"),
    ("keys create --type R", "<keys><create><--type><RSA2048>"),
    ("encrypt --endpoint gl", "<encrypt><--endpoint><global>"),
    ("encrypt --proxy s", "<encrypt><--proxy><system>"),
    ("completions z", "<completions><zsh>"),
    ("encrypt my", "<encrypt><my file.txt>"),
    ("encrypt -o my", "<encrypt><-o><my file.txt>"),
    ("decrypt --aad-file my", "<decrypt><--aad-file><my file.txt>"),
    ("cat --local --range 1- f", "<cat><--local><--range><1-><f.ncpe>"),
];

/// Whether `program` is here. Where everything is tested, it has to be.
#[allow(clippy::print_stderr, reason = "a test that did nothing says so")]
fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "{program} is missing");
    if !here {
        eprintln!("{program} is missing: not tested");
    }
    here
}

fn typed(place: &Place, shell: &str, lines: &[String]) -> String {
    let script = place.run(&["completions", shell]).output().unwrap();
    assert!(script.status.success());
    place.write("script", &script.stdout);
    let mut command = Command::new("python3");
    command.args(["-c", TYPED, shell, "./script"]).args(lines);
    command.current_dir(place.path("")).env("HOME", place.dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_complete_commands_options_values_and_names() {
    for shell in ["bash", "zsh"].into_iter().filter(|shell| is_here(shell)) {
        let place = Place::new();
        place.write("my file.txt", b"");
        place.write("f.ncpe", b"");
        fs::create_dir(place.path("a directory")).unwrap();
        let line = |typed: &str| format!("ncp-envelope {typed}\t");
        let lines: Vec<_> = COMPLETED.iter().map(|(typed, _)| line(typed)).collect();
        let answers = typed(&place, shell, &lines);
        let answers: Vec<_> = answers.lines().collect();
        let expected: Vec<_> = COMPLETED.iter().map(|(_, answer)| *answer).collect();
        assert_eq!(answers, expected, "{shell}");
        // A file has the same beginning, and is not offered for a directory.
        place.write("a file", b"");
        let answer = typed(&place, shell, &[line("bench --dir a")]);
        assert_eq!(answer.trim_end().replace('/', ""), "<bench><--dir><a directory>", "{shell}");
    }
}

/// Bash inserts all candidates at once.
#[test]
fn every_command_is_offered() {
    if !is_here("bash") {
        return;
    }
    let (place, all) = (Place::new(), commands());
    let groups = all.iter().filter(|group| all.iter().any(|command| is_below(command, group)));
    let groups: Vec<_> = groups.collect();
    let line = |group: &&Vec<String>| format!("ncp-envelope {} \x1b*", group.join(" "));
    let answers = typed(&place, "bash", &groups.iter().map(line).collect::<Vec<_>>());
    assert_eq!(answers.lines().count(), groups.len());
    for (group, answer) in groups.into_iter().zip(answers.lines()) {
        for name in all.iter().filter(|command| is_below(command, group)).filter_map(|c| c.last()) {
            assert!(answer.contains(&format!("<{name}>")), "{group:?}: {answer}");
        }
    }
}

/// Whether `command` is in `group`.
fn is_below(command: &[String], group: &[String]) -> bool {
    command.len() == group.len() + 1 && command.starts_with(group)
}

#[test]
fn scripts_for_the_other_shells_name_every_command() {
    let (place, all) = (Place::new(), commands());
    for shell in ["elvish", "fish", "powershell"] {
        let output = place.run(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for name in all.iter().filter_map(|command| command.last()) {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
    }
}

fn written(place: &Place, args: &[&str]) -> Output {
    place.run(&[&["man", "--dir", "pages"], args].concat()).output().unwrap()
}

#[test]
fn each_command_has_a_page_and_pages_are_replaced_only_on_demand() {
    let place = Place::new();
    place.write("f", b"");
    place.refuses(&["man", "--dir", "pages"], 2, "pages is not a directory: make it first");
    place.refuses(&["man", "keys", "crate"], 2, "there is no command \"keys crate\"");
    fs::create_dir_all(place.path("pages")).unwrap();
    let name = |command: &Vec<String>| {
        let mut words = command.clone();
        words.insert(0, "ncp-envelope".to_owned());
        format!("{}.1", words.join("-"))
    };
    // One page is there already: none is written.
    let all = commands();
    let last = format!("pages/{}", name(all.last().unwrap()));
    place.write(&last, b"mine");
    assert_eq!(written(&place, &[]).status.code(), Some(2));
    assert_eq!(place.read(&last), b"mine");
    assert_eq!(fs::read_dir(place.path("pages")).unwrap().count(), 1);
    assert!(written(&place, &["--force"]).status.success());
    let mut expected: Vec<_> = all.iter().map(name).collect();
    expected.sort();
    let pages = fs::read_dir(place.path("pages")).unwrap();
    let mut pages: Vec<_> =
        pages.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    assert_eq!(pages, expected);
    for command in &all {
        let args = [&["man".to_owned()], &command[..]].concat();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let printed = place.run(&args).output().unwrap().stdout;
        assert_eq!(printed, place.read(&format!("pages/{}", name(command))), "{command:?}");
    }
}

/// groff is what `man` uses.
#[test]
fn pages_are_rendered_without_a_warning_in_80_columns() {
    if !is_here("groff") {
        return;
    }
    let place = Place::new();
    fs::create_dir_all(place.path("pages")).unwrap();
    assert!(written(&place, &[]).status.success());
    for page in fs::read_dir(place.path("pages")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = rendered(&page);
        let name = page.file_stem().unwrap().to_str().unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        let parts = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "EXAMPLES",
            "SEE ALSO",
        ];
        for part in parts {
            assert!(text.lines().any(|line| line == part), "{name} has no {part}: {text}");
        }
        // Each exit code is a paragraph of its own.
        assert!(text.contains("\n       4      Credentials or access.\n"), "{text}");
        assert!(
            text.contains("\n           ncp-envelope ")
                || text.contains("| ncp-envelope")
                || text.contains("\n             ncp-envelope "),
            "{text}"
        );
    }
    let page = rendered(&place.path("pages/ncp-envelope-encrypt.1"));
    assert!(page.contains("\n       ~/.local/share/ncp-envelope/local-kms\n"), "{page}");
}

fn rendered(page: &Path) -> String {
    // Without bold and underlined letters, which are made of several characters.
    let mut command = Command::new("groff");
    command.args(["-Tutf8", "-mandoc", "-wall", "-P-cbou"]).arg(page);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{page:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
