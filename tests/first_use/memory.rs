//! Data in memory.

use crate::{Anything, envelope};
use ncp_envelope::{
    BlockingEnvelope, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Opened,
};
use std::collections::{BTreeMap, HashMap};
use zeroize::Zeroizing;

#[test]
fn a_context_from_an_array() -> Anything {
    let context = EncryptionContext::try_from([("tenant", "42"), ("purpose", "invoice")])?;
    assert_eq!(context.get("tenant"), Some("42"));
    Ok(())
}

#[test]
fn a_context_from_maps() -> Anything {
    let labels = HashMap::from([("tenant".to_string(), "42".to_string())]);
    let sorted: BTreeMap<_, _> = labels.iter().collect();
    assert_eq!(
        EncryptionContext::from_pairs(&labels)?,
        EncryptionContext::try_from(labels.clone())?
    );
    assert_eq!(EncryptionContext::from_pairs(sorted)?, labels.try_into()?);
    Ok(())
}

#[test]
fn a_context_from_an_iterator() -> Anything {
    let columns = ["name", "email"];
    let context = EncryptionContext::from_pairs(columns.iter().map(|c| (*c, format!("t.{c}"))))?;
    assert_eq!(context.len(), 2);
    Ok(())
}

#[test]
fn a_context_in_a_loop() -> Anything {
    let context = EncryptionContext::try_from(vec![("b", "2"), ("a", "1")])?;
    let mut line = String::new();
    for (name, value) in &context {
        line += &format!("{name}={value} ");
    }
    assert_eq!(line, "a=1 b=2 ");
    let map: HashMap<&str, &str> = context.iter().collect();
    assert_eq!(map["b"], "2");
    Ok(())
}

