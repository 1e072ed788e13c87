//! The spinning thread: an offered job is done exactly once, whether the thread collects the offer or stops spinning,
//! and a pool whose only thread searches leaves no task behind. The models have several CPUs; a spinner looks once.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use loom::cell::UnsafeCell;

use crate::model::model_on;
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::submit;
use crate::sync::os::{Arc, thread};
use crate::threads::spin::SpinSlot;

/// Where there are two CPUs.
fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    model_on(2, preemptions, f);
}

/// A cell that fails the model when a read is not ordered after its creation.
struct Offer(UnsafeCell<usize>);

// SAFETY: loom checks every access.
unsafe impl Send for Offer {}

fn offer(n: usize) -> Offer {
    let new = Offer(UnsafeCell::new(0));
    // SAFETY: no other thread has it.
    new.0.with_mut(|cell| unsafe { *cell = n });
    new
}

impl Offer {
    fn number(&self) -> usize {
        // SAFETY: loom checks that no thread writes meanwhile.
        self.0.with(|cell| unsafe { *cell })
    }
}

#[test]
fn of_all_offers_at_most_one_is_accepted_and_it_is_collected_once() {
    model(4, || {
        let slot = Arc::new(SpinSlot::new());
        assert!(slot.open());
        let others: Vec<_> = (1..=2)
            .map(|n| {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.offer(offer(n)).map_or_else(|back| Err(back.number()), |()| Ok(n)))
            })
            .collect();
        let mut got = Vec::new();
        // A look, and then no more spinning.
        match slot.collect() {
            Some(offer) => got.push(offer.number()),
            None => got.extend(slot.close().map(|offer| offer.number())),
        }
        let accepted: Vec<_> = others.into_iter().filter_map(|other| other.join().unwrap().ok()).collect();
        assert_eq!(got, accepted);
        // Empty again, for the next spinner.
        assert!(slot.open());
        assert!(slot.close().is_none());
    });
}

#[test]
fn a_spinner_that_takes_its_offer_back_was_given_nothing() {
    model(4, || {
        let slot = Arc::new(SpinSlot::new());
        assert!(slot.open());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.offer(offer(1)).is_ok())
        };
        let retracted = slot.retract();
        let accepted = other.join().unwrap();
        assert_eq!(retracted, !accepted);
        assert_eq!(slot.collect().map(|offer| offer.number()), accepted.then_some(1));
    });
}

#[test]
fn exactly_one_thread_is_the_spinner() {
    model(4, || {
        let slot = Arc::new(SpinSlot::<Offer>::new());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.open())
        };
        let here = slot.open();
        assert!(here != other.join().unwrap());
    });
}

#[test]
fn the_next_spinner_gets_none_of_the_last_ones_offers() {
    model(3, || {
        let slot = Arc::new(SpinSlot::new());
        let done = Arc::new(Count::new(0));
        let spinner = |slot: Arc<SpinSlot<Offer>>, done: Arc<Count>| {
            move || {
                if slot.open()
                    && let Some(offer) = slot.collect().or_else(|| slot.close())
                {
                    assert_eq!(offer.number(), 1);
                    done.fetch_add(1, SeqCst);
                }
            }
        };
        let one = thread::spawn(spinner(Arc::clone(&slot), Arc::clone(&done)));
        let two = thread::spawn(spinner(Arc::clone(&slot), Arc::clone(&done)));
        let accepted = slot.offer(offer(1)).is_ok();
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(done.load(SeqCst), usize::from(accepted));
    });
}

fn start(n: usize) -> Arc<Pool> {
    crate::model::start(PoolConfig::leased(n))
}

fn value(pool: &Arc<Pool>, value: usize) -> usize {
    match submit::submit_static(&pool, None, move || value) {
        Ok(handle) => handle.join().unwrap(),
        Err(refused) => panic!("{}", refused.reason),
    }
}

#[test]
fn a_task_that_meets_a_lingering_thread_is_run() {
    model(2, || {
        let pool = start(1);
        assert_eq!(value(&pool, 1), 1);
        // The thread is about to search, searches, spins, or has gone.
        assert_eq!(value(&pool, 2), 2);
    });
}

#[test]
fn a_lingering_thread_goes_to_the_pool_that_wants_it() {
    model(1, || {
        let (one, two) = (start(1), start(1));
        assert_eq!(value(&one, 1), 1);
        assert_eq!(value(&two, 2), 2);
        assert_eq!(value(&one, 3), 3);
    });
}

#[test]
fn a_pool_whose_thread_lingers_ends() {
    model(2, || {
        let pool = start(1);
        assert_eq!(value(&pool, 1), 1);
        assert_eq!(end::stop(&pool, None).unwrap().completed, 1);
    });
}

#[test]
fn two_submitters_meet_a_lingering_thread() {
    model(1, || {
        let pool = start(1);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || value(&pool, 1))
        };
        assert_eq!(value(&pool, 2) + other.join().unwrap(), 3);
    });
}
