//! Messages for several keys of one service.

use crate::common::sample;
use crate::kit::Place;

/// The tag of a new key of the local service.
fn local_key(place: &Place, name: &str) -> String {
    let created = place.run(&["keys", "create", name, "--local", "--json"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let created: serde_json::Value = serde_json::from_slice(&created.stdout).unwrap();
    created["key_tag"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_written_for_several_keys_is_read_with_any_of_them() {
    let place = Place::new();
    let plaintext = sample(100_000);
    place.write("f", &plaintext);
    let [first, second, third] = ["first", "second", "third"].map(|name| local_key(&place, name));
    let (first, second, third) = (&*first, &*second, &*third);
    place
        .run(&["encrypt", "--local", "--key", first, "--also-key", second, "f"])
        .assert()
        .success();
    let inspected = place.run(&["inspect", "--json", "f.ncpe"]).output().unwrap();
    let shown = String::from_utf8(inspected.stdout).unwrap();
    assert!(shown.find(first).unwrap() < shown.find(second).unwrap(), "{shown}");
    for keys in [
        &["--key", first][..],
        &["--key", second],
        &["--key", third, "--also-key", second],
        &["--also-key", third, "--also-key", first],
        &["--key", second, "--also-key", first],
    ] {
        let args = [&["decrypt", "--local", "--force", "-o", "g"], keys, &["f.ncpe"]].concat();
        place.run(&args).assert().success();
        assert_eq!(place.read("g"), plaintext);
    }
    let refused: [(&[&str], i32, &str); 3] = [
        (
            &["decrypt", "--local", "-o", "h", "--key", third, "f.ncpe"],
            3,
            "and this reader is for key",
        ),
        (&["decrypt", "--local", "-o", "h", "f.ncpe"], 3, "and this reader is for key"),
        (
            &["encrypt", "--local", "-o", "h", "--key", first, "--also-key", first, "f"],
            2,
            "two recipients have the same key",
        ),
    ];
    for (args, code, text) in refused {
        place.refuses(args, code, text);
    }
    // With one of them disabled nothing can be written for both, and earlier messages can still be
    // read.
    place.run(&["keys", "disable", "--local", "--yes", "--key", first]).assert().success();
    let both = ["--local", "--key", first, "--also-key", second];
    let encrypt = [&["encrypt"], &both[..], &["-o", "h", "f"]].concat();
    place.refuses(&encrypt, 4, &format!("nothing is written without the key {first}"));
    let decrypt = [&["decrypt"], &both[..], &["--force", "-o", "g", "f.ncpe"]].concat();
    place.run(&decrypt).assert().success();
    assert_eq!(place.names(), ["f", "f.ncpe", "g"]);
}
