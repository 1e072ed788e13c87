//! Use while a thread's locals are being destroyed never panics: it falls back to the process node.

use std::cell::RefCell;
use std::sync::mpsc::{Sender, channel};

use heirloom::{Entered, Lineage, PoolConfig, Scope, current};

use crate::common;

/// What a thread-local does when it is destroyed.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

thread_local! {
    static FIRST: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
    static LAST: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
    static GUARD: RefCell<Option<Entered>> = const { RefCell::new(None) };
}

/// Acts in a local's destructor both before and after heirloom's own local is destroyed, whichever way the system goes
/// through them: `FIRST` is used before heirloom is, `LAST` after.
fn at_end(use_heirloom: impl FnOnce(), act: impl Fn() + Clone + 'static) {
    let first = act.clone();
    FIRST.with(|local| local.borrow_mut().0 = Some(Box::new(first)));
    use_heirloom();
    LAST.with(|local| local.borrow_mut().0 = Some(Box::new(act)));
}

/// Runs `act` in the destructors of a plain thread and of one that heirloom started in a scope.
fn on_both_kinds<T: Send + 'static>(act: impl Fn() -> T + Clone + Send + 'static) -> Vec<T> {
    let (said, heard) = channel();
    let reporting = |said: Sender<T>| {
        let act = act.clone();
        move || {
            let said = said.clone();
            let act = act.clone();
            at_end(|| drop(current()), move || drop(said.send(act())));
        }
    };
    std::thread::spawn(reporting(said.clone())).join().expect("no destructor panics");
    let scope = Scope::new("starter");
    scope
        .run(|| heirloom::thread::spawn(reporting(said)).expect("a thread starts"))
        .join()
        .expect("no destructor panics");
    drop(scope);
    let seen: Vec<T> = heard.iter().collect();
    assert_eq!(seen.len(), 4, "every destructor got to its end");
    seen
}

#[test]
fn one_of_the_destructors_stands_at_the_process() {
    common::bounded(|| {
        let (said, heard) = channel();
        std::thread::spawn(move || at_end(|| drop(current()), move || drop(said.send(current()))))
            .join()
            .expect("no destructor panics");
        let seen: Vec<Lineage> = heard.iter().collect();
        assert!(seen.contains(&Lineage::process()), "{seen:?}");
    });
}

#[test]
fn a_thread_whose_own_code_has_ended_does_not_become_a_second_node() {
    common::bounded(|| {
        let (said, heard) = channel();
        let scope = Scope::new("starter");
        let child = scope.run(|| {
            heirloom::thread::spawn(move || {
                at_end(|| drop(current()), move || drop(said.send(current())));
                current()
            })
            .expect("a thread starts")
        });
        let own = child.join().expect("no destructor panics");
        for seen in heard {
            assert!(seen == own || seen == Lineage::process(), "{seen:?} is neither {own:?} nor the process");
        }
    });
}

#[test]
fn finding_and_making_managers_works() {
    common::bounded(|| {
        let found = on_both_kinds(|| {
            let missing = heirloom::get("no such name").is_err();
            let made = heirloom::create("made in a destructor");
            let again = heirloom::get_or_create("made in a destructor");
            let removed = current().remove("made in a destructor");
            missing && made.is_same(&again) && removed.is_some_and(|removed| removed.is_same(&made))
        });
        assert_eq!(found, [true; 4]);
    });
}

#[test]
fn entering_wrapping_and_scopes_work() {
    common::bounded(|| {
        let entered = on_both_kinds(|| {
            let before = current();
            let scope = Scope::new("opened in a destructor");
            let guard = scope.enter();
            drop(guard);
            let run = scope.run(|| 1);
            let wrapped = heirloom::wrap(|| 2)();
            let wrapped_fn = heirloom::wrap_fn(|| 3)();
            let closed = Scope::run("run in a destructor", |_| 4);
            assert_eq!(current(), before);
            (run, wrapped, wrapped_fn, closed)
        });
        assert_eq!(entered, [(1, 2, 3, 4); 4]);
    });
}

#[test]
fn submitting_joining_and_stopping_work() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let shared = scope.create("shared");
        shared.start(PoolConfig::leased(2)).expect("starts");
        let answers = on_both_kinds(move || {
            let joined = shared.submit(|| 7).expect("open").join().expect("ends");
            let ran = shared.run(|| 8).expect("ends");
            let own = Scope::run("in a destructor", |scope| {
                let own = scope.create("own");
                own.start(PoolConfig::leased(1)).expect("starts");
                let answer = own.submit(|| 9).expect("open").join().expect("ends");
                assert!(own.stop().is_ok_and(|report| report.is_complete()));
                answer
            });
            (joined, ran, own)
        });
        assert_eq!(answers, [(7, 8, 9); 4]);
    });
}

#[test]
fn starting_threads_works() {
    common::bounded(|| {
        let answers = on_both_kinds(|| {
            let spawned = heirloom::thread::spawn(|| 1).expect("a thread starts").join().expect("ends");
            let built = heirloom::thread::Builder::new().detached().spawn(|| 2).expect("starts").join().expect("ends");
            let scoped = heirloom::thread::scope(|s| s.spawn(|| 3).expect("a thread starts").join().expect("ends"));
            (spawned, built, scoped)
        });
        assert_eq!(answers, [(1, 2, 3); 4]);
    });
}

#[test]
fn a_first_use_in_a_destructor_works() {
    common::bounded(|| {
        let (said, heard) = channel();
        std::thread::spawn(move || at_end(|| (), move || drop(said.send(current().ancestors().last()))))
            .join()
            .expect("no destructor panics");
        assert_eq!(heard.iter().collect::<Vec<_>>(), [Some(Lineage::process()), Some(Lineage::process())]);
    });
}

#[test]
fn a_guard_kept_in_a_thread_local_is_let_go() {
    common::bounded(|| {
        let scope = Scope::new("entered");
        let at = scope.lineage().clone();
        std::thread::spawn(move || {
            // Before heirloom's own local is used, and after.
            GUARD.with(|guard| assert!(guard.borrow().is_none()));
            GUARD.with(|guard| *guard.borrow_mut() = Some(at.enter()));
            assert_eq!(current(), at);
        })
        .join()
        .expect("no destructor panics");
        let at = scope.lineage().clone();
        std::thread::spawn(move || {
            let entered = at.enter();
            GUARD.with(|guard| *guard.borrow_mut() = Some(entered));
        })
        .join()
        .expect("no destructor panics");
    });
}

#[test]
fn the_managers_of_a_thread_close_while_its_locals_are_destroyed() {
    /// Dropped with a queued task; looks around.
    struct Looks(Sender<bool>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let sees = current().ancestors().last() == Some(Lineage::process());
            let _ = self.0.send(sees && heirloom::get("no such name").is_err());
        }
    }
    common::bounded(|| {
        let (said, heard) = channel();
        let (go, wait) = channel::<()>();
        std::thread::spawn(move || {
            let manager = heirloom::create("of the thread");
            manager.start(PoolConfig::leased(1).daemon()).expect("starts");
            let looks = Looks(said);
            // Asked for by the process: a task of the thread's own would keep the thread's node.
            Lineage::process().run(|| {
                drop(manager.submit(move || wait.recv()).expect("open"));
                drop(manager.submit(move || drop(looks)).expect("open"));
            });
            // The thread's node has the only handle that is left: it ends with the thread's locals.
            drop(manager);
        })
        .join()
        .expect("no destructor panics");
        assert_eq!(heard.recv(), Ok(true));
        drop(go);
    });
}
