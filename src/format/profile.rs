//! What a writer may choose: how regions are laid out, and whether the body follows them.

/// Longest region A, and longest single copy of region B, in bytes (`F-8`, `F-9`).
pub const MAX_REGION_LEN: usize = 65_536;
/// Alignment of everything in the durable profile, and of the body in the page profile: what a disk
/// writes whole.
pub(super) const BLOCK_LEN: usize = 4_096;
/// Alignment of the key slots in the compact profile.
const LINE_LEN: usize = 64;

/// How the header is laid out.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// use ncp_envelope::format::{Header, Profile};
/// let message = envelope.encrypt("hello", EncryptOptions::new().layout(Profile::Durable))?;
/// assert_eq!(Header::len_from(&message)?, 12_288);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// One copy of the key slots and no alignment: a few hundred bytes of overhead.
    #[default]
    Compact,
    /// Two copies of the key slots, each in disk blocks of its own (12,288 bytes of header): the
    /// slots can be replaced in place on a file, and a write torn by a power cut loses nothing.
    Durable,
    /// One copy of the key slots, padded so that the body begins at a multiple of 4,096 bytes:
    /// 4,096 itself unless context or slots need more. For stores of many objects: the length of
    /// the plaintext follows from that of the object, and there is room for more slots.
    Page,
}

impl Profile {
    /// How many copies of region B there are (`F-14`).
    ///
    /// ```
    /// use ncp_envelope::format::Profile;
    /// assert_eq!(Profile::Compact.copies(), 1);
    /// assert_eq!(Profile::Durable.copies(), 2);
    /// ```
    pub fn copies(self) -> usize {
        match self {
            Self::Compact | Self::Page => 1,
            Self::Durable => 2,
        }
    }

    /// Length of region A with padding, given that without (`F-11`).
    pub(super) fn region_a_len(self, content: usize) -> usize {
        match self {
            Self::Compact | Self::Page => content,
            Self::Durable => content.next_multiple_of(BLOCK_LEN),
        }
    }

    /// Length of a copy of region B behind a region A of `region_a` bytes that has room for
    /// `content` bytes (`F-19`).
    pub(super) fn copy_len(self, region_a: usize, content: usize) -> usize {
        match self {
            Self::Compact => content.next_multiple_of(LINE_LEN),
            Self::Durable => content.next_multiple_of(BLOCK_LEN),
            Self::Page => (region_a + content).next_multiple_of(BLOCK_LEN) - region_a,
        }
    }

    /// Whether a copy of region B may be `copy_len` bytes long (`F-9`).
    pub(super) fn aligns(self, region_a: usize, copy_len: usize) -> bool {
        copy_len > 0 && self.copy_len(region_a, copy_len) == copy_len
    }
}

/// How a message is laid out: the header's [`Profile`], and where the body is.
///
/// ```
/// use ncp_envelope::EncryptOptions;
/// use ncp_envelope::format::{Layout, Profile};
/// let in_one = EncryptOptions::new().layout(Profile::Page);
/// let in_two = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Layout {
    pub(super) profile: Profile,
    pub(super) detached: bool,
}

impl Layout {
    /// Whether the body is an object of its own (`F-13`), so that the header can be replaced where
    /// nothing can be written in place. Off unless set.
    ///
    /// ```
    /// use ncp_envelope::format::{Layout, Profile};
    /// let layout = Layout::from(Profile::Page).detached(true);
    /// assert!(layout.is_detached());
    /// ```
    #[must_use]
    pub fn detached(mut self, detached: bool) -> Self {
        self.detached = detached;
        self
    }

    /// How the header is laid out.
    ///
    /// ```
    /// use ncp_envelope::format::{Layout, Profile};
    /// assert_eq!(Layout::from(Profile::Page).profile(), Profile::Page);
    /// ```
    pub fn profile(self) -> Profile {
        self.profile
    }

    /// Whether the body is an object of its own.
    ///
    /// ```
    /// use ncp_envelope::format::{Layout, Profile};
    /// assert!(!Layout::from(Profile::Page).is_detached());
    /// ```
    pub fn is_detached(self) -> bool {
        self.detached
    }
}

impl From<Profile> for Layout {
    fn from(profile: Profile) -> Self {
        Self { profile, detached: false }
    }
}
