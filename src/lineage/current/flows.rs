//! [`Flows`]: the stack entries of a thread, by the flow that made them.

use std::collections::HashMap;
use std::mem;

use crate::lineage::flow::Flow;

/// The entries of each [`Flow`] of one thread, oldest first.
///
/// Mostly one guest at a time has entries: a runtime's future enters a node for one poll. So the entries of the guest
/// that ran last are at hand, and a map has those of guests that are suspended inside of a node.
pub(crate) struct Flows<T> {
    /// The entries of the flow that has the thread for itself.
    thread: Vec<T>,
    /// The guest that ran last.
    guest: Flow,
    /// The entries of `guest`.
    at_hand: Vec<T>,
    /// The entries of all other guests. None of them is empty.
    away: Option<HashMap<Flow, Vec<T>>>,
}

impl<T> Flows<T> {
    pub(crate) const fn new() -> Self {
        Self { thread: Vec::new(), guest: Flow::THREAD, at_hand: Vec::new(), away: None }
    }

    #[inline]
    pub(crate) fn of(&self, flow: Flow) -> &[T] {
        if !flow.is_guest() {
            &self.thread
        } else if flow == self.guest {
            &self.at_hand
        } else {
            self.away.as_ref().and_then(|away| away.get(&flow)).map_or(&[], Vec::as_slice)
        }
    }

    /// Returns the entries to be changed. Those of a guest are at hand from now on.
    #[inline]
    pub(crate) fn of_mut(&mut self, flow: Flow) -> &mut Vec<T> {
        if !flow.is_guest() {
            return &mut self.thread;
        }
        if flow != self.guest {
            self.change_guest(flow);
        }
        &mut self.at_hand
    }

    fn change_guest(&mut self, next: Flow) {
        let last = mem::replace(&mut self.guest, next);
        if !self.at_hand.is_empty() {
            self.away.get_or_insert_default().insert(last, mem::take(&mut self.at_hand));
        }
        if let Some(entries) = self.away.as_mut().and_then(|away| away.remove(&next)) {
            self.at_hand = entries;
            // An empty map is freed.
            self.away.take_if(|away| away.is_empty());
        }
    }
}
