//! Standard input, output and error. Nothing else in the program touches them.
//!
//! Promises:
//! * Reading or writing a stream that was closed when the program started is an error. Rust's
//!   start-up puts `/dev/null` in its place, where output would be lost and input be empty, and
//!   that looks like a `/dev/null` from the user.
//! * A stream that was inherited non-blocking is waited for.
//! * When a write to standard output returns, the system has taken the bytes, or the write fails:
//!   there is no buffer that could be left unflushed.
//! * Messages on standard error are best effort. Nothing fails if they cannot be written.

use std::fs::Metadata;
use std::io::{self, IsTerminal, Read, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// With the usual 64 KiB, reader and writer wait for each other more often; 1 MiB falls out of the
/// cache.
#[cfg(target_os = "linux")]
const PIPE_LEN: usize = 256 << 10;

/// Which streams were closed at the start, one bit each.
static CLOSED: AtomicU8 = AtomicU8::new(0);
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;
const ERROR: u8 = 4;

/// Runs before Rust's start-up code. It allocates nothing and makes only system calls, as code
/// before `main` must.
#[cfg(unix)]
#[ctor::ctor]
fn look() {
    use rustix::io::{Errno, fcntl_getfd};
    use rustix::stdio::{stderr, stdin, stdout};
    for (bit, stream) in [(INPUT, stdin()), (OUTPUT, stdout()), (ERROR, stderr())] {
        if fcntl_getfd(stream) == Err(Errno::BADF) {
            CLOSED.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

fn check(bit: u8) -> io::Result<()> {
    match CLOSED.load(Ordering::Relaxed) & bit {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::NotConnected, "it is closed")),
    }
}

/// Standard input, without the buffer that the standard library puts in front of it.
#[derive(Debug)]
pub(crate) struct Input(#[cfg(unix)] std::fs::File, #[cfg(not(unix))] io::Stdin);

/// # Errors
/// If it is closed.
pub(crate) fn input() -> io::Result<Input> {
    check(INPUT)?;
    #[cfg(unix)]
    return duplicate(io::stdin().as_fd()).map(Input);
    #[cfg(not(unix))]
    Ok(Input(io::stdin()))
}

/// Standard output, without the standard library's buffer, which looks for line ends in everything.
#[derive(Debug)]
pub(crate) struct Output(#[cfg(unix)] std::fs::File, #[cfg(not(unix))] io::Stdout);

/// # Errors
/// If it is closed.
pub(crate) fn output() -> io::Result<Output> {
    check(OUTPUT)?;
    #[cfg(unix)]
    return duplicate(io::stdout().as_fd()).map(Output);
    #[cfg(not(unix))]
    Ok(Output(io::stdout()))
}

/// Standard error, if it is named as an output.
///
/// # Errors
/// If it is closed.
#[cfg(unix)]
pub(crate) fn error() -> io::Result<Output> {
    check(ERROR)?;
    duplicate(io::stderr().as_fd()).map(Output)
}

/// Writes all of `bytes` to standard output.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = output()?;
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a message for people to standard error, best effort.
pub(crate) fn tell(text: &str) {
    #[cfg(unix)]
    let error = error();
    #[cfg(not(unix))]
    let error = Ok::<_, io::Error>(io::stderr());
    let _ = error.and_then(|mut error| error.write_all(text.as_bytes()));
}

pub(crate) fn input_is_terminal() -> bool {
    check(INPUT).is_ok() && io::stdin().is_terminal()
}

pub(crate) fn output_is_terminal() -> bool {
    check(OUTPUT).is_ok() && io::stdout().is_terminal()
}

pub(crate) fn error_is_terminal() -> bool {
    check(ERROR).is_ok() && io::stderr().is_terminal()
}

/// The columns of the terminal that standard error is; 80 if it does not tell.
pub(crate) fn error_width() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stderr())
        && size.ws_col > 0
    {
        return usize::from(size.ws_col);
    }
    80
}

/// Whether what is printed for people may have colours.
pub(crate) fn output_has_colour() -> bool {
    output_is_terminal() && wants_colour()
}

/// The same for messages on standard error.
pub(crate) fn error_has_colour() -> bool {
    error_is_terminal() && wants_colour()
}

/// As other programs decide: <https://no-color.org>. Nothing forces colours into a pipe, where
/// other programs read.
fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

impl Input {
    /// The file behind it, if the system reports one.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        #[cfg(unix)]
        return self.0.metadata().ok();
        #[cfg(not(unix))]
        None
    }

    #[cfg(unix)]
    pub(crate) fn file(&self) -> &std::fs::File {
        &self.0
    }
}

impl Output {
    /// The file behind it, if the system reports one.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        #[cfg(unix)]
        return self.0.metadata().ok();
        #[cfg(not(unix))]
        None
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return patiently(&self.0, rustix::event::PollFlags::IN, || (&self.0).read(buf));
        #[cfg(not(unix))]
        self.0.read(buf)
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return patiently(&self.0, rustix::event::PollFlags::OUT, || (&self.0).write(buf));
        #[cfg(not(unix))]
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Waits for a stream that is not ready. The program that started this one may have made it
/// non-blocking for itself, and both share the setting.
#[cfg(unix)]
fn patiently(
    stream: &std::fs::File,
    ready: rustix::event::PollFlags,
    mut call: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    use rustix::event::{PollFd, poll};
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match poll(&mut [PollFd::new(stream, ready)], None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            done => return done,
        }
    }
}

#[cfg(unix)]
fn duplicate(stream: BorrowedFd<'_>) -> io::Result<std::fs::File> {
    let file = std::fs::File::from(stream.try_clone_to_owned()?);
    // Makes a pipe larger. Anything else, and a pipe that may not grow, stays as it is.
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(&file).is_ok_and(|len| len < PIPE_LEN) {
        let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_LEN);
    }
    Ok(file)
}
