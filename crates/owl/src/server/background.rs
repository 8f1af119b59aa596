//! Responses that are made without a client waiting. They have an owner: what is not done when Owl stops is ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

/// How many are made at a time.
const MOST: usize = 64;

/// The responses that are being made.
#[derive(Debug)]
pub(super) struct Background {
    places: Arc<Semaphore>,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    /// Dropping it ends what runs.
    tasks: JoinSet<()>,
    by_id: HashMap<String, AbortHandle>,
}

impl Default for Background {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST)), running: Mutex::default() }
    }
}

impl Background {
    /// A place for one more, if there is one.
    pub(super) fn reserve(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Has one made.
    pub(super) fn spawn(
        &self,
        place: OwnedSemaphorePermit,
        id: String,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut running = self.running();
        while running.tasks.try_join_next().is_some() {}
        running.by_id.retain(|_, task| !task.is_finished());
        let task = running.tasks.spawn(async move {
            work.await;
            drop(place);
        });
        running.by_id.insert(id, task);
    }

    /// Ends one, if it is still being made.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(task) = self.running().by_id.remove(id) {
            task.abort();
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
