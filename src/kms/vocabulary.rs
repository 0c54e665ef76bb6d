//! The service's own words for types and states, those of a later version included.

/// An enum of words, each with the service's spelling of it, that keeps words it does not know.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that this version of the crate does not know, as the service spells it.
            Other(String),
        }

        impl $name {
            /// The service's spelling.
            ///
            /// ```
            /// use ncp_envelope::kms::KeyType;
            /// assert_eq!(KeyType::Rsa2048.as_str(), "RSA2048");
            /// ```
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            /// Reads the service's spelling, in any case; other words are kept as they are.
            fn from(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) {
                    return Self::$variant;
                })+
                Self::Other(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a key can do.
    ///
    /// ```
    /// use ncp_envelope::kms::KeyType;
    /// assert_eq!(KeyType::from("aes256"), KeyType::Aes256);
    /// ```
    KeyType {
        /// 256-bit AES-GCM: encrypts up to 32,768 bytes for each call. The only type that can be
        /// convergent.
        Aes256 = "AES256",
        /// RSA with 2,048 bits: encrypts up to 190 bytes, signs up to 8,192.
        Rsa2048 = "RSA2048",
        /// ECDSA with P-256: signs up to 8,192 bytes.
        Ecdsa = "ECDSA",
    }
}

words! {
    /// The state of a key. All its versions are unusable unless it is enabled.
    ///
    /// ```
    /// use ncp_envelope::kms::KeyStatus;
    /// assert_eq!(KeyStatus::from("REVOKE"), KeyStatus::PendingDeletion);
    /// ```
    KeyStatus {
        /// Usable.
        Enabled = "ENABLE",
        /// Not usable until it is enabled.
        Disabled = "DISABLE",
        /// To be deleted 72 hours after the request, unless that is cancelled.
        PendingDeletion = "REVOKE",
    }
}

words! {
    /// The state of a version of a key.
    ///
    /// ```
    /// use ncp_envelope::kms::VersionStatus;
    /// assert_eq!(VersionStatus::Enabled.to_string(), "ENABLE");
    /// ```
    VersionStatus {
        /// Usable.
        Enabled = "ENABLE",
        /// Not usable: what it encrypted cannot be decrypted, what it signed cannot be verified.
        Disabled = "DISABLE",
    }
}

words! {
    /// How the service stores a key.
    ///
    /// ```
    /// use ncp_envelope::kms::Protection;
    /// // A word of a later version of the service is kept.
    /// assert_eq!(Protection::from("DEDICATED_HSM").as_str(), "DEDICATED_HSM");
    /// ```
    Protection {
        /// In encrypted storage.
        Basic = "BASIC",
        /// In a shared hardware security module.
        CommonHsm = "COMMON_HSM",
    }
}

words! {
    /// Whether a key has a token generator.
    ///
    /// ```
    /// use ncp_envelope::kms::GeneratorStatus;
    /// assert_eq!(GeneratorStatus::from("ACTIVE"), GeneratorStatus::Active);
    /// ```
    GeneratorStatus {
        /// Tokens can be issued and are accepted.
        Active = "ACTIVE",
        /// Tokens cannot be issued, and those that were are void.
        Inactive = "INACTIVE",
    }
}

words! {
    /// Where a call on a key came from.
    ///
    /// ```
    /// use ncp_envelope::kms::RequestType;
    /// assert_eq!(RequestType::from("CONSOLE"), RequestType::Console);
    /// ```
    RequestType {
        /// The service's web console.
        Console = "CONSOLE",
        /// The API.
        Api = "API",
        /// The service itself, such as an automatic rotation.
        System = "SYSTEM",
    }
}

/// Whether the service would accept `text` as the name of a key.
pub(crate) fn is_key_name(text: &str) -> bool {
    (3..=15).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case_and_others_kept() {
        assert_eq!(KeyType::from("aes256"), KeyType::Aes256);
        assert_eq!(KeyStatus::from("REVOKE").as_str(), "REVOKE");
        let other = Protection::from("Dedicated_Hsm");
        assert_eq!(
            (other.to_string().as_str(), &other),
            ("Dedicated_Hsm", &Protection::Other("Dedicated_Hsm".to_owned()))
        );
        assert_eq!(format!("{:<8}|", VersionStatus::Enabled), "ENABLE  |");
    }
}
