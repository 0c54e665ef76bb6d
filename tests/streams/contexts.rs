//! What readers and reports say of a message: its context, and once that is proven, its length.

use crate::common::{block_on, envelope, sample};
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DecryptPolicy, EncryptionContext};
use std::io::{Cursor, Read};

#[test]
fn a_reader_tells_the_context_at_once_and_the_length_at_the_proven_end() {
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let policy = DecryptPolicy::new();
    for len in [0, 1, 16_384, 40_000] {
        let message = block_on(envelope().encrypt(&sample(len), &context)).unwrap();
        let mut reader = block_on(envelope().reader(&message[..], &policy)).unwrap();
        assert_eq!((reader.context(), reader.plaintext_len()), (&context, None));
        let mut back = vec![0; len];
        reader.read_exact(&mut back).unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert_eq!(reader.plaintext_len(), Some(len as u64));

        let cut = &message[..message.len() - 1];
        let mut reader = block_on(envelope().reader(cut, &policy)).unwrap();
        reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!((reader.context(), reader.plaintext_len()), (&context, None));
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_tokio_reader_tells_the_same() {
    use tokio::io::AsyncReadExt;
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    block_on(async {
        let message = envelope().encrypt(&sample(40_000), &context).await.unwrap();
        for cut in [0, 1] {
            let part = &message[..message.len() - cut];
            let mut reader = envelope().async_reader(part, &DecryptPolicy::new()).await.unwrap();
            assert_eq!((reader.context(), reader.plaintext_len()), (&context, None));
            let read = reader.read_to_end(&mut Vec::new()).await;
            assert_eq!(read.is_ok(), cut == 0);
            assert_eq!(reader.context(), &context);
            assert_eq!(reader.plaintext_len(), (cut == 0).then_some(40_000));
        }
    });
}

#[test]
fn reports_tell_the_context() {
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let (envelope, policy, options) = (envelope(), DecryptPolicy::new(), FileOptions::new());
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // In order and by several threads.
    for len in [100, 2 << 20] {
        let source = Cursor::new(sample(len));
        let sealed = block_on(envelope.encrypt_stream(source, Vec::new(), &context)).unwrap();
        assert_eq!(sealed.context, context);
        let message = Cursor::new(sealed.sink);
        let opened = block_on(envelope.decrypt_stream(message, Vec::new(), &policy)).unwrap();
        assert_eq!(opened.context, context);

        let options = options.clone().overwrite(true);
        std::fs::write(at("plain"), sample(len)).unwrap();
        let sealed = envelope.encrypt_file_with(at("plain"), at("sealed"), &context, &options);
        assert_eq!(block_on(sealed).unwrap().context, context);
        let opened = envelope.decrypt_file_with(at("sealed"), at("back"), &policy, &options);
        assert_eq!(block_on(opened).unwrap().context, context);
        let verified = envelope.verify_file_with(at("sealed"), &policy, &options);
        assert_eq!(block_on(verified).unwrap().context, context);
    }
}
