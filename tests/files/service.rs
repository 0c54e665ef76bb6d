//! Many files against the emulator, over loopback HTTP.

use crate::kit::{Tree, WAYS, quick};
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{DecryptPolicy, Envelope};

const NONE: [(&str, &str); 0] = [];
const FILES: usize = 1_000;

#[test]
fn a_thousand_files_are_four_requests_each_way() {
    for way in WAYS {
        let emulator = Emulator::builder().unthrottled().start_blocking().unwrap();
        let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
        let endpoint = Endpoint::Custom(emulator.url().to_owned());
        let client = Client::builder().endpoint(endpoint).credentials(account).build().unwrap();
        let envelope = Envelope::builder(client.key(emulator.key_tag()).unwrap()).build().unwrap();
        let tree = Tree::with(FILES);
        let items = || -> Vec<_> {
            emulator.requests().iter().map(|request| (request.action, request.items)).collect()
        };
        let pairs = tree.pairs(FILES, "plain", "sealed");
        let report = way.wait(envelope.encrypt_files(pairs, NONE, &quick())).unwrap();
        assert_eq!((report.done, report.failed), (1_000, 0), "{way:?}");
        let sizes: Vec<_> = items().iter().map(|(_, items)| *items).collect();
        assert_eq!(sizes, [256, 256, 256, 232], "{:?}", items());
        let pairs = tree.pairs(FILES, "sealed", "opened");
        let how = quick();
        let run = envelope.decrypt_files(pairs, DecryptPolicy::new(), &how);
        let report = way.wait(run).unwrap();
        assert_eq!((report.done, report.failed), (1_000, 0));
        let sizes: Vec<_> = items().iter().skip(4).map(|(_, items)| *items).collect();
        assert_eq!(sizes, [256, 256, 256, 232], "{:?}", items());
        tree.assert_same("plain", "opened");
    }
}
