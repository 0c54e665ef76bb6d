//! Which library does AES-256-GCM: chosen once, by what the processor has.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The environment variable that chooses for the process.
const VARIABLE: &str = "NCP_ENVELOPE_CIPHER";

/// The library that encrypts and decrypts the chunks of messages, AES-256-GCM.
///
/// Messages are byte for byte the same with each; they differ in speed. aws-lc-rs has code for
/// AVX-512 and for AES instructions one block wide, ring has code for two blocks (VAES with AVX2).
/// So ring is up to 1.7 times as fast on processors with VAES and without AVX-512, such as AMD Zen
/// 3 and many of Intel's for clients, and slower elsewhere.
///
/// [`chosen`](Self::chosen) is what an [`Envelope`](crate::Envelope) uses that was told nothing
/// else.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// for backend in CipherBackend::ALL {
///     let envelope = Envelope::builder(wrapper.clone()).cipher(*backend).build()?.blocking();
///     let message = envelope.encrypt("hello", EncryptionContext::new())?;
///     assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
/// }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherBackend {
    /// aws-lc-rs: always there, and the only one there is a FIPS build of.
    AwsLc,
    /// ring, with the feature `ring`.
    #[cfg(feature = "ring")]
    Ring,
}

impl CipherBackend {
    /// Those of this build.
    ///
    /// ```
    /// use ncp_envelope::CipherBackend;
    /// assert_eq!(CipherBackend::ALL[0], CipherBackend::AwsLc);
    /// ```
    pub const ALL: &'static [Self] = &[
        Self::AwsLc,
        #[cfg(feature = "ring")]
        Self::Ring,
    ];

    /// The one that is faster on this processor, by its features: never by timing, so that a
    /// program does the same each time.
    ///
    /// ```
    /// use ncp_envelope::CipherBackend;
    /// assert!(CipherBackend::ALL.contains(&CipherBackend::fastest()));
    /// ```
    pub fn fastest() -> Self {
        #[cfg(feature = "ring")]
        if Processor::this().has_vector_aes_of_two_blocks_at_most() {
            return Self::Ring;
        }
        Self::AwsLc
    }

    /// What the environment variable `NCP_ENVELOPE_CIPHER` says, `aws-lc` or `ring`, or if it is
    /// not set or empty, the [`fastest`](Self::fastest). Read once in a process.
    ///
    /// ```
    /// use ncp_envelope::CipherBackend;
    /// # if std::env::var_os("NCP_ENVELOPE_CIPHER").is_none() {
    /// assert_eq!(CipherBackend::chosen()?, CipherBackend::fastest());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the variable names none of this build.
    pub fn chosen() -> Result<Self> {
        static CHOSEN: OnceLock<Result<CipherBackend>> = OnceLock::new();
        CHOSEN.get_or_init(|| Self::from_variable(std::env::var_os(VARIABLE))).clone()
    }

    fn from_variable(value: Option<std::ffi::OsString>) -> Result<Self> {
        match value.filter(|value| !value.is_empty()) {
            None => Ok(Self::fastest()),
            Some(value) => value
                .to_string_lossy()
                .parse()
                .map_err(|error: Error| Error::new(error.kind(), format!("{VARIABLE}: {error}"))),
        }
    }

    /// Its name, as the environment variable has it.
    ///
    /// ```
    /// use ncp_envelope::CipherBackend;
    /// assert_eq!(CipherBackend::AwsLc.name(), "aws-lc");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc",
            #[cfg(feature = "ring")]
            Self::Ring => "ring",
        }
    }
}

impl fmt::Display for CipherBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CipherBackend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|backend| backend.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|backend| backend.name()).collect();
            let names = names.join(" and ");
            let what = format!("this build has no cipher library {name:?}, it has {names}");
            Error::new(ErrorKind::InvalidInput, what)
        })
    }
}

/// What of a processor decides.
#[cfg(feature = "ring")]
#[derive(Clone, Copy)]
struct Processor {
    vaes: bool,
    vpclmulqdq: bool,
    avx2: bool,
    avx512: bool,
}

#[cfg(feature = "ring")]
impl Processor {
    #[cfg(target_arch = "x86_64")]
    fn this() -> Self {
        use std::arch::is_x86_feature_detected as has;
        Self {
            vaes: has!("vaes"),
            vpclmulqdq: has!("vpclmulqdq"),
            avx2: has!("avx2"),
            // All that the code of aws-lc-rs asks for.
            avx512: has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn this() -> Self {
        Self { vaes: false, vpclmulqdq: false, avx2: false, avx512: false }
    }

    fn has_vector_aes_of_two_blocks_at_most(self) -> bool {
        self.vaes && self.vpclmulqdq && self.avx2 && !self.avx512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_a_wrong_one_is_told_what_there_is() {
        for backend in CipherBackend::ALL {
            assert_eq!(backend.to_string().parse::<CipherBackend>().unwrap(), *backend);
            let named = CipherBackend::from_variable(Some(backend.name().into()));
            assert_eq!(named.unwrap(), *backend);
        }
        for unset in [None, Some("".into())] {
            assert_eq!(CipherBackend::from_variable(unset).unwrap(), CipherBackend::fastest());
        }
        for wrong in ["AWS-LC", "openssl", "ring "] {
            let error = CipherBackend::from_variable(Some(wrong.into())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            let begin = format!("NCP_ENVELOPE_CIPHER: this build has no cipher library {wrong:?}");
            assert!(text.starts_with(&begin) && text.contains("it has aws-lc"), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "ring")]
    fn ring_is_for_vector_aes_without_avx512() {
        let all = Processor { vaes: true, vpclmulqdq: true, avx2: true, avx512: false };
        assert!(all.has_vector_aes_of_two_blocks_at_most());
        for other in [
            Processor { avx512: true, ..all },
            Processor { vaes: false, ..all },
            Processor { vpclmulqdq: false, ..all },
            Processor { avx2: false, ..all },
        ] {
            assert!(!other.has_vector_aes_of_two_blocks_at_most());
        }
    }
}
