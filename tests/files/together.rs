//! Large and small files side by side.

use crate::kit::{Service, Tree, WAYS, quick};
use ncp_envelope::DecryptPolicy;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

const NONE: [(&str, &str); 0] = [];
const FILES: usize = 250;
const LARGE: usize = 12 << 20;

#[test]
fn a_large_file_has_the_cores_for_itself() {
    for way in WAYS {
        let tree = Tree::with(FILES);
        for large in [0, 100, 101, 249] {
            let content = vec![large as u8; LARGE + large];
            fs::write(tree.path("plain").join(large.to_string()), content).unwrap();
        }
        let seen = Arc::new(Mutex::new((0, BTreeSet::new())));
        let noting = seen.clone();
        let how = quick().jobs(4).progress(move |progress| {
            let mut seen = noting.lock().unwrap();
            // The others have some bytes each.
            if progress.bytes - seen.0 >= 100 << 10 {
                seen.1.insert(progress.files);
            }
            seen.0 = progress.bytes;
        });
        let envelope = Service::new("k").envelope();
        let pairs = tree.pairs(FILES, "plain", "sealed");
        let report = way.wait(envelope.encrypt_files(pairs, NONE, &how)).unwrap();
        assert_eq!((report.done, report.failed), (FILES as u64, 0), "{way:?}");
        // No other file was finished while one of them was processed.
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()).1.len(), 4);
        let pairs = tree.pairs(FILES, "sealed", "opened");
        let report = way.wait(envelope.decrypt_files(pairs, DecryptPolicy::new(), &how)).unwrap();
        assert_eq!((report.done, report.failed), (FILES as u64, 0));
        assert_eq!(seen.lock().unwrap().1.len(), 4);
        tree.assert_same("plain", "opened");
    }
}
