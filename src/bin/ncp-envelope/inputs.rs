//! The inputs of `encrypt`, `decrypt` and `verify`: one, or many.

use crate::input::{Input, blocking};
use crate::status::Failure;
use crate::walk::Names;
use clap::{Args, value_parser};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// More files at a time than the library processes.
const MAX_JOBS: i64 = 1_024;

#[derive(Args)]
pub(crate) struct InputsArgs {
    /// Process the files in directories, at any depth. Links in them are not followed.
    ///
    /// With -o, the output is a copy of the directory: names, rights less the umask, times of last
    /// change, links with their texts, and empty directories. What cannot be copied, such as a
    /// FIFO, is a failure. Owners, access lists, extended attributes and hard links are not
    /// copied. Otherwise outputs are beside the files, and what is no file to process is passed
    /// over and counted. A run that was interrupted continues when it is run again.
    #[arg(short, long)]
    recursive: bool,
    /// Process the files named in this file too, one name a line; "-" is standard input.
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Names of --files-from end with a NUL byte instead of a line break, as `find -print0` and
    /// `git ls-files -z` write them.
    #[arg(short = '0', long = "null", requires = "files_from")]
    null: bool,
    /// Files that are processed at a time; 0 stands for what suits the cores and the disk. They
    /// share the cores with --threads.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
        value_parser = value_parser!(u16).range(..=MAX_JOBS))]
    jobs: u16,
    /// Files, and with -r directories; "-" alone is standard input.
    #[arg(required_unless_present = "files_from", value_name = "INPUT")]
    inputs: Vec<PathBuf>,
}

impl InputsArgs {
    /// The input, if it is a single file or stream.
    pub(crate) fn single(&self) -> Option<&Path> {
        match &self.inputs[..] {
            [input] if self.are_named() => Some(input),
            _ => None,
        }
    }

    /// # Errors
    /// Wrong usage: the single input is a directory.
    pub(crate) fn refuse_directory(&self, input: &Path) -> Result<(), Failure> {
        match input.is_dir() {
            true => Err(needs_recursive(input)),
            false => Ok(()),
        }
    }

    /// Whether the command line names each file.
    pub(crate) fn are_named(&self) -> bool {
        !self.recursive && self.files_from.is_none()
    }

    pub(crate) fn named(&self) -> &[PathBuf] {
        &self.inputs
    }

    pub(crate) fn recursive(&self) -> bool {
        self.recursive
    }

    pub(crate) fn jobs(&self) -> usize {
        usize::from(self.jobs)
    }

    /// All names, those of the list included. `other` is what else may be read from standard input.
    pub(crate) async fn names(&self, other: Option<&Input>) -> Result<Vec<PathBuf>, Failure> {
        let mut names = self.inputs.clone();
        if let Some(list) = &self.files_from {
            let list = Input::look(list)?;
            list.refuse_twice(other)?;
            let (source, nul) = (list.open().await?, self.null);
            let read = move || Names::new(BufReader::new(source), nul).collect();
            let listed: std::io::Result<Vec<_>> = blocking(read).await?;
            names.extend(listed.map_err(|error| list.cannot_read(error))?);
        }
        match names.iter().any(|name| name.as_os_str() == "-") {
            true => Err(Failure::usage("- is standard input, and can only be the one input")),
            false => Ok(names),
        }
    }
}

/// The error for a directory without `-r`.
pub(crate) fn needs_recursive(directory: &Path) -> Failure {
    Failure::usage(format!("{} is a directory: give -r for the files in it", directory.display()))
}
