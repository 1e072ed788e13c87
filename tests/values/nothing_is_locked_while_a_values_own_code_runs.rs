//! Nothing of heirloom is locked while code of a value, a key or an initialiser runs: it may look up, bind, unbind,
//! subscribe and initialise under the very same key, also on another thread while its own waits.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use heirloom::{Heirloom, HeirloomMap, Lineage, Scope};

use crate::common::{self, bounded};

/// Runs it on another thread, and waits for that: whoever holds a lock now would wait for itself.
fn elsewhere<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(f()));
    receive.recv_timeout(common::BOUND / 2).expect("nothing is locked")
}

static DROPS: AtomicU32 = AtomicU32::new(0);

struct Busy(Lineage);

static KEY: Heirloom<Busy> = Heirloom::new("key");
static MAP: HeirloomMap<Name, Busy> = HeirloomMap::new("map");

impl Drop for Busy {
    fn drop(&mut self) {
        // One level is enough.
        if DROPS.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            return;
        }
        let at = self.0.clone();
        elsewhere(move || use_all(&at));
        use_all(&self.0);
    }
}

fn use_all(at: &Lineage) {
    let name = Name("a");
    let _ = KEY.at(at).get().is_ok();
    let _ = MAP.at(at).get(&name).is_ok();
    let mut subscription = KEY.subscribe();
    let _ = subscription.try_next().is_some();
    let _ = MAP.keys();
    let scope = Scope::new("another");
    let small = Heirloom::<u32>::new("small");
    small.at(&scope).bind(1_u32).expect("binds");
    assert_eq!(*small.at(&scope).get().expect("bound"), 1);
    // Under the very keys that are being written elsewhere; `forget` drops nothing of ours.
    MAP.at(at).forget(&name);
    KEY.at(&scope).unbind();
}

#[derive(Clone)]
struct Name(&'static str);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        look_elsewhere();
        self.0 == other.0
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        look_elsewhere();
        // All in one bucket.
        state.write_u8(0);
    }
}

static NAMES: HeirloomMap<Name, u32> = HeirloomMap::new("names");
static LOOKS: AtomicBool = AtomicBool::new(false);

/// Under the very keys, on another thread, which is as far as it goes.
fn look_elsewhere() {
    if !LOOKS.swap(true, Ordering::SeqCst) {
        elsewhere(|| {
            let _ = NAMES.get(&Name("a")).is_ok();
            drop(NAMES.at(&Lineage::process()).bind(Name("elsewhere"), 7_u32).expect("binds"));
            assert!(NAMES.keys().contains(&Name("elsewhere")));
        });
        LOOKS.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_values_drop_meets_no_lock() {
    bounded(|| {
        let scope = Scope::new("owner");
        let at = scope.lineage().clone();
        let busy = || Busy(Lineage::process());
        KEY.at(&at).bind(busy()).expect("binds");
        drop(KEY.at(&at).bind(busy()).expect("replaces"));
        drop(KEY.at(&at).unbind());
        KEY.at(&at).bind(busy()).expect("binds");
        MAP.at(&at).bind(Name("a"), busy()).expect("binds");
        MAP.at(&at).bind(Name("b"), busy()).expect("binds");
        drop(MAP.at(&at).bind(Name("b"), busy()).expect("replaces"));
        assert!(KEY.at(&at).bind_unique(busy()).is_err(), "what is refused is dropped too");
        let before = DROPS.load(Ordering::SeqCst);
        drop(scope);
        assert!(DROPS.load(Ordering::SeqCst) >= before + 3);
    });
}

#[test]
fn a_keys_hash_and_comparison_meet_no_lock() {
    bounded(|| {
        let names = ["a", "b", "c"];
        for (name, value) in names.iter().zip(0_u32..) {
            assert_eq!(*NAMES.get_or_init(&Name(name), || value).expect("made"), value);
        }
        for (name, value) in names.iter().zip(0_u32..) {
            assert_eq!(*NAMES.get(&Name(name)).expect("bound"), value);
            assert!(NAMES.at(&Lineage::process()).unbind(&Name(name)).is_some());
        }
    });
}

#[test]
fn an_initialiser_meets_no_lock() {
    bounded(|| {
        static VALUE: Heirloom<u32> = Heirloom::new("value");
        let scope = Scope::new("elsewhere");
        let at = scope.lineage().clone();
        let made = VALUE.get_or_init(move || {
            let other = at.clone();
            elsewhere(move || {
                VALUE.at(&other).bind(1_u32).expect("binds");
                assert_eq!(*other.run(|| VALUE.get_or_init(|| 2)).expect("bound"), 1);
                assert!(VALUE.subscribe().try_next().is_some());
                VALUE.at(&other).unbind();
                // Another owner of the same key initialises meanwhile.
                assert_eq!(*other.run(|| VALUE.at(&other).get_or_init(|| 3)).expect("made"), 3);
            });
            7
        });
        assert_eq!(*made.expect("made"), 7);
    });
}

#[test]
fn the_last_one_of_a_value_may_be_a_look_up() {
    bounded(|| {
        static VALUE: Heirloom<Arc<AtomicU32>> = Heirloom::new("value");
        let scope = Scope::new("owner");
        let at = scope.lineage().clone();
        let count = Arc::new(AtomicU32::new(0));
        VALUE.at(&at).bind(Arc::new(Arc::clone(&count))).expect("binds");
        at.run(|| {
            VALUE.with(|lent| {
                drop(VALUE.unbind());
                lent.fetch_add(1, Ordering::SeqCst);
                assert!(VALUE.get().is_err());
            })
        })
        .expect("bound");
        assert_eq!((Arc::strong_count(&count), count.load(Ordering::SeqCst)), (1, 1));
    });
}
