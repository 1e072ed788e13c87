//! A lent value: its user and a taker come at any moments, and one of them has it in the end.

use std::task::{Wake, Waker};

use crate::lend::{Lender, Look};
use crate::model::model;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::os::{Arc, AtomicBool, thread};

/// A value that is taken at most once, at its deadline.
struct Body {
    lender: Lender<()>,
    is_over: AtomicBool,
    taken: AtomicUsize,
    woken: AtomicUsize,
}

impl Body {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lender: Lender::new(()),
            is_over: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            woken: AtomicUsize::new(0),
        })
    }

    fn take(&self) {
        if self.lender.take().is_some() {
            self.taken.fetch_add(1, SeqCst);
        }
    }

    /// The deadline has passed. Returns the step that is left for later.
    fn time_is_up(&self) -> Look {
        self.is_over.store(true, SeqCst);
        let look = self.lender.look();
        if look == Look::Take {
            self.take();
        }
        look
    }

    /// Uses it once; with `waits` until it is woken. False when it has ended.
    fn use_it(self: &Arc<Self>, waits: bool) -> bool {
        let Ok(mut lent) = self.lender.lend() else { return false };
        if self.is_over.load(SeqCst) {
            lent.keep();
            self.taken.fetch_add(1, SeqCst);
            return false;
        }
        if waits {
            lent.register(&Waker::from(Arc::new(Woken(Arc::clone(self)))));
            drop(lent);
            if self.is_over.load(SeqCst) {
                self.take();
                return false;
            }
        } else {
            lent.unregister(false);
        }
        true
    }
}

struct Woken(Arc<Body>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.woken.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_value_whose_user_never_comes_again_is_taken_at_once_or_at_the_second_look() {
    model(3, || {
        let body = Body::new();
        let timer = {
            let body = Arc::clone(&body);
            thread::spawn(move || body.time_is_up())
        };
        let used = body.use_it(false);
        match timer.join().unwrap() {
            Look::Again => assert_eq!(body.time_is_up(), if used { Look::Take } else { Look::Gone }),
            Look::Take => {}
            Look::Gone => assert!(!used, "the user saw that the time is up"),
        }
        assert_eq!(body.taken.load(SeqCst), 1);
    });
}

#[test]
fn a_user_that_waits_is_woken_or_sees_that_the_time_is_up() {
    model(3, || {
        let body = Body::new();
        let timer = {
            let body = Arc::clone(&body);
            thread::spawn(move || body.time_is_up())
        };
        let waits = body.use_it(true);
        timer.join().unwrap();
        let is_over = body.taken.load(SeqCst) == 1 || body.woken.load(SeqCst) == 1;
        assert!(!waits || is_over, "it would wait for ever");
    });
}

#[test]
fn a_value_that_was_used_between_two_looks_is_not_idle() {
    model(3, || {
        let body = Body::new();
        assert_eq!(body.lender.look_whether_idle(), Look::Again);
        let user = {
            let body = Arc::clone(&body);
            thread::spawn(move || body.use_it(false))
        };
        let is_idle = body.lender.look_whether_idle() == Look::Take;
        let was_used = user.join().unwrap();
        assert!(was_used, "a look takes nothing");
        if is_idle {
            // The user came after that look.
            assert_eq!(body.lender.look_whether_idle(), Look::Again);
        }
    });
}
