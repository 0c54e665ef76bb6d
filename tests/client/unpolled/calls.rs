//! Every call of the client and of the envelope.

use super::{Begun, World};
use futures_util::stream;
use ncp_envelope::fields::{KeyRing, RingDocument};
use ncp_envelope::format::{Header, PREAMBLE_LEN};
use ncp_envelope::io::{
    AsyncAtomicFile, AsyncRangeReader, FileOptions, FilesOptions, FilesReport, GetRange,
};
use ncp_envelope::kms::{ActivityQuery, CreateKey, CustomKeyBits, KeyType, TokenLifetimes};
use ncp_envelope::stored::{RekeyOptions, RewrapOptions, RewrapReport, SlotChange, SlotsChanged};
use ncp_envelope::wrap::{BoxFuture, KeyPayload, KeyWrapper, PAYLOAD_LEN};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind, LocalKeyWrapper, Result,
};
use std::io::{self, Cursor};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;

/// One call.
pub(crate) struct Row {
    /// The type and the name of the function.
    pub(crate) name: &'static str,
    pub(crate) begin: fn(Arc<World>) -> Begun,
}

macro_rules! calls {
    ($($name:literal => |$world:ident| $call:expr,)*) => {
        pub(crate) const CALLS: &[Row] = &[$(Row {
            name: $name,
            begin: |$world| Box::pin(async move { $call.await.map(drop) }),
        }),*];
    };
}

const HOME: [Ipv4Addr; 1] = [Ipv4Addr::LOCALHOST];
const CIPHERTEXT: &str = "ncpkms:v1:eA==";

fn payloads() -> [KeyPayload; 2] {
    [1, 2].map(|byte| KeyPayload::copy_from(&[byte; PAYLOAD_LEN]))
}

fn policy() -> DecryptPolicy {
    DecryptPolicy::new()
}

fn options() -> EncryptOptions {
    EncryptOptions::new()
}

/// One key takes the place of another.
async fn moved(world: &World) -> Result<SlotsChanged> {
    let another = LocalKeyWrapper::new("another", &DataKey::generate()?)?;
    let both = Envelope::builder(world.key.clone()).and(another).build()?;
    let change = SlotChange::new().remove(world.key.key_id().clone());
    both.change_slots(world.copied_message(), &policy(), &change).await
}

/// A ring whose keys were forgotten.
async fn ring(world: &World) -> Result<KeyRing> {
    let ring = KeyRing::open(&world.ring, &world.envelope).await?;
    ring.forget_keys();
    Ok(ring)
}

/// The message of this world as a source of ranges.
struct Stored(Arc<World>);

impl GetRange for Stored {
    type Bytes = Vec<u8>;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        let message = &self.0.message;
        let end = (range.end as usize).min(message.len());
        Box::pin(async move { Ok(message[range.start as usize..end].to_vec()) })
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async { Ok(self.0.message.len() as u64) })
    }
}

async fn remote(world: &Arc<World>) -> Result<AsyncRangeReader<Stored>> {
    world.envelope.async_range_reader(Stored(Arc::clone(world)), &policy()).await
}

/// The first failure of many.
async fn first<T>(many: impl Future<Output = Vec<Result<T>>>) -> Result<()> {
    many.await.into_iter().try_for_each(|one| one.map(drop))
}

/// What ended a run before its end.
async fn whole(run: impl Future<Output = Result<RewrapReport>>) -> Result<()> {
    run.await?.stopped.map_or(Ok(()), Err)
}

/// What failed in a call on many files.
async fn checked(run: impl Future<Output = Result<FilesReport>>) -> Result<()> {
    run.await?.check().map(drop)
}

/// A client with a token has no account, and says so without a call.
async fn by_account<T>(call: impl Future<Output = Result<T>>) -> Result<()> {
    let refused = |error: &Error| error.kind() == ErrorKind::Credentials;
    match call.await {
        Err(error) if refused(&error) && error.to_string().contains("needs account") => Ok(()),
        other => other.map(drop),
    }
}

