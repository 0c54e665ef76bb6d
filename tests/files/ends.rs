//! A call that is dropped, and callbacks that panic.

use crate::kit::{Service, Tree, WAYS, Way, quick};
use futures_util::future::{Either, select};
use ncp_envelope::io::is_unfinished;
use ncp_envelope::{DecryptPolicy, ErrorKind};
use std::fs;
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

const NONE: [(&str, &str); 0] = [];

/// The call of a test is dropped while a file is being read. `large`: one that several threads work
/// on.
fn dropped(way: Way, large: bool) {
    const FILES: usize = 600;
    let (tree, service) = (Tree::with(FILES), Service::new("k"));
    if large {
        fs::write(tree.path("plain/30"), vec![7; 40 << 20]).unwrap();
    }
    let (begin, begun) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let waiting = Mutex::new(Some((begin, ended)));
    let how = quick().jobs(2).progress(move |progress| {
        let awaited = if large { progress.bytes >= 20 << 20 } else { progress.files == 300 };
        let waiting = awaited.then(|| waiting.lock().unwrap().take()).flatten();
        if let Some((begin, ended)) = waiting {
            begin.send(()).unwrap();
            ended.recv().unwrap();
        }
    });
    let pairs = tree.pairs(FILES, "plain", "sealed");
    way.wait(async {
        let envelope = service.envelope();
        let mut run = Box::pin(envelope.encrypt_files(pairs, NONE, &how));
        match select(&mut run, pin!(begun)).await {
            Either::Right(_) => {}
            Either::Left((done, _)) => panic!("it is done: {done:?}"),
        }
        drop(run);
        end.send(()).unwrap();
    });
    let names = tree.names("sealed");
    assert!(!names.iter().any(is_unfinished), "{names:?}");
    assert!(!names.is_empty() && names.len() < FILES);
    assert!(!large || !names.contains(&"30".to_owned()));
    // What has its name is whole.
    let sources = names.iter().map(|name| tree.path("sealed").join(name)).collect::<Vec<_>>();
    let envelope = service.envelope().blocking();
    let report = envelope.verify_files(sources, DecryptPolicy::new(), &quick()).unwrap();
    assert_eq!((report.done, report.failed), (names.len() as u64, 0));
}

#[test]
fn a_call_that_is_dropped_leaves_whole_files_only() {
    // The blocking call is dropped by nobody.
    for way in [Way::Threads, Way::Thread] {
        dropped(way, false);
        dropped(way, true);
    }
}

#[test]
fn a_callback_that_panics_is_an_error_and_nobody_waits() {
    for way in WAYS {
        for progress in [false, true] {
            let tree = Tree::with(600);
            fs::write(tree.path("plain/30"), vec![7; 9 << 20]).unwrap();
            let envelope = Service::new("k").envelope();
            let how = if progress {
                quick().progress(|progress| assert!(progress.bytes < 1 << 20, "planted"))
            } else {
                let seen = Arc::new(Mutex::new(0));
                quick().on_each(move |_| {
                    *seen.lock().unwrap() += 1;
                    assert!(*seen.lock().unwrap() < 300, "planted");
                })
            };
            let pairs = tree.pairs(600, "plain", "sealed");
            let error = way.wait(envelope.encrypt_files(pairs, NONE, &how.jobs(2))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{way:?}");
            assert!(!tree.names("sealed").iter().any(is_unfinished));
        }
    }
}
