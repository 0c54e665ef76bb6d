//! An encrypted object on an S3 server, which this example starts.

#![allow(clippy::print_stdout)]

#[path = "../tests/kit/server.rs"]
#[allow(clippy::unwrap_used, dead_code)]
mod server;

use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
use ncp_envelope_object_store::EncryptedStore;
use object_store::ObjectStoreExt;
use object_store::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::Server::start().await;
    // With NAVER Cloud Platform: `kms.key("key-tag")?` as the wrapper, and an AmazonS3 whose
    // endpoint is https://kr.object.ncloudstorage.com.
    let wrapper = LocalKeyWrapper::new("example", &DataKey::generate()?)?;
    let envelope = Envelope::builder(wrapper).build()?;
    let store = EncryptedStore::new(server.store(), envelope.clone());

    let path = Path::from("reports/2026.csv");
    let lines = (0..100_000).map(|n| format!("{n:06},some text\n")).collect::<String>();
    store.put(&path, lines.clone().into()).await?;
    println!("put {} bytes as {path}", lines.len());

    let file = std::fs::read(server.dir.path().join("bucket/reports/2026.csv"))?;
    println!("the server has {} bytes, which begin with {:x?}", file.len(), &file[..8]);
    let line = lines.lines().next().unwrap_or_default().as_bytes();
    let found = file.windows(line.len()).any(|window| window == line);
    println!("the first line is among them: {found}");

    println!("size in a listing: {}", store.head(&path).await?.size);
    let range = store.get_range(&path, 17 * 40_000..17 * 40_002).await?;
    print!("two lines from the middle:\n{}", String::from_utf8_lossy(&range));
    println!("unwraps: {}", envelope.stats().unwrap.calls);
    Ok(())
}
