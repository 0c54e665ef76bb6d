//! Several outputs that belong together.
//!
//! No file system names two files at once, so what is replaced is kept under a temporary name until
//! all are named, and put back if one cannot be. A crash in between leaves some named and others
//! not: commit those first that do no harm alone.

use super::file::Output;
use super::system;
use super::target::parent;
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::path::PathBuf;

/// Gives all outputs their names, in this order, or none.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if two have one name; [`ErrorKind::Io`]. The targets are then what
/// they were before, or the error says which could not be put back.
pub(crate) fn commit_all(mut outputs: Vec<Output>) -> Result<()> {
    refuse_twice(&outputs)?;
    for output in &mut outputs {
        output.finish()?;
    }
    let mut named = Vec::with_capacity(outputs.len());
    for output in &mut outputs {
        let before = Before::keep(output);
        let published = before.and_then(|before| {
            let published = output.publish();
            // On an error it is put back with the others, as it may have been moved away.
            if published.is_ok() || before.kept.is_some() {
                named.push(before);
            }
            published
        });
        if let Err(error) = published {
            return Err(put_back(named, error));
        }
    }
    named.into_iter().for_each(Before::discard);
    outputs.iter().try_for_each(Output::settle)
}

/// What was there before an output got its name.
struct Before {
    target: PathBuf,
    /// Its other name. Without one nothing was there.
    kept: Option<PathBuf>,
}

impl Before {
    fn keep(output: &Output) -> Result<Self> {
        let target = output.target.clone();
        if !output.replaces {
            return Ok(Self { target, kept: None });
        }
        let directory = parent(&target);
        let linked = system::under_a_name(directory, |name| system::link(&target, name));
        // Without links its name is taken away, and given back if need be.
        let kept = linked.or_else(|_| {
            system::under_a_name(directory, |name| {
                system::claim(name)?;
                let moved = system::rename(&target, name);
                moved.inspect_err(|_| _ = system::remove(name))
            })
        });
        match kept {
            Ok(kept) => Ok(Self { target, kept: Some(kept) }),
            // Somebody else removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { target, kept: None })
            }
            Err(error) => {
                let what = format_args!("cannot keep what {} is now", target.display());
                Err(Error::io(what, error))
            }
        }
    }

    fn discard(self) {
        if let Some(kept) = self.kept {
            let _ = system::remove(&kept);
        }
    }

    /// Reports what could not be restored, if anything.
    fn put_back(self) -> Option<String> {
        let target = self.target.display();
        let Some(kept) = self.kept else {
            let removed = system::remove(&self.target);
            return removed.err().map(|_| format!("{target} is new and could not be removed"));
        };
        match system::rename(&kept, &self.target) {
            // Where both were names of one file, both are still there.
            Ok(()) => {
                let _ = system::remove(&kept);
                None
            }
            Err(_) => Some(format!("what {target} was is now {}", kept.display())),
        }
    }
}

fn put_back(named: Vec<Before>, error: Error) -> Error {
    let stuck: Vec<_> = named.into_iter().rev().filter_map(Before::put_back).collect();
    if stuck.is_empty() {
        return error;
    }
    Error::with_source(error.kind(), format!("{error}; {}", stuck.join("; ")), error)
}

fn refuse_twice(outputs: &[Output]) -> Result<()> {
    // The last part is no link any more, and in front of it there may be other ways to say it.
    let real = |output: &Output| {
        let parent = parent(&output.target);
        let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
        parent.join(output.target.file_name().unwrap_or_default())
    };
    let mut seen = Vec::new();
    for output in outputs {
        let real = real(output);
        if seen.contains(&real) {
            let text = format!("{} is the name of two outputs", output.target.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        seen.push(real);
    }
    Ok(())
}
