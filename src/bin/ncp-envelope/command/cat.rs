//! `ncp-envelope cat`: a message, or a range of it, to standard output.

use crate::input::{Input, blocking};
use crate::options::KmsArgs;
use crate::output;
use crate::place::Target;
use crate::progress::Progress;
use crate::reading::{ReadArgs, refused};
use crate::session::Session;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::Error;
use ncp_envelope::io::{DetachedSource, FileOptions, RangeReader, ReadAt};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// How much is opened and written at once; a cursor returns no more.
const PIECE: usize = 1 << 20;

#[derive(Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    read: ReadArgs,
    /// Only these bytes, counted from 0, as in HTTP: A-B is A to B, both included; A- is from A on;
    /// -N is the last N. Reads only the parts of the message that they need.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = part)]
    range: Option<Part>,
    /// Message to read; "-" is standard input.
    input: PathBuf,
    #[command(flatten)]
    kms: KmsArgs,
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// From the first number to the second, both included.
    From(u64, Option<u64>),
    Last(u64),
}

fn part(text: &str) -> Result<Part, String> {
    let wrong = || "a range is A-B, A- or -N, in bytes".to_owned();
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().map_err(|_| wrong()),
        // A sign would be accepted by the number's own parser.
        false => Err(wrong()),
    };
    match text.split_once('-').ok_or_else(wrong)? {
        ("", n) => match number(n)? {
            0 => Err("the last 0 bytes are none".to_owned()),
            n => Ok(Part::Last(n)),
        },
        (from, "") => Ok(Part::From(number(from)?, None)),
        (from, to) => match (number(from)?, number(to)?) {
            (from, to) if from > to => Err("it ends before it begins".to_owned()),
            (from, to) => Ok(Part::From(from, Some(to))),
        },
    }
}

pub(crate) async fn run(args: CatArgs) -> Result<(), Failure> {
    let (input, beside) = (Input::look(&args.input)?, args.read.look()?);
    let target = Target::standard()?;
    beside.refuse(&input, &target)?;
    if args.range.is_some() && !input.is_regular() {
        return Err(Failure::usage(format!(
            "{} is not a regular file, and --range needs one: leave out --range, or save it to a \
             file first",
            input.name()
        )));
    }
    let terms = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let progress = Progress::start();
    let source = input.open().await?;
    let mut sink = target.open(&FileOptions::new(), false, None).await?;
    let name = input.name();
    let Some(range) = args.range else {
        let len = source.len();
        let body = progress.watch(source, len);
        let source = Cursor::new(terms.header.unwrap_or_default()).chain(body);
        let report = session.envelope.decrypt_stream(source, sink, &terms.policy).await;
        return report.map(drop).map_err(|error| refused(&name, error));
    };
    let file =
        source.file().cloned().ok_or_else(|| Failure::usage("--range needs a regular file"))?;
    let source: Box<dyn ReadAt> = match terms.header {
        None => Box::new(file),
        Some(header) => {
            Box::new(DetachedSource::new(header, file).map_err(|error| refused(&name, error))?)
        }
    };
    let opened = session.envelope.range_reader(source, &terms.policy).await;
    let reader = opened.map_err(|error| refused(&name, error))?;
    blocking(move || {
        let part = bounds(&reader, range).map_err(|error| refused(&name, error))?;
        let len = part.end - part.start;
        let mut cursor = reader.cursor();
        let unread = |error: io::Error| match Error::inside(&error) {
            Some(error) => refused(&name, error),
            None => input.cannot_read(error),
        };
        cursor.seek(SeekFrom::Start(part.start)).map_err(unread)?;
        let mut plaintext = progress.watch(cursor.take(len), Some(len));
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        loop {
            let len = plaintext.read(&mut piece).map_err(unread)?;
            if len == 0 {
                return sink.flush().map_err(output::cannot_write);
            }
            sink.write_all(&piece[..len]).map_err(output::cannot_write)?;
        }
    })
    .await?
}

fn bounds(reader: &RangeReader<Box<dyn ReadAt>>, part: Part) -> Result<Range<u64>, Error> {
    match part {
        Part::From(from, None) => reader.resolve(from..),
        Part::From(from, Some(to)) => reader.resolve(from..=to),
        Part::Last(n) => {
            let len = reader.len()?;
            Ok(len.saturating_sub(n)..len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_in_http() {
        for (text, range) in [
            ("0-0", Part::From(0, Some(0))),
            ("5-18446744073709551615", Part::From(5, Some(u64::MAX))),
            ("7-", Part::From(7, None)),
            ("-7", Part::Last(7)),
        ] {
            assert_eq!(part(text), Ok(range), "{text}");
        }
        for text in ["", "-", "--", "5", "-0", "5-4", "+5-6", "5-+6", "-+6", "-5-6", "a-b", "1-2-3"]
        {
            assert!(part(text).is_err(), "{text}");
        }
        assert!(part("0-18446744073709551616").is_err());
    }
}
