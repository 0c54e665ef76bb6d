//! Listens to what this thread asks of the file system, and has some of it fail.

use crate::output::system::Step;
use rustix::io::Errno;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{PoisonError, RwLock};

/// What fails.
#[derive(Clone, Copy)]
pub(crate) enum Fault<'a> {
    Nothing,
    /// The n-th request, from 0.
    Nth(usize, Errno),
    /// These, always.
    Each(&'a [(Step, Errno)]),
    /// These, always, and the n-th request.
    EachAndNth(&'a [(Step, Errno)], usize, Errno),
}

#[derive(Default)]
struct Watch {
    steps: Vec<Step>,
    each: Vec<(Step, Errno)>,
    nth: Option<(usize, Errno)>,
    call: Option<(Step, Rc<dyn Fn()>)>,
    torn: bool,
    looks: usize,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What discards all temporary files does not disturb what others test meanwhile.
pub(in crate::output) static ALONE: RwLock<()> = RwLock::new(());

pub(in crate::output) fn before(step: Step) -> io::Result<()> {
    WATCH.with_borrow_mut(|watch| {
        let Some(watch) = watch else { return Ok(()) };
        watch.steps.push(step);
        if let Some((_, call)) = watch.call.as_ref().filter(|(awaited, _)| *awaited == step) {
            call();
        }
        let each = watch.each.iter().find(|(failing, _)| *failing == step).map(|(_, errno)| errno);
        let nth = watch.nth.as_ref().filter(|(nth, _)| nth + 1 == watch.steps.len());
        match each.or(nth.map(|(_, errno)| errno)) {
            Some(errno) => Err((*errno).into()),
            None => Ok(()),
        }
    })
}

pub(in crate::output) fn looking() {
    WATCH.with_borrow_mut(|watch| watch.iter_mut().for_each(|watch| watch.looks += 1));
}

/// Whether a write over bytes that are there is half done when it fails.
pub(in crate::output) fn tears() -> bool {
    WATCH.with_borrow(|watch| watch.as_ref().is_some_and(|watch| watch.torn))
}

/// What `work` gives when the n-th request fails, and the half of it was done if it was a write
/// over bytes that are there.
pub(crate) fn torn<T>(nth: usize, errno: Errno, work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    watch(Watch { nth: Some((nth, errno)), torn: true, ..Watch::default() }, work)
}

/// What `work` gives, and what it asked for on this thread.
pub(crate) fn watched<T>(fault: Fault<'_>, work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    let (each, nth) = match fault {
        Fault::Nothing => (&[][..], None),
        Fault::Nth(nth, errno) => (&[][..], Some((nth, errno))),
        Fault::Each(each) => (each, None),
        Fault::EachAndNth(each, nth, errno) => (each, Some((nth, errno))),
    };
    watch(Watch { each: each.to_vec(), nth, ..Watch::default() }, work)
}

/// What `work` gives, what it asked for on this thread, and how often it looked.
pub(crate) fn asked<T>(work: impl FnOnce() -> T) -> (T, Vec<Step>, usize) {
    let (result, watch) = watch_all(Watch::default(), work);
    (result, watch.steps, watch.looks)
}

/// The same, with `call` made when `step` is asked for.
pub(crate) fn watched_with<T>(
    step: Step,
    call: impl Fn() + 'static,
    work: impl FnOnce() -> T,
) -> (T, Vec<Step>) {
    watch(Watch { call: Some((step, Rc::new(call))), ..Watch::default() }, work)
}

fn watch<T>(watch: Watch, work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    let (result, watch) = watch_all(watch, work);
    (result, watch.steps)
}

fn watch_all<T>(watch: Watch, work: impl FnOnce() -> T) -> (T, Watch) {
    let _others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    WATCH.set(Some(watch));
    let result = work();
    (result, WATCH.take().unwrap_or_default())
}
