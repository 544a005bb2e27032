//! What is found out about the weights beside the work, and waited for where it is needed.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::ScopedJoinHandle;

use crate::weights::WeightsError;

/// What is found out about the weights beside the work.
pub(super) struct WeightChecks<'a> {
    sha256: Later<'a, String>,
    sound: Later<'a, Result<(), Arc<WeightsError>>>,
}

impl<'a> WeightChecks<'a> {
    /// `sha256` in hexadecimal digits, where somebody asks for it; `sound`: whether the weights are what was stored.
    pub(super) fn new(
        sha256: Option<ScopedJoinHandle<'a, String>>,
        sound: ScopedJoinHandle<'a, Result<(), Arc<WeightsError>>>,
    ) -> Self {
        Self {
            sha256: Later::new(sha256),
            sound: Later::new(Some(sound)),
        }
    }

    /// What is wrong with the weights.
    pub(super) fn sound(&self) -> Result<(), Arc<WeightsError>> {
        self.sound.get().map_or(Ok(()), Clone::clone)
    }

    /// In hexadecimal digits; empty where nobody asked for it.
    pub(super) fn sha256(&self) -> &str {
        self.sha256.get().map_or("", String::as_str)
    }
}

/// What a thread gives, to whoever waits for it.
struct Later<'a, T> {
    thread: Mutex<Option<ScopedJoinHandle<'a, T>>>,
    value: OnceLock<Option<T>>,
}

impl<'a, T> Later<'a, T> {
    fn new(thread: Option<ScopedJoinHandle<'a, T>>) -> Self {
        Self {
            thread: Mutex::new(thread),
            value: OnceLock::new(),
        }
    }

    fn get(&self) -> Option<&T> {
        let wait = || {
            let thread = self
                .thread
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            thread.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        };
        self.value.get_or_init(wait).as_ref()
    }
}
