//! `ncp-envelope man`: manual pages, one for each command.

use crate::help;
use crate::help::tables::EXIT_CODES;
use crate::input::blocking;
use crate::output;
use crate::place::{Delivery, Target, deliver};
use crate::status::Failure;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use ncp_envelope::io::FileOptions;
use std::path::{Path, PathBuf};

const SECTION: &str = "1";
/// With longer names, the title of a page has the program's name left out.
const LONG_NAME: usize = 32;
const VERSION: &str = concat!("ncp-envelope ", env!("CARGO_PKG_VERSION"));

#[derive(Args)]
pub(crate) struct ManArgs {
    /// Write all pages into this directory instead of printing one.
    #[arg(long, conflicts_with = "command")]
    dir: Option<PathBuf>,
    /// Replace pages that exist.
    #[arg(long, requires = "dir")]
    force: bool,
    /// Command whose page is printed, such as "keys create" [default: the program's own page].
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// The page of a command.
struct Page {
    file: String,
    text: Vec<u8>,
}

pub(crate) async fn run(args: ManArgs, program: Command) -> Result<(), Failure> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let Some(dir) = args.dir else {
        let command = find(&program, &args.command)?;
        return output::print(&page(command, &args.command.join(" "))?.text);
    };
    let mut pages = Vec::new();
    collect(&program, "", &mut pages)?;
    write(&dir, args.force, &pages).await
}

fn find<'a>(program: &'a Command, names: &[String]) -> Result<&'a Command, Failure> {
    names.iter().try_fold(program, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            let path = names.join(" ");
            Failure::usage(format!("there is no command \"{path}\": see ncp-envelope --help"))
        })
    })
}

fn collect(command: &Command, path: &str, pages: &mut Vec<Page>) -> Result<(), Failure> {
    pages.push(page(command, path)?);
    command.get_subcommands().try_for_each(|sub| {
        let path = format!("{path} {}", sub.get_name());
        collect(sub, path.trim_start(), pages)
    })
}

/// All pages, or none.
async fn write(dir: &Path, force: bool, pages: &[Page]) -> Result<(), Failure> {
    let owned = dir.to_owned();
    if !blocking(move || owned.is_dir()).await? {
        let shown = dir.display();
        return Err(Failure::usage(format!("{shown} is not a directory: make it first")));
    }
    let options = FileOptions::new().overwrite(force);
    let delivery = |page: &'_ Page| -> Result<(Target, FileOptions), Failure> {
        let path = dir.join(&page.file);
        if !force && path.symlink_metadata().is_ok() {
            let shown = path.display();
            return Err(Failure::usage(format!("{shown} exists: replace all pages with --force")));
        }
        let target = Target::of(&path, force, || Ok(None))?;
        Ok((target, options.clone()))
    };
    let targets = pages.iter().map(delivery).collect::<Result<Vec<_>, _>>()?;
    let deliveries = pages.iter().zip(targets).map(|(page, (target, options))| Delivery {
        target,
        options,
        source: None,
        bytes: &page.text,
    });
    deliver(deliveries).await
}

/// The page of the command `path`.
fn page(command: &Command, path: &str) -> Result<Page, Failure> {
    let man = Man::new(command.clone()).section(SECTION);
    let mut text = Vec::new();
    let made = (|| {
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut text)?;
        }
        surroundings(command, path).to_writer(&mut text)
    })();
    made.map_err(output::cannot_write)?;
    let text = String::from_utf8_lossy(&text);
    let (preamble, _) = text.split_at(text.find(".SH").unwrap_or(0));
    // Without a date: the same version gives the same page.
    let name = of(path);
    // Left and right of the first line, which has 80 columns.
    let short = if name.len() > LONG_NAME { path.replace(' ', "-") } else { name.clone() };
    let title = format!(".TH {short} {SECTION} \"\" \"{VERSION}\" \" \"\n");
    // Each section would begin with the preamble.
    let text = format!("{preamble}{title}{}", text.replace(preamble, "")).into_bytes();
    Ok(Page { file: format!("{name}.{SECTION}"), text })
}

/// The name of the page of the command `path`.
fn of(path: &str) -> String {
    format!("ncp-envelope {path}").trim_end().replace(' ', "-")
}

/// What help says beside the arguments.
fn surroundings(command: &Command, path: &str) -> Roff {
    let mut roff = Roff::new();
    let item = |roff: &mut Roff, name: Vec<Inline>, text: &str| {
        roff.control("TP", []).text(name).text([roman(text)]);
    };
    roff.control("SH", ["EXIT STATUS"]);
    for (code, text) in EXIT_CODES {
        item(&mut roff, vec![bold(*code)], text);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for variables in help::environment(command) {
        let mut names = Vec::new();
        for name in variables.names {
            names.extend([roman(if names.is_empty() { "" } else { ", " }), bold(*name)]);
        }
        item(&mut roff, names, variables.text);
    }
    let mut files = help::files(command).peekable();
    if files.peek().is_some() {
        roff.control("SH", ["FILES"]);
    }
    for (name, text) in files {
        item(&mut roff, vec![italic(name)], text);
    }
    roff.control("SH", ["EXAMPLES"]);
    for (what, line) in help::examples(path) {
        if !what.is_empty() {
            roff.control("PP", []).text([roman(format!("{what}:"))]);
        }
        roff.control("RS", ["4"]).control("nf", []);
        for line in line.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).control("RE", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    let parent = path.rsplit_once(' ').map_or("", |(parent, _)| parent);
    let mut also = vec![bold(of(if path.is_empty() { "encrypt" } else { parent })), roman("(1)")];
    if !parent.is_empty() {
        also.extend([roman(", "), bold("ncp-envelope"), roman("(1)")]);
    }
    roff.text(also);
    roff
}
