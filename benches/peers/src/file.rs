//! `file encrypt|decrypt SOURCE TARGET`: the library's file call, without forcing the output to the
//! disk.

use crate::ours::ready;
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};

pub fn run(mut arguments: impl Iterator<Item = String>) {
    let mut argument =
        || arguments.next().expect("usage: ncp-envelope-peers file encrypt|decrypt SOURCE TARGET");
    let (operation, source, target) = (argument(), argument(), argument());
    // The next process has to have the same key.
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::copy_from(&[7; 32])).unwrap();
    let envelope = Envelope::builder(wrapper).build().unwrap();
    let options = FileOptions::new().sync(false);
    match operation.as_str() {
        "encrypt" => {
            ready(envelope.encrypt_file_with(source, target, EncryptionContext::new(), &options))
                .unwrap()
        }
        _ => ready(envelope.decrypt_file_with(source, target, &DecryptPolicy::new(), &options))
            .unwrap(),
    };
}
