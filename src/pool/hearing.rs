//! [`Hearing`]: waiting so that one hears of whatever the running code is asked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use event_listener::EventListener;

use crate::lineage::current;
use crate::lineage::node::Place;
use crate::lineage::watch::Watch;
use crate::pool::crew::Crew;
use crate::pool::frame::{self, Frame};
use crate::pool::inner::Pool;
use crate::pool::stealing;
use crate::sync::os::Arc;

/// Listens where the code stands, and at the running task or thread itself, which may be elsewhere: code that has entered
/// another place is still asked by its own handle.
pub(crate) struct Hearing {
    here: Watch,
    own: Option<Watch>,
    /// Of a work-stealing pool, whose tasks have no node.
    pool: Option<(Arc<Pool>, Option<EventListener>)>,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        // What a task does for others is not asked by its handle, and what one left behind has none.
        let deaf = frame::is_apart() || frame::innermost().is_some_and(Frame::is_aside);
        // Before the place, which is the same in most cases: then it is a node by now.
        let own = if deaf { None } else { current::own() };
        // A thread that stands nowhere is made no node of: nobody could ask it.
        let here = if current::stands() { current::here() } else { Place::PROCESS };
        let own = own.filter(|own| own.as_ptr() != here.as_ptr());
        let pool = stealing::here().filter(|_| !deaf).map(|pool| (Arc::clone(pool), None));
        Self { here: Watch::new(&here), own: own.as_ref().map(Watch::new), pool }
    }

    /// Whether `done`; otherwise the waker is woken when there may be something new.
    pub(crate) fn poll(&mut self, waker: &Waker, done: impl Fn(&Self) -> bool) -> bool {
        self.here.poll(waker, |_| false);
        if let Some(own) = &mut self.own {
            own.poll(waker, |_| false);
        }
        if let Some((pool, listener)) = &mut self.pool {
            listen(pool, listener, waker);
        }
        done(self)
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.node().is_asked())
            || self.here.node().is_cancelled()
            || self.pool_is_asked()
    }

    fn pool_is_asked(&self) -> bool {
        self.pool.as_ref().is_some_and(|(pool, _)| pool.is_cancelled())
    }

    /// Changes with every request.
    pub(crate) fn requests(&self) -> u64 {
        let own = self.own.as_ref().map_or(0, |own| own.node().own_requests());
        own.wrapping_add(self.here.node().requests()).wrapping_add(u64::from(self.pool_is_asked()))
    }
}

/// The waker is woken when the pool is cancelled, if that comes after this.
fn listen(pool: &Pool, listener: &mut Option<EventListener>, waker: &Waker) {
    let Crew::WorkStealing(stealing) = &pool.crew else { return };
    loop {
        let waits = listener.get_or_insert_with(|| stealing.asked().listen());
        if Pin::new(waits).poll(&mut Context::from_waker(waker)).is_pending() {
            return;
        }
        *listener = None;
    }
}
