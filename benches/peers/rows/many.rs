//! Rows: one operation beside many managers or after many threads. One iteration is one operation; the question: does it cost
//! more than beside ten?

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use heirloom::{Lineage, Registry, Scope};

use crate::suite::contest::{Contender, Medians, Plan, back_to_back, contest};
use crate::suite::group::{Bar, Group, Place, RowSpec, Unit};

const ROW: RowSpec = RowSpec {
    work: "create the 10 000th manager of a scope",
    iteration: "create a manager beside so many others in its scope, and remove it; the peer is the 10th",
    ours: "heirloom create, the 10 000th",
    peers: &["create, the 10th"],
    unit: Unit::Nanoseconds,
    bar: Bar::OfBestPeer(2.0),
};

pub(crate) const MANY: Group = Group {
    key: "many managers",
    place: Place::Here,
    measure: many,
    rows: &[
        ROW,
        RowSpec {
            work: "`get` the 10 000th manager of a scope",
            iteration: "find a manager beside so many others in its scope; the peer is the 10th",
            ours: "heirloom get, the 10 000th",
            peers: &["get, the 10th"],
            ..ROW
        },
        RowSpec {
            work: "`get` in vain, 100 000 managers elsewhere",
            iteration: "look for a name that no node above has; the peer is beside 10 managers elsewhere",
            ours: "heirloom get in vain, 100 000 elsewhere",
            peers: &["get in vain, 10 elsewhere"],
            ..ROW
        },
    ],
};

pub(crate) const REPLACED: Group = Group {
    key: "replace after threads",
    place: Place::OwnProcess,
    measure: replaced,
    rows: &[RowSpec {
        work: "replace a manager after 4 000 threads",
        iteration: "create a manager in the place of another; 4 000 threads have looked up at one time, and ended. The peer is \
                    the same process before",
        ours: "heirloom, after the threads",
        peers: &["before the threads"],
        ..ROW
    }],
};

/// A scope with one manager less than `managers`.
fn scope_with(managers: u64) -> Scope {
    let scope = Scope::new("scope");
    (1..managers).for_each(|name| drop(scope.create(name)));
    scope
}

fn create(managers: u64, name: &str) -> Contender<'static> {
    let scope = scope_with(managers);
    Contender::new(name, move |n| {
        back_to_back(n, || {
            drop(scope.create(managers));
            drop(scope.remove(managers));
        })
    })
}

fn get(managers: u64, name: &str) -> Contender<'static> {
    let scope = scope_with(managers);
    drop(scope.create(managers));
    Contender::new(name, move |n| back_to_back(n, || drop(black_box(scope.get(managers).expect("it is there")))))
}

fn get_in_vain(managers: usize, name: &str) -> Contender<'static> {
    let family = Registry::new();
    let elsewhere: Vec<_> = (0..managers).map(|_| Scope::new_in(&family.root(), "elsewhere")).collect();
    elsewhere.iter().for_each(|scope| drop(scope.create("io")));
    let here = Scope::new_in(&family.root(), "here");
    Contender::new(name, move |n| {
        black_box(&elsewhere);
        back_to_back(n, || drop(black_box(here.get("missing"))))
    })
}

fn many(plan: &Plan) -> Medians {
    let contenders = vec![
        create(10_000, "heirloom create, the 10 000th"),
        create(10, "create, the 10th"),
        get(10_000, "heirloom get, the 10 000th"),
        get(10, "get, the 10th"),
        get_in_vain(plan.flood, "heirloom get in vain, 100 000 elsewhere"),
        get_in_vain(10, "get in vain, 10 elsewhere"),
    ];
    contest(plan.alone, contenders)
}

fn replaced(plan: &Plan) -> Medians {
    let family = Registry::new();
    let root = family.root();
    drop(root.create("io"));
    let before = replace(plan, &root, "before the threads");
    let threads = plan.flood / 25;
    let looked = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let reader = || {
                drop(root.get("io"));
                looked.wait();
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, reader).expect("the system has threads");
        }
    });
    let after = replace(plan, &root, "heirloom, after the threads");
    after.into_iter().chain(before).collect()
}

/// Replaces the manager while another thread lives that has looked it up, as in a server.
fn replace(plan: &Plan, at: &Lineage, name: &str) -> Medians {
    let (looked, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(at.get("io"));
            looked.wait();
            done.wait();
        });
        looked.wait();
        let replace = |n| back_to_back(n, || drop(at.create("io")));
        let medians = contest(plan.alone, vec![Contender::new(name, replace)]);
        done.wait();
        medians
    })
}