#[tokio::test]
async fn a_text_and_pairs() -> Anything {
    let envelope = envelope()?;
    let message = envelope.encrypt("hello", [("tenant", "42")]).await?;
    assert_eq!(envelope.decrypt(&message, [("tenant", "42")]).await?, "hello");
    assert!(envelope.decrypt(&message, [("tenant", "43")]).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_context_for_both_ways() -> Anything {
    let envelope = envelope()?;
    let context = EncryptionContext::new().with("tenant", "42")?;
    let message = envelope.encrypt(b"hello", &context).await?;
    let opened = envelope.decrypt(&message, &context).await?;
    assert_eq!(opened, b"hello");
    assert_eq!(opened.context, context);
    Ok(())
}

#[tokio::test]
async fn owned_and_borrowed() -> Anything {
    let envelope = envelope()?;
    let none = EncryptionContext::new();
    let vector = vec![1, 2, 3];
    for message in [
        envelope.encrypt(&vector, &none).await?,
        envelope.encrypt(&vector[..], none.clone()).await?,
        envelope.encrypt([1, 2, 3], EncryptOptions::new()).await?,
        envelope.encrypt(Zeroizing::new(vector.clone()), &EncryptOptions::new()).await?,
        envelope.encrypt(bytes::Bytes::from_static(&[1, 2, 3]), &&none).await?,
    ] {
        assert_eq!(envelope.decrypt(message, DecryptPolicy::new()).await?, vector);
    }
    let text = String::from("hello");
    let message = envelope.encrypt(&text, &none).await?;
    assert_eq!(envelope.decrypt(bytes::Bytes::from(message), &none).await?, text);
    Ok(())
}

#[tokio::test]
async fn what_comes_out() -> Anything {
    let envelope = envelope()?;
    let message = envelope.encrypt("hello", [("author", "kim")]).await?;
    let opened: Opened = envelope.decrypt(&message, DecryptPolicy::new()).await?;
    assert_eq!(opened.context.get("author"), Some("kim"));
    assert_eq!(opened.plaintext.len(), 5);
    assert_eq!(std::str::from_utf8(&opened)?, "hello");
    assert_eq!(&opened[1..3], b"el");
    assert!(opened.starts_with(b"he"));
    assert!(!format!("{opened:?}").contains("hello"), "a log line shows no plaintext");
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("hello"), &opened)?;
    let text: Zeroizing<String> = opened.into_string()?;
    assert_eq!(*text, "hello");
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_none() -> Anything {
    let envelope = envelope()?;
    let message = envelope.encrypt([b'a', 0xff], EncryptionContext::new()).await?;
    let error = envelope.decrypt(&message, DecryptPolicy::new()).await?.into_string().unwrap_err();
    assert_eq!(error.to_string(), "plaintext is not text: byte 1 is not UTF-8: use it as bytes");
    Ok(())
}

#[tokio::test]
async fn a_policy_from_a_context() -> Anything {
    let envelope = envelope()?;
    let message = envelope.encrypt("hello", [("tenant", "42"), ("author", "kim")]).await?;
    let tenant = EncryptionContext::new().with("tenant", "42")?;
    let policy = DecryptPolicy::from(tenant).require("author", "kim");
    assert!(envelope.decrypt(&message, policy).await.is_ok());
    let whole = DecryptPolicy::from(EncryptionContext::new().with("tenant", "42")?.with("x", "y")?);
    assert!(envelope.decrypt(&message, whole).await.is_err(), "all pairs are required");
    Ok(())
}

#[tokio::test]
async fn buffers() -> Anything {
    let envelope = envelope()?;
    let (mut message, mut plaintext) = (Vec::new(), Zeroizing::new(Vec::new()));
    for row in ["first", "second"] {
        envelope.encrypt_into(row, [("table", "people")], &mut message).await?;
        let context =
            envelope.decrypt_into(&message, [("table", "people")], &mut plaintext).await?;
        assert_eq!((&plaintext[..], context.len()), (row.as_bytes(), 1));
    }
    let error = envelope.encrypt_into("x", [("", "")], &mut message).await.unwrap_err();
    assert!(message.is_empty(), "{error}");
    let error = envelope.decrypt_into("x", [("", "")], &mut plaintext).await.unwrap_err();
    assert!(plaintext.is_empty(), "{error}");
    Ok(())
}

#[tokio::test]
async fn many_texts() -> Anything {
    let envelope = envelope()?;
    let lines: Vec<String> = (0..300).map(|n| format!("line {n}")).collect();
    let messages = envelope.encrypt_many(&lines, [("file", "log")]).await?;
    for (opened, line) in
        envelope.decrypt_many(&messages, [("file", "log")]).await.iter().zip(&lines)
    {
        assert_eq!(opened.as_ref().unwrap(), line);
    }
    assert_eq!(envelope.stats().wrap.calls, 2, "256 keys go through one call");
    let shouted = lines.iter().map(|line| line.to_uppercase());
    assert_eq!(envelope.encrypt_many(shouted, EncryptionContext::new()).await?.len(), 300);
    Ok(())
}

#[tokio::test]
async fn many_with_a_context_each() -> Anything {
    let envelope = envelope()?;
    let people = [(1, "kim"), (2, "lee"), (3, "park")];
    let row = |id: i32| [("row", id.to_string())];
    let messages = envelope.encrypt_many_with(people.map(|(id, name)| (name, row(id)))).await?;
    let asked = messages.iter().zip(people).map(|(message, (id, _))| (message, row(id)));
    for (opened, (id, name)) in envelope.decrypt_many_with(asked).await.into_iter().zip(people) {
        let opened = opened?;
        assert_eq!(opened, name);
        assert_eq!(opened.context.get("row"), Some(&*id.to_string()));
    }
    let shifted = messages.iter().zip([2, 2, 2]).map(|(message, id)| (message, row(id)));
    let opened = envelope.decrypt_many_with(shifted).await;
    assert_eq!(opened.iter().map(|one| one.is_ok()).collect::<Vec<_>>(), [false, true, false]);

    let none: [(&str, &str); 0] = [];
    let bad = [("a", [("row", "1")]), ("b", [("", "1")])];
    let error = envelope.encrypt_many_with(bad).await.unwrap_err();
    assert_eq!(error.to_string(), "message 1 of the batch: a context name is empty");
    assert!(envelope.encrypt_many_with([("a", &none[..])]).await.is_ok());
    assert!(envelope.encrypt_many_with(Vec::<(&str, EncryptOptions)>::new()).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_batch_of_encryptors() -> Anything {
    let envelope = envelope()?;
    let parts = (1..=300).map(|part| [("part", part.to_string())]);
    for (part, encryptor) in envelope.encryptors(parts).await?.into_iter().enumerate() {
        let mut message = encryptor.front().to_vec();
        let start = message.len();
        message.resize(start + encryptor.finish_len(), 0);
        encryptor.finish(&mut message[start..])?;
        let opened = envelope.decrypt(&message, DecryptPolicy::new()).await?;
        assert_eq!(opened.context.get("part"), Some(&*(part + 1).to_string()));
    }
    assert_eq!(envelope.stats().wrap.calls, 2);
    Ok(())
}

#[test]
fn a_program_without_async() -> Anything {
    struct Notes {
        envelope: BlockingEnvelope,
    }
    let notes = Notes { envelope: envelope()?.blocking() };
    let message = notes.envelope.encrypt("hello", [("kind", "note")])?;
    assert_eq!(notes.envelope.decrypt(&message, [("kind", "note")])?, "hello");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_its_own() -> Anything {
    fn shared<T: Clone + Send + Sync + 'static>(value: T) -> T {
        value
    }
    let envelope: Envelope = shared(envelope()?);
    let tasks = (0..4).map(|n| {
        let envelope = envelope.clone();
        tokio::spawn(async move {
            let message = envelope.encrypt(format!("task {n}"), [("task", "any")]).await?;
            envelope.decrypt(message, [("task", "any")]).await
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert!(task.await??.starts_with(b"task "));
    }
    Ok(())
}

#[test]
fn whose_key_it_is() -> Anything {
    assert_eq!(envelope()?.key_id().to_string(), "offline");
    Ok(())
}
