use super::*;
use crate::error::ErrorKind;

fn body(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn encrypted(text: &str, count: usize) -> Result<Vec<String>> {
    ciphertexts(body(text), Field::Ciphertext, count)
}

fn decrypted(text: &str, count: usize) -> Result<Vec<Vec<u8>>> {
    let payloads = plaintexts(body(text), count)?;
    Ok(payloads.iter().map(|payload| payload.expose_secret().to_vec()).collect())
}

#[test]
fn verdicts() {
    use Verdict::{Foreign, Refused, Success};
    // First of a call that gives ciphertexts, then of one that changes something.
    for (text, results, change) in [
        (r#"{"code":"SUCCESS","msg":"","data":{}}"#, Success, Success),
        (r#"{"data":null,"code":"SUCCESS"}"#, Success, Success),
        (r#"{"ciphertext":"x"}"#, Success, Foreign),
        (r#"{"code":null,"ciphertext":"x"}"#, Success, Foreign),
        (r#"{"data":{"cipher_text":["x"]}}"#, Success, Foreign),
        (r#"{"data":{"data":{"ciphertext":"x"}}}"#, Success, Foreign),
        (r#"{"data":["ciphertext",{"ciphertext":"x"}],"x":1.5}"#, Foreign, Foreign),
        (r#"{"ciphertext":null,"data":{"ciphertext":null}}"#, Foreign, Foreign),
        (r#"{"status":"login"}"#, Foreign, Foreign),
        (r#"{"status":"SUCCESS","msg":"","data":{"code":"SUCCESS"}}"#, Foreign, Foreign),
        ("{}", Foreign, Foreign),
        (r#"{"code":null}"#, Foreign, Foreign),
        (r#"{"code":"NOT_FOUND","data":{"ciphertext":"x"}}"#, Refused, Refused),
        (r#"{"code":"success"}"#, Refused, Refused),
        (r#"{"code":0}"#, Refused, Refused),
        (r#"{"code":"\"SUCCESS"}"#, Refused, Refused),
        (r#"{"error":{"errorCode":"210"}}"#, Refused, Refused),
        (r#"{"error":{"errorCode":"210"},"ciphertext":"x"}"#, Refused, Refused),
        (r#"{"responseError":{}}"#, Refused, Refused),
        (r#"{"errorCode":1}"#, Refused, Refused),
        (r#"{"code":{}}"#, Foreign, Foreign),
        (r#"{"code":"SUCCESS"} x"#, Foreign, Foreign),
        (r#"{"code":"SUCCESS","code":"FORBIDDEN"}"#, Foreign, Foreign),
        (r#"[{"code":"SUCCESS"}]"#, Foreign, Foreign),
        (r#""SUCCESS""#, Foreign, Foreign),
        ("null", Foreign, Foreign),
        ("<html>", Foreign, Foreign),
        (" ", Foreign, Foreign),
        ("", Foreign, Success),
        ("{", Foreign, Foreign),
    ] {
        assert_eq!(verdict(text.as_bytes(), RESULTS), results, "{text}");
        assert_eq!(verdict(text.as_bytes(), Due::Nothing), change, "{text}");
    }
}

#[test]
fn ciphertexts_in_every_accepted_form() {
    for (text, want) in [
        (r#"{"code":"SUCCESS","data":{"ciphertext":"a"}}"#, &["a"][..]),
        (r#"{"code":"SUCCESS","msg":"","data":{"ciphertext":["a"],"new":{"x":[1]}}}"#, &["a"]),
        (r#"{"code":"SUCCESS","data":{"ciphertext":["a","b"]}}"#, &["a", "b"]),
        (r#"{"code":"SUCCESS","data":{"ciphertextList":["a","b"]}}"#, &["a", "b"]),
        (r#"{"code":"SUCCESS","data":{"ciphertext":null,"ciphertextList":["a"]}}"#, &["a"]),
        (r#"{"ciphertext":"a"}"#, &["a"]),
        (r#"{"ciphertextList":["a","b"]}"#, &["a", "b"]),
        (r#"{"data":null,"ciphertext":"a"}"#, &["a"]),
        (r#"{"code":"SUCCESS","data":{"ciphertext":"ncpkms:v1:a\/b\u003d"}}"#, &["ncpkms:v1:a/b="]),
        (r#"{"code":"SUCCESS","data":{"ciphertext":"x\\\"y"}}"#, &["x\\\"y"]),
    ] {
        assert_eq!(encrypted(text, want.len()).unwrap(), want, "{text}");
    }
    let renewed = r#"{"code":"SUCCESS","data":{"ciphertext":"old","newCiphertextList":["a","b"]}}"#;
    assert_eq!(ciphertexts(body(renewed), Field::NewCiphertext, 2).unwrap(), ["a", "b"]);
}

#[test]
fn plaintexts_in_every_accepted_form() {
    for (text, want) in [
        (r#"{"code":"SUCCESS","data":{"plaintext":"dGVzdA=="}}"#, &[&b"test"[..]][..]),
        (r#"{"code":"SUCCESS","data":{"plaintext":["dGVzdA"]}}"#, &[b"test"]),
        (
            r#"{"code":"SUCCESS","data":{"plaintextList":["dGVzdA==","","YWI="]}}"#,
            &[b"test", b"", b"ab"],
        ),
        (r#"{"plaintext":"\u0064GVzd\u0041=\u003D"}"#, &[b"test"]),
        (r#"{"plaintext":"////\/\/\/\/"}"#, &[&[0xff; 6]]),
    ] {
        assert_eq!(decrypted(text, want.len()).unwrap(), want, "{text}");
    }
}

#[test]
fn what_breaks_the_contract_is_an_error_that_repeats_nothing() {
    for text in [
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary"]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary","canary","canary"]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":"canary"}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary",1]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary",null]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary",""]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary","a b"]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary","\n"]}}"#,
        r#"{"code":"SUCCESS","data":{"ciphertext":["canary","é"]}}"#,
        r#"{"code":"SUCCESS","data":{"newCiphertext":["canary","b"]}}"#,
        r#"{"code":"SUCCESS","data":"canary"}"#,
        r#"{"code":"SUCCESS","data":["canary","b"]}"#,
        r#"{"code":"SUCCESS","data":{}}"#,
        r#"{"code":"SUCCESS","data":null}"#,
        r#"{"code":"SUCCESS"}"#,
        "canary",
        "",
    ] {
        let error = encrypted(text, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{text}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    assert!(
        encrypted(&format!(r#"{{"ciphertext":"{}"}}"#, "x".repeat(MAX_CIPHERTEXT_LEN)), 1).is_ok()
    );
    assert!(
        encrypted(&format!(r#"{{"ciphertext":"{}"}}"#, "x".repeat(MAX_CIPHERTEXT_LEN + 1)), 1)
            .is_err()
    );
    for odd in ["canary!", "dGVzd", "=", "====", "dGVzdA===", "dGVzdB==", "dGVz dA==", "é"] {
        let error = decrypted(&format!(r#"{{"plaintext":"{odd}"}}"#), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{odd}");
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn plaintext_of_every_length_fits_exactly() {
    for len in 0..50 {
        let bytes: Vec<u8> = (0..len).map(|n| n * 5).collect();
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        assert_eq!(decrypted(&format!(r#"{{"plaintext":"{text}"}}"#), 1).unwrap(), [bytes]);
    }
}

#[test]
fn needless_escapes_go_and_others_stay() {
    for (from, to) in [
        (r"a\/b", "a/b"),
        (r"\u003d\u002B", "=+"),
        (r#"\"\\\n"#, r#"\"\\\n"#),
        (r"\\/", r"\\/"),
        (r"\\u003d", r"\\u003d"),
        (r"\\\/", r"\\/"),
        (r"\u0022\u005c\u000a\u00e9\u1234", r"\u0022\u005c\u000a\u00e9\u1234"),
        (r"\u00", r"\u00"),
        (r"\", r"\"),
        ("", ""),
    ] {
        let mut bytes = from.as_bytes().to_vec();
        simplify_escapes(&mut bytes);
        assert_eq!(String::from_utf8(bytes).unwrap(), to, "{from}");
    }
}

#[test]
fn access_token_is_read() {
    use secrecy::ExposeSecret;
    let token =
        access_token(body(r#"{"code":"SUCCESS","data":{"accessToken":"ey.J.x"}}"#)).unwrap();
    assert_eq!(token.expose_secret(), "ey.J.x");
    assert!(access_token(body(r#"{"code":"SUCCESS","data":{"accessToken":null}}"#)).is_err());
    assert!(access_token(body(r#"{"code":"SUCCESS","data":null}"#)).is_err());
}
