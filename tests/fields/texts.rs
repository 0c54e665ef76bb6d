//! Ciphertexts in text form, by themselves and as members of what goes through JSON.

use crate::local::{MODES, field, ring};
use ncp_envelope::ErrorKind;
use ncp_envelope::fields::{FieldCiphertext, FieldText};
use std::collections::HashSet;

const VALUES: [&str; 4] = ["", "k", "kim@example.com", "a value of several blocks of the cipher"];

//
#[test]
fn a_text_is_shown_and_read_in_the_one_spelling() {
    let ring = ring();
    for mode in MODES {
        let field = field(&ring, mode);
        for value in VALUES {
            let ciphertext = field.encrypt(value, "17").unwrap();
            let spelled = FieldCiphertext::to_text(&ciphertext);
            let text = FieldText::from(ciphertext.clone());
            assert_eq!((text.to_string(), text.as_ref()), (spelled.clone(), &ciphertext[..]));
            assert_eq!(format!("{text:?}"), format!("FieldText({spelled})"));
            assert_eq!(format!("{text:>200}"), format!("{spelled:>200}"));
            let read: FieldText = spelled.parse().unwrap();
            assert!(HashSet::from([text.clone()]).contains(&read));
            assert_eq!(*field.decrypt(&read, "17").unwrap(), value.as_bytes());
            assert_eq!(Vec::from(read), ciphertext);

            let refused = field.decrypt("no ciphertext", "17").unwrap_err();
            for other in [format!("{spelled}="), format!("{spelled}\n"), format!(" {spelled}")] {
                let error = other.parse::<FieldText>().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Authentication);
                assert_eq!(error.to_string(), refused.to_string());
            }
        }
    }
}

//
#[cfg(feature = "serde")]
#[test]
fn a_text_is_a_string_in_json_and_other_spellings_are_refused() {
    use serde_json::{Value, json};

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Customer {
        id: u64,
        email: FieldText,
        phone: Option<FieldText>,
    }

    let ring = ring();
    for mode in MODES {
        let field = field(&ring, mode);
        for value in VALUES {
            let email = field.encrypt(value, "17").unwrap();
            let spelled = FieldCiphertext::to_text(&email);
            let customer = Customer { id: 17, email: email.into(), phone: None };
            let written = serde_json::to_string(&customer).unwrap();
            let want = json!({ "id": 17, "email": spelled, "phone": null });
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), want);
            // From text, from bytes, and from values.
            for read in [
                serde_json::from_str::<Customer>(&written).unwrap(),
                serde_json::from_slice(written.as_bytes()).unwrap(),
                serde_json::from_reader(written.as_bytes()).unwrap(),
                serde_json::from_value(want.clone()).unwrap(),
            ] {
                assert_eq!((read.id, read.phone), (17, None));
                assert_eq!(read.email, customer.email);
                assert_eq!(*field.decrypt(&read.email, "17").unwrap(), value.as_bytes());
            }

            let read = |email: Value| {
                let customer = json!({ "id": 17, "email": email, "phone": null });
                serde_json::from_value::<Customer>(customer).map(drop)
            };
            let refused = field.decrypt("no ciphertext", "17").unwrap_err().to_string();
            for other in [format!("{spelled}="), format!("{spelled}\n"), spelled.replace('A', "+")]
            {
                assert_eq!(read(json!(other)).unwrap_err().to_string(), refused, "{other}");
            }
            assert!(read(json!(17)).is_err());
            assert!(read(json!([1, 2, 3])).is_err());
            read(json!(spelled)).unwrap();
        }
    }
}
