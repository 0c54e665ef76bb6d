//! An envelope for tests of what is above it.

use super::Envelope;
use crate::secret::DataKey;
use crate::wrap::LocalKeyWrapper;

pub(crate) fn local() -> Envelope {
    let wrapper = LocalKeyWrapper::new("k", &DataKey::copy_from(&[7; 32])).unwrap();
    Envelope::builder(wrapper).build().unwrap()
}