calls! {
    "KeyRing::create" => |world| KeyRing::create(&world.envelope),
    "KeyRing::open" => |world| KeyRing::open(&world.ring, &world.envelope),
    "KeyRing::ready" => |world| ring(&world).await?.ready(),
    "KeyRing::rotate" => |world| ring(&world).await?.rotate(),
    "KeyRing::rotate_index" => |world| ring(&world).await?.rotate_index(),
    "KeyRing::rewrap" => |world| ring(&world).await?.rewrap(),
    "KeyRing::adopt" => |world| ring(&world).await?.adopt(&RingDocument::decode(&world.ring)?),
    "RingDocument::rewrap" => |world| RingDocument::decode(&world.ring)?.rewrap(&world.envelope),
    "Key::encrypt" => |world| world.key.encrypt(b"x"),
    "Key::encrypt_many" => |world| world.key.encrypt_many(&["x", "y"]),
    "Key::decrypt" => |world| world.key.decrypt(CIPHERTEXT),
    "Key::decrypt_many" => |world| world.key.decrypt_many(&[CIPHERTEXT; 2]),
    "Key::re_encrypt" => |world| world.key.re_encrypt(CIPHERTEXT),
    "Key::re_encrypt_many" => |world| world.key.re_encrypt_many(&[CIPHERTEXT; 2]),
    "Key::create_custom_key" => |world| world.key.create_custom_key(CustomKeyBits::Bits128),
    "Key::create_custom_key_with_plaintext" =>
        |world| world.key.create_custom_key_with_plaintext(CustomKeyBits::Bits128),
    "Key::sign" => |world| world.key.sign(b"x"),
    "Key::verify" => |world| world.key.verify(b"x", "x"),
    "Key::public_key" => |world| world.key.public_key(None),
    "Key::wrap_keys" => |world| world.key.wrap_keys(&payloads()),
    "Key::unwrap_keys" => |world| world.key.unwrap_keys(&world.wrapped),
    "Key::rewrap_keys" => |world| world.key.rewrap_keys(&world.wrapped),
    "KeyTokens::create_set" =>
        |world| by_account(world.key.tokens().create_set(&TokenLifetimes::default())),
    "KeyTokens::renew_set" =>
        |world| world.key.tokens().renew_set(&"t".into(), &TokenLifetimes::default()),
    "KeyTokens::new_access_token" => |world| world.key.tokens().new_access_token(&"t".into(), None),
    "KeyTokens::validate" => |world| world.key.tokens().validate(&"t".into()),
    "KeyTokens::generator" => |world| by_account(world.key.tokens().generator()),
    "KeyTokens::enable_generator" => |world| by_account(world.key.tokens().enable_generator()),
    "KeyTokens::replace_generator" => |world| by_account(world.key.tokens().replace_generator()),
    "KeyTokens::disable_generator" => |world| by_account(world.key.tokens().disable_generator()),
    "KeyAcl::list" => |world| by_account(world.key.acl().list()),
    "KeyAcl::enable" => |world| by_account(world.key.acl().enable()),
    "KeyAcl::disable" => |world| by_account(world.key.acl().disable()),
    "KeyAcl::add" => |world| by_account(world.key.acl().add(&HOME)),
    "KeyAcl::remove" => |world| by_account(world.key.acl().remove(&HOME)),
    "Keys::create" =>
        |world| by_account(world.client.keys().create(&CreateKey::new("new", KeyType::Aes256))),
    "Keys::page" => |world| by_account(world.client.keys().page(1, 1)),
    "KeyPages::next" => |world| by_account(world.client.keys().pages().next()),
    "KeyAdmin::activity_page" =>
        |world| by_account(world.key.admin().activity_page(&ActivityQuery::new(), 1, 1)),
    "KeyAdmin::last_use" => |world| by_account(world.key.admin().last_use()),
    "ActivityPages::next" =>
        |world| by_account(world.key.admin().activities(&ActivityQuery::new()).next()),
    "KeyAdmin::info" => |world| by_account(world.key.admin().info()),
    "KeyAdmin::enable" => |world| by_account(world.key.admin().enable()),
    "KeyAdmin::disable" => |world| by_account(world.key.admin().disable()),
    "KeyAdmin::rename" => |world| by_account(world.key.admin().rename("orders")),
    "KeyAdmin::set_memo" => |world| by_account(world.key.admin().set_memo("x")),
    "KeyAdmin::rotate" => |world| by_account(world.key.admin().rotate()),
    "KeyAdmin::enable_auto_rotation" =>
        |world| by_account(world.key.admin().enable_auto_rotation()),
    "KeyAdmin::disable_auto_rotation" =>
        |world| by_account(world.key.admin().disable_auto_rotation()),
    "KeyAdmin::set_rotation_period" =>
        |world| by_account(world.key.admin().set_rotation_period(1)),
    "KeyAdmin::versions" => |world| by_account(world.key.admin().versions()),
    "KeyAdmin::enable_version" => |world| by_account(world.key.admin().enable_version(1)),
    "KeyAdmin::disable_version" => |world| by_account(world.key.admin().disable_version(1)),
    "KeyAdmin::request_deletion" => |world| by_account(world.key.admin().request_deletion()),
    "KeyAdmin::cancel_deletion" => |world| by_account(world.key.admin().cancel_deletion()),
    "KeyAdmin::delete" => |world| by_account(world.key.admin().delete()),
    "Envelope::encryptor" => |world| world.envelope.encryptor(options()),
    "Envelope::encryptors" => |world| world.envelope.encryptors([options(), options()]),
    "Envelope::decryptor" => |world| {
        let header = Header::decode(&world.message).unwrap();
        let body = header.bound().body_offset();
        let preamble = *world.message[body..].first_chunk::<PREAMBLE_LEN>().unwrap();
        let envelope = world.envelope.clone();
        async move { envelope.decryptor(&header, &preamble, &policy()).await }
    },
    "Envelope::encrypt" => |world| world.envelope.encrypt(b"x", options()),
    "Envelope::encrypt_into" =>
        |world| world.envelope.encrypt_into(b"x", &options(), &mut Vec::new()),
    "Envelope::encrypt_many" => |world| world.envelope.encrypt_many(&["x"; 100], options()),
    "Envelope::encrypt_many_with" =>
        |world| world.envelope.encrypt_many_with([("x", options()), ("y", options())]),
    "Envelope::decrypt" => |world| world.envelope.decrypt(&world.message, &policy()),
    "Envelope::decrypt_into" =>
        |world| world.envelope.decrypt_into(&world.message, &policy(), &mut Vec::new()),
    "Envelope::decrypt_many" =>
        |world| first(world.envelope.decrypt_many(&[&world.message; 3], &policy())),
    "Envelope::decrypt_many_with" =>
        |world| first(world.envelope.decrypt_many_with([(&world.message, policy())])),
    "Envelope::rewrap_keys" => |world| first(world.envelope.rewrap_keys(&world.wrapped)),
    "Envelope::writer" => |world| world.envelope.writer(Vec::new(), options()),
    "Envelope::reader" => |world| world.envelope.reader(&world.message[..], &policy()),
    "Envelope::buf_reader" => |world| world.envelope.buf_reader(&world.message[..], &policy()),
    "Envelope::encrypt_reader" => |world| world.envelope.encrypt_reader(&[7; 9][..], options()),
    "Envelope::async_encrypt_reader" =>
        |world| world.envelope.async_encrypt_reader(&[7; 9][..], options()),
    "Envelope::encrypt_bytes" =>
        |world| world.envelope.encrypt_bytes(stream::iter([Ok::<_, Error>("x")]), options()),
    "Envelope::decrypt_bytes" => |world| {
        let message = stream::iter([Ok::<_, Error>(world.message.clone())]);
        let envelope = world.envelope.clone();
        async move { envelope.decrypt_bytes(message, &policy()).await }
    },
    "Header::read_from_async" => |world| Header::read_from_async(&world.message[..]),
    "AsyncAtomicFile::create" =>
        |world| AsyncAtomicFile::create(world.new_file(), &FileOptions::new()),
    "AsyncAtomicFile::commit" => |world| async {
        AsyncAtomicFile::create(world.new_file(), &FileOptions::new()).await?.commit().await
    },
    "Envelope::async_writer" => |world| world.envelope.async_writer(Vec::new(), options()),
    "Envelope::async_reader" => |world| world.envelope.async_reader(&world.message[..], &policy()),
    "Envelope::async_buf_reader" =>
        |world| world.envelope.async_buf_reader(&world.message[..], &policy()),
    "Envelope::range_reader" => |world| world.envelope.range_reader(&world.message[..], &policy()),
    "Envelope::async_range_reader" => |world| remote(&world),
    "AsyncRangeReader::read_at" => |world| async { remote(&world).await?.read_at(0, 1).await },
    "AsyncRangeReader::read_into" =>
        |world| async { remote(&world).await?.read_into(&mut [0], 0).await },
    "AsyncRangeReader::read" => |world| async { remote(&world).await?.read(..).await },
    "AsyncRangeReader::read_last" => |world| async { remote(&world).await?.read_last(1).await },
    "AsyncRangeReader::read_many" =>
        |world| async { remote(&world).await?.read_many(&[0..1, 0..1]).await },
    "AsyncRangeReader::len" => |world| async { remote(&world).await?.len().await },
    "AsyncRangeReader::is_empty" => |world| async { remote(&world).await?.is_empty().await },
    "AsyncEncryptWriter::finish" => |world| async {
        world.envelope.async_writer(Vec::new(), options()).await?.finish().await
    },
    "Envelope::encrypt_stream" =>
        |world| world.envelope.encrypt_stream(Cursor::new([7; 9]), Vec::new(), options()),
    "Envelope::decrypt_stream" => |world| {
        let message = Cursor::new(world.message.clone());
        let envelope = world.envelope.clone();
        async move { envelope.decrypt_stream(message, Vec::new(), &policy()).await }
    },
    "Envelope::encrypt_file" => |world| world.envelope.encrypt_file_with(
        world.message_file(), world.new_file(), options(), &FileOptions::new()),
    "Envelope::decrypt_file" => |world| world.envelope.decrypt_file_with(
        world.message_file(), world.new_file(), &policy(), &FileOptions::new()),
    "Envelope::encrypt_files" => |world| checked(world.envelope.encrypt_files(
        [(world.message_file(), world.new_file())], options(), &FilesOptions::new())),
    "Envelope::decrypt_files" => |world| checked(world.envelope.decrypt_files(
        [(world.message_file(), world.new_file())], &policy(), &FilesOptions::new())),
    "Envelope::verify_files" => |world| checked(
        world.envelope.verify_files([world.message_file()], &policy(), &FilesOptions::new())),
    "Envelope::rewrap_files" => |world| whole(
        world.envelope.rewrap_files([world.copied_message()], &RewrapOptions::new())),
    "Envelope::rewrap_file" => |world|
        world.envelope.rewrap_file(world.copied_message(), &RewrapOptions::new()),
    "Envelope::change_slots" => |world| moved(&world),
    "Envelope::rekey_file" => |world|
        world.envelope.rekey_file(world.copied_message(), &policy(), &RekeyOptions::new()),
    "Envelope::verify_file" => |world|
        world.envelope.verify_file(world.message_file(), &policy()),
    "Envelope::encrypt_file_with" => |world| world.envelope.encrypt_file_with(
        world.message_file(), world.new_file(), options(), &FileOptions::new()),
    "Envelope::decrypt_file_with" => |world| world.envelope.decrypt_file_with(
        world.message_file(), world.new_file(), &policy(), &FileOptions::new()),
    "Envelope::verify_file_with" => |world|
        world.envelope.verify_file_with(world.message_file(), &policy(), &FileOptions::new()),
}
