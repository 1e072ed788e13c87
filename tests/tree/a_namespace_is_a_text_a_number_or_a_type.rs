//! Namespaces of all kinds: a text however it is stored, a number, a Rust type. A manager is found under what equals
//! the name it was made with, and under nothing else.

use std::collections::HashSet;
use std::sync::Arc;

use heirloom::{Namespace, Registry, Scope};

use crate::common;

struct Render;
mod other {
    pub(crate) struct Render;
}
struct Of<T>(std::marker::PhantomData<T>);

/// One name in each way there is to write it.
fn ways() -> Vec<Vec<Namespace>> {
    vec![
        vec!["io".into(), String::from("io").into(), Arc::<str>::from("io").into(), (&Namespace::from("io")).into()],
        vec!["".into(), String::new().into()],
        vec!["7".into(), String::from("7").into()],
        vec![7_u64.into()],
        vec![0_u64.into()],
        vec![u64::MAX.into()],
        vec![Namespace::of::<Render>(), Namespace::of::<Render>()],
        vec![Namespace::of::<other::Render>()],
        vec![Namespace::of::<Of<u8>>()],
        vec![Namespace::of::<Of<u16>>()],
        vec![Namespace::of::<str>()],
        vec![Namespace::of::<dyn Send>()],
        vec![Namespace::DEFAULT, "default".into()],
        vec![std::any::type_name::<Render>().into()],
        vec!["größe — 大".into(), String::from("größe — 大").into()],
    ]
}

#[test]
fn names_are_equal_however_they_are_written_and_only_then() {
    common::bounded(|| {
        let ways = ways();
        for (i, same) in ways.iter().enumerate() {
            for (j, other) in ways.iter().enumerate() {
                for (a, b) in same.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    assert_eq!(a == b, i == j, "{a:?} and {b:?}");
                }
            }
        }
    });
}

#[test]
fn equal_names_hash_alike() {
    common::bounded(|| {
        let all: HashSet<Namespace> = ways().into_iter().flatten().collect();
        assert_eq!(all.len(), ways().len());
    });
}

#[test]
fn a_manager_is_found_under_each_way_to_write_its_name() {
    common::bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "asker");
        for same in ways() {
            let made = family.root().create(&same[0]);
            for way in &same {
                assert!(scope.get(way).expect("found").is_same(&made), "{way:?}");
                assert!(scope.get_or_create(way).is_same(&made), "{way:?}");
                assert_eq!(made.namespace(), way);
            }
        }
        assert_eq!(family.root().managers().len(), ways().len(), "no name took another's place");
        for same in ways() {
            assert!(family.root().remove(&same[same.len() - 1]).is_some());
            assert!(scope.get(&same[0]).is_err());
        }
    });
}

#[test]
fn every_kind_goes_straight_into_every_verb() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        scope.run(|| {
            let _ = heirloom::create("text");
            let _ = heirloom::create(String::from("string"));
            let _ = heirloom::create(Arc::<str>::from("shared"));
            let _ = heirloom::create(7_u64);
            let _ = heirloom::create(Namespace::of::<Render>());
            assert!(heirloom::get("string").is_ok() && heirloom::get(String::from("text")).is_ok());
            assert!(heirloom::with(7_u64, |_| ()).is_ok());
            assert!(heirloom::get(Namespace::of::<other::Render>()).is_err());
        });
        assert_eq!(scope.managers().len(), 5);
    });
}

#[test]
fn it_reads_as_its_name() {
    common::bounded(|| {
        assert_eq!(Namespace::from("io").to_string(), "io");
        assert_eq!(Namespace::from(String::from("io")).to_string(), "io");
        assert!(Namespace::from(7_u64).to_string().contains('7'));
        assert!(Namespace::of::<Render>().to_string().contains("Render"));
    });
}
