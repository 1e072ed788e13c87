//! [`Broker`]: one loopback engine, and what a test does to its ends.

use bytes::Bytes;

use super::end_state::EndState;
use super::op::Op;
use super::queue::Queue;
use super::state::{Settings, State};
use crate::sync::fork;
use crate::sync::os::{Arc, Mutex, Weak};
use crate::wire::address::ProcessId;
use crate::wire::engine::Inbox;

pub(super) struct Broker {
    pub(super) state: Mutex<State>,
    pub(super) settings: Settings,
}

impl Broker {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let this = this.clone();
            let respond = move |end, request, bytes: Bytes| {
                if let Some(broker) = this.upgrade() {
                    broker.call(end, Op::Respond { request, bytes });
                }
            };
            Self { state: Mutex::new(State::new(settings, Arc::new(respond))), settings }
        })
    }

    /// Makes an end, which does not listen yet.
    pub(super) fn add(&self) -> u64 {
        let mut state = self.state.lock();
        let id = state.number();
        state.ends.insert(id, EndState::default());
        id
    }

    pub(super) fn open(self: &Arc<Self>, end: u64, name: &ProcessId, inbox: Arc<dyn Inbox>) {
        let mut state = self.state.lock();
        state.names.insert(name.clone(), end);
        if let Some(at) = state.ends.get_mut(&end) {
            (at.inbox, at.name) = (Some(inbox), Some(name.clone()));
            at.push(|inbox| inbox.connected(true));
        }
        self.notify(&mut state);
    }

    pub(super) fn is_connected(&self, end: u64) -> bool {
        !fork::is_fork() && self.state.lock().ends.get(&end).is_some_and(EndState::is_there)
    }

    pub(super) fn is_closed(&self, end: u64) -> bool {
        !fork::is_fork() && self.state.lock().ends.get(&end).is_none_or(|at| at.dead)
    }

    pub(super) fn call(self: &Arc<Self>, end: u64, op: Op) {
        // A lock that was held when the process forked is never released here.
        if fork::is_fork() {
            return drop(op);
        }
        let mut state = self.state.lock();
        state.call(end, op);
        self.notify(&mut state);
    }

    pub(super) fn connect(self: &Arc<Self>, end: u64, connected: bool) {
        let mut state = self.state.lock();
        let Some(at) = state.ends.get_mut(&end).filter(|at| !at.dead && at.away == connected) else { return };
        at.away = !connected;
        at.push(move |inbox| inbox.connected(connected));
        state.changed(end);
        self.notify(&mut state);
    }

    pub(super) fn pause(self: &Arc<Self>, end: u64, paused: bool) {
        let mut state = self.state.lock();
        let Some(at) = state.ends.get_mut(&end).filter(|at| !at.dead && at.paused != paused) else { return };
        at.paused = paused;
        state.changed(end);
        self.notify(&mut state);
    }

    pub(super) fn kill(self: &Arc<Self>, end: u64) {
        // A lock that was held when the process forked is never released here.
        if fork::is_fork() {
            return;
        }
        let mut state = self.state.lock();
        let Some(at) = state.ends.get_mut(&end).filter(|at| !at.dead) else { return };
        // The one thing that comes in: the code of the end is this process's, and must not wait for answers.
        let (inbound, held) = (std::mem::take(&mut at.inbound), std::mem::take(&mut at.held));
        at.push(|inbox| inbox.connected(false));
        (at.dead, at.paused) = (true, false);
        state.loose.push_back(Box::new(move || drop((inbound, held))));
        state.queues.values_mut().for_each(|queue| queue.stop_pulling(end));
        state.changed(end);
        self.notify(&mut state);
    }

    /// Drops a dead end.
    pub(super) fn forget(&self, end: u64) {
        if fork::is_fork() {
            return;
        }
        let mut state = self.state.lock();
        let ended = state.ends.remove(&end);
        if let Some(name) = ended.as_ref().and_then(|end| end.name.as_ref()) {
            state.names.remove(name);
        }
        drop(state);
        drop(ended);
    }

    pub(super) fn restart(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.queues.values_mut().for_each(Queue::lose);
        state.requests.values_mut().for_each(|request| request.lost = true);
        for end in state.ends.values_mut().filter(|end| end.is_there()) {
            end.push(|inbox| inbox.connected(false));
            end.push(|inbox| inbox.connected(true));
        }
        self.notify(&mut state);
    }
}
