//! Thread-locals for loom's threads, which all run on one of the system's, with the rules of `std`: made on first use,
//! ended in the reverse order before the thread can be joined, and refused after that. loom's own end in any order, and
//! too late.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use loom::thread::ThreadId;

pub(crate) struct Local<T: 'static>(fn() -> T);

/// A null pointer is one that has ended. Pointers, because the values that a failed model leaves behind can end no
/// more.
type Entry = (usize, *mut dyn Any);

std::thread_local! {
    static ALL: RefCell<HashMap<ThreadId, Vec<Option<Entry>>>> = RefCell::default();
}

fn mine<R>(f: impl FnOnce(&mut Vec<Option<Entry>>) -> R) -> R {
    let id = loom::thread::current().id();
    ALL.with_borrow_mut(|all| f(all.entry(id).or_default()))
}

#[derive(Debug)]
pub(crate) struct Ended;

impl<T: 'static> Local<T> {
    pub(crate) const fn new(init: fn() -> T) -> Self {
        Self(init)
    }

    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, Ended> {
        let key = std::ptr::from_ref(self).addr();
        let seen = mine(|entries| {
            let ended = entries.iter().any(Option::is_none);
            let seen = entries.iter().flatten().find(|entry| entry.0 == key).map(|entry| entry.1);
            if seen.is_none() && ended { Err(Ended) } else { Ok(seen) }
        })?;
        let value = seen.unwrap_or_else(|| {
            // Outside the borrow: it may use others.
            let value: *mut dyn Any = Box::into_raw(Box::new((self.0)()));
            mine(|entries| entries.push(Some((key, value))));
            value
        });
        // SAFETY: it lives until the thread's end, which is further out on this stack.
        let value = unsafe { &*value };
        Ok(f(value.downcast_ref().expect("a local has one type")))
    }

    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect("the thread's locals have ended")
    }
}

impl<V: Copy> Local<Cell<V>> {
    pub(crate) fn get(&'static self) -> V {
        self.with(Cell::get)
    }

    pub(crate) fn replace(&'static self, value: V) -> V {
        self.with(|cell| cell.replace(value))
    }

    pub(crate) fn set(&'static self, value: V) {
        self.with(|cell| cell.set(value));
    }
}

/// Ends the calling thread's locals.
pub(crate) fn end() {
    loop {
        let last = mine(|entries| entries.iter_mut().rev().find_map(Option::take));
        let Some((_, value)) = last else { return };
        // SAFETY: it came from a `Box`, and was taken off the list.
        drop(unsafe { Box::from_raw(value) });
    }
}

/// An execution begins: no local exists yet.
pub(crate) fn forget_all() {
    ALL.with_borrow_mut(HashMap::clear);
}
