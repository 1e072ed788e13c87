//! [`EndedWith`]: the scope that a manager ended with, in words.

use slab::Slab;

use crate::sync::os::{Mutex, OnceLock};

/// The words, for all managers that have some. A table keeps the field of the other managers at one word.
static TEXTS: Mutex<Slab<Box<str>>> = Mutex::new(Slab::new());

/// The scope that a manager ended with, in words: set once, and few managers have some.
pub(super) struct EndedWith(OnceLock<u32>);

impl EndedWith {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(super) fn set(&self, words: &str) {
        self.0.get_or_init(|| TEXTS.lock().insert(words.into()) as u32);
    }

    pub(super) fn get(&self) -> Option<String> {
        let key = *self.0.get()?;
        TEXTS.lock().get(key as usize).map(ToString::to_string)
    }
}

impl Drop for EndedWith {
    fn drop(&mut self) {
        if let Some(key) = self.0.get() {
            drop(TEXTS.lock().try_remove(*key as usize));
        }
    }
}
