//! Which outputs the inputs of a command have, before anything is written.
//!
//! Promises: an input has one output name, whatever exists there, so that a second run means the
//! same as the first. Inputs that share an output, and outputs inside of an input, are refused.

use crate::inputs::needs_recursive;
use crate::message::EXTENSION;
use crate::names;
use crate::status::Failure;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What is done to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Encrypt,
    Decrypt,
    Verify,
}

/// Inputs, and where their outputs go.
pub(crate) struct Plan {
    pub(crate) task: Task,
    pub(crate) roots: Vec<Root>,
    /// The directory for all outputs.
    pub(crate) out: Option<PathBuf>,
}

/// An input of the command line or of a list.
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) is_dir: bool,
    /// The output: of a file, unless its name allows none; of a directory, unless the outputs go
    /// beside the files in it.
    pub(crate) target: Option<PathBuf>,
    /// Whether it is where the output of another input goes: an earlier run made it.
    pub(crate) is_output: bool,
}

impl Task {
    /// The name of the output for a file called `name`.
    pub(crate) fn name(self, name: &OsStr) -> Option<OsString> {
        match self {
            Self::Encrypt => {
                let mut name = name.to_owned();
                name.push(".");
                name.push(EXTENSION);
                Some(name)
            }
            // The name may come from someone else: what is left must be one.
            Self::Decrypt => {
                let stem = Path::new(name).file_stem().filter(|_| is_message_name(name))?;
                (stem != "." && stem != "..").then(|| stem.to_owned())
            }
            Self::Verify => None,
        }
    }

    /// The same for a path.
    pub(crate) fn beside(self, path: &Path) -> Option<PathBuf> {
        Some(path.with_file_name(self.name(path.file_name()?)?))
    }
}

/// Whether `name` ends as messages' names do.
pub(crate) fn is_message_name(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == EXTENSION)
}

impl Plan {
    /// # Errors
    /// Wrong usage.
    pub(crate) fn new(
        task: Task,
        inputs: Vec<PathBuf>,
        recursive: bool,
        out: Option<&Path>,
    ) -> Result<Self, Failure> {
        if out.is_some_and(|out| out.as_os_str() == "-") {
            return Err(Failure::usage(
                "many outputs cannot go to standard output: give a directory",
            ));
        }
        if let Some(out) = out.filter(|out| out.exists() && !out.is_dir()) {
            return Err(Failure::usage(format!(
                "{} is no directory: the outputs of many inputs need one",
                out.display()
            )));
        }
        let root = |path: PathBuf| {
            let is_dir = path.is_dir();
            if is_dir && !recursive {
                return Err(needs_recursive(&path));
            }
            let target = match (out, is_dir) {
                (None, true) => None,
                (None, false) => task.beside(&path),
                (Some(out), true) => Some(match own_name(&path) {
                    Some(name) => out.join(name),
                    None => out.to_owned(),
                }),
                (Some(out), false) => {
                    path.file_name().and_then(|name| task.name(name)).map(|name| out.join(name))
                }
            };
            Ok(Root { path, is_dir, target, is_output: false })
        };
        let roots = inputs.into_iter().map(root).collect::<Result<Vec<_>, Failure>>()?;
        let mut plan = Self { task, roots, out: out.map(Path::to_owned) };
        if task != Task::Verify {
            plan.refuse_shared_outputs()?;
            plan.refuse_outputs_in_inputs()?;
            plan.refuse_inputs_in_inputs()?;
            plan.mark_outputs();
        }
        Ok(plan)
    }

    fn refuse_shared_outputs(&self) -> Result<(), Failure> {
        let mut seen = HashMap::new();
        for root in &self.roots {
            let Some(target) = &root.target else { continue };
            if self.roots.len() > 1 && self.out.as_ref() == Some(target) {
                return Err(Failure::usage(format!(
                    "the content of {} goes into {} itself: give it alone, or by a name",
                    root.path.display(),
                    target.display()
                )));
            }
            if let Some(other) = seen.insert(names::settled(target), &root.path) {
                return Err(Failure::usage(format!(
                    "{} and {} have the same output {}: process them one after the other",
                    other.display(),
                    root.path.display(),
                    target.display()
                )));
            }
        }
        Ok(())
    }

