//! When the system gives no more open files. In processes of their own, with a low limit.

use crate::kit::{Service, Tree, quick};
use ncp_envelope::DecryptPolicy;
use std::fs::File;
use std::process::Command;

const NONE: [(&str, &str); 0] = [];
const CHILD: &str = "NCP_ENVELOPE_TEST_OPEN_FILES";
const FILES: usize = 100;

fn with_limit(name: &str, limit: usize, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_group_holds_a_quarter_of_the_open_files() {
    with_limit("open_files::a_group_holds_a_quarter_of_the_open_files", 64, || {
        let (tree, service) = (Tree::with(FILES), Service::new("k"));
        let envelope = service.envelope().blocking();
        let pairs = tree.pairs(FILES, "plain", "sealed");
        let report = envelope.encrypt_files(pairs, NONE, &quick()).unwrap();
        assert_eq!((report.done, report.failed, service.counts().0), (100, 0, 7));
    });
}

#[test]
fn a_group_ends_where_the_system_gives_no_more() {
    with_limit("open_files::a_group_ends_where_the_system_gives_no_more", 64, || {
        let (tree, service) = (Tree::with(FILES), Service::new("k"));
        let envelope = service.envelope().blocking();
        // The runtime has files, too.
        let pairs = tree.pairs(FILES, "plain", "sealed");
        let first = envelope.encrypt_files(pairs[..1].to_vec(), NONE, &quick()).unwrap();
        assert_eq!(first.done, 1);
        // A few are left, fewer than a group would take.
        let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - 10);
        let report = envelope.encrypt_files(pairs[1..].to_vec(), NONE, &quick().jobs(3)).unwrap();
        assert_eq!((report.done, report.failed), (99, 0), "{:?}", report.failures);
        let pairs = tree.pairs(FILES, "sealed", "opened");
        let report = envelope.decrypt_files(pairs, DecryptPolicy::new(), &quick().jobs(3)).unwrap();
        assert_eq!((report.done, report.failed), (100, 0), "{:?}", report.failures);
        tree_is_same(&tree, taken);
    });
}

#[test]
fn without_any_open_file_it_is_an_error_of_the_file() {
    with_limit("open_files::without_any_open_file_it_is_an_error_of_the_file", 64, || {
        let (tree, service) = (Tree::with(3), Service::new("k"));
        let envelope = service.envelope().blocking();
        let pairs = tree.pairs(3, "plain", "sealed");
        let _ = envelope.encrypt_files(pairs[..1].to_vec(), NONE, &quick()).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let report = envelope.encrypt_files(pairs[1..].to_vec(), NONE, &quick()).unwrap();
        drop(taken);
        assert_eq!((report.done, report.failed), (0, 2));
        assert!(report.stopped.is_none());
    });
}

fn tree_is_same(tree: &Tree, taken: Vec<File>) {
    drop(taken);
    tree.assert_same("plain", "opened");
}
