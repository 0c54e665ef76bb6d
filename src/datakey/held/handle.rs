//! The face of keys that are held together.

use crate::datakey::batch::drive::{KeepAlive, Lost};
use crate::datakey::batch::flight::Wait;
use crate::datakey::held::shared::{Found, Shared};
use crate::error::Result;
use std::sync::Arc;

/// Keys that are held together. The calls of a load go on for as long as this exists.
pub(crate) struct Held<T> {
    shared: Arc<Shared<T>>,
    _keep_alive: Arc<KeepAlive>,
}

impl<T: Send + Sync + PartialEq + 'static> Held<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, keep_alive: Arc<KeepAlive>) -> Self {
        Self { shared, _keep_alive: keep_alive }
    }

    /// The keys, without waiting for any call. If they are not there, a load begins, unless one
    /// failed just now.
    ///
    /// # Errors
    /// Why they are not there: what the last load failed with, or
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if they have expired.
    pub(crate) fn get(&self) -> Result<Arc<T>> {
        self.shared.get()
    }

    /// The keys, once they are there.
    pub(crate) async fn ready(&self) -> Result<Arc<T>> {
        let mut lost = Lost::default();
        loop {
            let flight = match self.shared.find() {
                Found::Here(keys) => return Ok(keys),
                Found::Coming(flight) => flight,
            };
            if let Some(Err(error)) = self.shared.driver.wait(Wait::new(flight)).await {
                return self.shared.instead(error);
            }
            // Unless they are there now, they were invalidated meanwhile, or the call was dropped.
            lost.again()?;
        }
    }

    /// Whether the keys are there and fresh.
    pub(crate) fn is_here(&self) -> bool {
        self.shared.is_here()
    }

    /// Drops the keys; the next use unwraps them again.
    pub(crate) fn forget(&self) {
        self.shared.forget();
    }
}