    /// They would be found as inputs, without end.
    fn refuse_outputs_in_inputs(&self) -> Result<(), Failure> {
        let Some(out) = &self.out else { return Ok(()) };
        let place = std::fs::canonicalize(out).unwrap_or_else(|_| names::settled(out));
        for root in self.roots.iter().filter(|root| root.is_dir) {
            let target = match own_name(&root.path) {
                Some(name) => place.join(name),
                None => place.clone(),
            };
            let Ok(input) = std::fs::canonicalize(&root.path) else { continue };
            if target.starts_with(&input) {
                return Err(Failure::usage(format!(
                    "{} would be written into {}, which is an input: choose another directory, or \
                     leave -o away for outputs beside the inputs",
                    target.display(),
                    root.path.display()
                )));
            }
        }
        Ok(())
    }

    /// Beside its inputs each output has one input.
    fn refuse_inputs_in_inputs(&self) -> Result<(), Failure> {
        if self.out.is_some() {
            return Ok(());
        }
        let place = |root: &Root| match root.is_dir {
            true => std::fs::canonicalize(&root.path).unwrap_or_else(|_| root.path.clone()),
            // The link and not its target: the output is beside it.
            false => match (root.path.parent(), root.path.file_name()) {
                (Some(parent), Some(name)) => names::settled(&parent.join(".")).join(name),
                _ => root.path.clone(),
            },
        };
        let places: Vec<_> = self.roots.iter().map(place).collect();
        let mut directories = HashSet::new();
        for (root, place) in self.roots.iter().zip(&places) {
            if root.is_dir && !directories.insert(place) {
                return Err(again(&root.path));
            }
        }
        for (root, place) in self.roots.iter().zip(&places) {
            if place.ancestors().skip(1).any(|above| directories.contains(&above.to_owned())) {
                return Err(again(&root.path));
            }
        }
        Ok(())
    }

    /// In `encrypt *` a second time, the outputs of the first run are inputs.
    fn mark_outputs(&mut self) {
        let files = self.roots.iter().filter(|root| !root.is_dir);
        let targets: HashSet<_> = files.filter_map(|root| root.target.clone()).collect();
        for root in &mut self.roots {
            root.is_output = targets.contains(&root.path);
        }
    }
}

fn again(path: &Path) -> Failure {
    Failure::usage(format!("{} is an input twice: name it once", path.display()))
}

/// The name of a directory, under which a copy of it goes; none for names that stand for the
/// content, as in other programs: `.`, `..`, `/`, `photos/.`.
fn own_name(path: &Path) -> Option<&OsStr> {
    let text = path.as_os_str().as_encoded_bytes();
    match text.ends_with(b"/.") {
        true => None,
        false => path.file_name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_outputs_are_names() {
        let name = |task: Task, name: &str| {
            task.name(OsStr::new(name)).map(|name| name.into_string().unwrap())
        };
        for plain in ["a", "a.b", "a.ncpe", ".a", "..a", "a\nb", ".ncpe"] {
            let message = name(Task::Encrypt, plain).unwrap();
            assert_eq!(name(Task::Decrypt, &message).as_deref(), Some(plain), "{plain:?}");
        }
        // No directory, and not the directory above.
        for bad in ["..ncpe", "...ncpe", ".ncpe", "a", "ncpe", "a.ncpes"] {
            assert_eq!(name(Task::Decrypt, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_directory_keeps_its_name_in_the_copy_unless_it_stands_for_its_content() {
        for (path, name) in [
            ("photos", Some("photos")),
            ("photos/", Some("photos")),
            ("x/photos//", Some("photos")),
            ("photos/.", None),
            (".", None),
            ("..", None),
            ("x/..", None),
            ("/", None),
        ] {
            assert_eq!(own_name(Path::new(path)), name.map(OsStr::new), "{path}");
        }
    }
}
