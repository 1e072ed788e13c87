//! Code that shares its thread and has no node of its own finds and creates the process's managers and values.
//!
//! A manager or a value of its own is refused, with an error that names the ways to a node. Each of these ways works.

use heirloom::{
    BindError, Error, FutureExt, Heirloom, HeirloomMap, InitError, Lineage, PoolConfig, Registry, Scope, StartErrorKind,
};

use crate::common::{bounded, not_bound};

/// Runs `f` as code of a thread that is marked as shared, which has no node of its own.
fn without_a_place<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let shared = std::thread::spawn(|| {
        heirloom::thread::mark_shared();
        f()
    });
    shared.join().unwrap()
}

fn is_no_place(refused: Result<(), heirloom::Error>, name: &'static str) {
    let refused = refused.expect_err("nobody owns it");
    assert!(matches!(refused.as_start().map(|it| it.kind()), Some(StartErrorKind::NoPlace)), "{refused}");
    assert_eq!(refused.namespace(), Some(&name.into()));
    let text = refused.to_string();
    names_ways(&text, "`Lineage::process().create(");
}

/// The ways to a node of one's own, with tokio's spawns where there are such, and the way to the process's.
fn names_ways(text: &str, of_the_process: &str) {
    for way in ["`Scope`", "`in_scope`", "`in_lineage`", of_the_process] {
        assert!(text.contains(way), "{text}");
    }
    assert_eq!(text.contains("`heirloom::spawn`"), cfg!(feature = "tokio"), "{text}");
}

#[test]
fn a_manager_that_it_creates_belongs_to_nobody_and_does_not_start() {
    bounded(|| {
        without_a_place(|| {
            let lost = heirloom::create("lost");
            assert_eq!((lost.owner(), lost.is_running()), (None, false));
            is_no_place(lost.start(PoolConfig::leased(1)), "lost");
            is_no_place(lost.ensure_started(PoolConfig::leased(1)), "lost");
            is_no_place(lost.start_local(PoolConfig::local()).map(drop), "lost");
            assert!(lost.submit(|| ()).is_err());
            let missing = heirloom::get("lost").expect_err("it is found nowhere").to_string();
            assert!(missing.contains("`get_or_create(\"lost\")`") && !missing.contains("create one here"), "{missing}");
            let listed = Registry::global().managers();
            assert!(listed.iter().all(|manager| !manager.is_same(&lost)), "nor listed");
        });
    });
}

#[test]
fn it_finds_and_makes_the_process_s() {
    bounded(|| {
        let made = without_a_place(|| heirloom::get_or_create("made for all"));
        assert_eq!(made.owner(), Some(Lineage::process()));
        made.start(PoolConfig::leased(1)).unwrap();
        let found =
            without_a_place(|| (heirloom::get("made for all").unwrap(), heirloom::get_or_create("made for all")));
        assert!(found.0.is_same(&made) && found.1.is_same(&made));
        drop(Lineage::process().remove("made for all"));
        let start = || heirloom::get_or_start("started for all", || PoolConfig::leased(1)).unwrap();
        let started = without_a_place(start);
        assert_eq!((started.owner(), started.is_running()), (Some(Lineage::process()), true));
        assert!(without_a_place(start).is_same(&started));
        drop(Lineage::process().remove("started for all"));
    });
}

#[test]
fn a_value_is_not_bound_for_it() {
    static VALUE: Heirloom<u32> = Heirloom::new("value");
    static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map");
    bounded(|| {
        let refused = without_a_place(|| {
            let value = [VALUE.bind(1_u32).map(drop), VALUE.bind_unique(1_u32)];
            let bounded = VALUE.within(std::time::Duration::ZERO);
            let more = [bounded.bind(1_u32).map(drop), bounded.bind_unique(1_u32)];
            let bounded = MAP.within(std::time::Duration::ZERO);
            let map = [MAP.bind("a", 1_u32).map(drop), MAP.bind_unique("a", 1_u32)];
            let rest = [bounded.bind("a", 1_u32).map(drop), bounded.bind_unique("a", 1_u32)];
            [value, more, map, rest].into_iter().flatten().collect::<Vec<_>>()
        });
        for (i, refused) in refused.into_iter().enumerate() {
            let key = if i < 4 { "value" } else { "map" };
            let refused = refused.expect_err("it has no place");
            assert_eq!(refused.as_bind(), Some(&BindError::NoPlace { key }));
        }
        assert!(VALUE.at(&Lineage::process()).get().is_err() && MAP.keys().is_empty());
        let text = BindError::NoPlace { key: "value" }.to_string();
        names_ways(&text, "`Lineage::process()`");
    });
}

#[test]
fn it_takes_nothing_of_the_process_s_out() {
    static VALUE: Heirloom<u32> = Heirloom::new("value");
    bounded(|| {
        VALUE.at(&Lineage::process()).bind(1_u32).unwrap();
        assert_eq!(without_a_place(|| (VALUE.unbind(), VALUE.get().map(|value| *value).ok())), (None, Some(1)));
        VALUE.at(&Lineage::process()).unbind();
    });
}

#[test]
fn what_is_initialised_once_for_all_is_there_for_it_too() {
    static VALUE: Heirloom<u32> = Heirloom::new("value");
    static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map");
    bounded(|| {
        without_a_place(|| {
            assert_eq!(*VALUE.get_or_init(|| 7).unwrap(), 7);
            assert_eq!(*MAP.get_or_init(&"a", || 7).unwrap(), 7);
            MAP.publish("b", 8_u32).unwrap();
        });
        assert_eq!(*VALUE.at(&Lineage::process()).get().unwrap(), 7);
        assert_eq!(
            without_a_place(|| (MAP.get(&"a").is_ok(), MAP.get(&"b").is_ok(), MAP.keys().len())),
            (true, true, 2)
        );
    });
}

#[test]
fn a_key_with_a_value_for_each_place_has_none_for_it() {
    static OWN: Heirloom<u32> = Heirloom::new("own").isolated();
    static COUNT: Heirloom<u32> = Heirloom::new("count").fresh(|above| above + 1);
    bounded(|| {
        for key in [&OWN, &COUNT] {
            key.at(&Lineage::process()).bind(1_u32).unwrap();
            let (found, made, in_a_scope) = without_a_place(|| {
                let scope = Scope::new("scope");
                (key.get(), key.get_or_init(|| 2), scope.run(|| key.get_or_init(|| 2).map(|own| *own)))
            });
            let why = found.expect_err("it would share the process's");
            assert!(matches!(not_bound(&why).init_error(), Some(InitError::NoPlace { .. })), "{why}");
            assert!(why.to_string().contains("has no node of its own"), "{why}");
            assert!(matches!(made, Err(ref it) if matches!(it.as_init(), Some(InitError::NoPlace { .. }))));
            assert_eq!(in_a_scope.unwrap(), 2);
            assert_eq!(*key.at(&Lineage::process()).get().unwrap(), 1, "undisturbed");
            key.at(&Lineage::process()).unbind();
        }
        // No shared manager exists, so the error is the plain one.
        assert!(without_a_place(|| COUNT.get()).is_err_and(|why| not_bound(&why).init_error().is_none()));
    });
}

#[test]
fn each_way_to_a_place_that_the_error_names_works() {
    static VALUE: Heirloom<u32> = Heirloom::new("value");
    fn own() -> Result<u32, Error> {
        heirloom::create("own").start(PoolConfig::leased(1))?;
        VALUE.bind(7_u32)?;
        heirloom::get("own")?.submit(|| VALUE.get().map(|value| *value))?.join()?
    }
    bounded(|| {
        without_a_place(|| {
            assert!(own().is_err());
            assert_eq!(Scope::run("a scope", |_| own()).unwrap(), 7);
            let scope = Scope::new("entered");
            let entered = scope.enter();
            assert_eq!(own().unwrap(), 7);
            drop(entered);
            assert!(own().is_err());
            let scope = Scope::new("in_scope");
            assert_eq!(futures::executor::block_on(async { own() }.in_scope(scope)).unwrap(), 7);
            let scope = Scope::new("in_lineage");
            assert_eq!(futures::executor::block_on(async { own() }.in_lineage(&scope)).unwrap(), 7);
            let meant = Lineage::process().create("meant");
            meant.start(PoolConfig::leased(1)).unwrap();
            assert!(heirloom::get("meant").is_ok_and(|found| found.is_same(&meant)));
            VALUE.at(&Lineage::process()).bind(8_u32).unwrap();
            assert_eq!(*VALUE.get().unwrap(), 8);
            // Code that enters the process means the process's values.
            Lineage::process().run(|| VALUE.bind(9_u32)).unwrap();
            assert_eq!(*VALUE.get().unwrap(), 9);
        });
        VALUE.at(&Lineage::process()).unbind();
        drop(Lineage::process().remove("meant"));
    });
}

#[cfg(feature = "tokio")]
#[test]
fn a_runtimes_futures_and_jobs_own_nothing_by_accident() {
    static USER: Heirloom<String> = Heirloom::new("user");
    async fn job(user: Option<&str>) -> (bool, Option<String>) {
        let bound = user.is_some_and(|user| USER.bind(user.to_string()).is_ok());
        tokio::task::yield_now().await;
        (bound, USER.get().ok().map(|user| user.to_string()))
    }
    bounded(|| {
        let build = |workers| tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for runtime in [build(1), build(4), current] {
            runtime.block_on(async {
                for user in [Some("alice"), None] {
                    assert_eq!(tokio::spawn(job(user)).await.unwrap(), (false, None));
                }
                let scoped = tokio::spawn(job(None).in_scope(Scope::new("bob's connection")));
                assert_eq!(scoped.await.unwrap(), (false, None));
                let scoped = tokio::spawn(job(Some("carol")).in_scope(Scope::new("carol's connection")));
                assert_eq!(scoped.await.unwrap(), (true, Some("carol".to_string())));
                let bind = || USER.bind("dave".to_string()).is_ok();
                let bound = tokio::task::spawn_blocking(bind).await.unwrap();
                let found = tokio::task::spawn_blocking(|| USER.get().is_ok()).await.unwrap();
                assert_eq!((bound, found), (false, false));
            });
            // One pool for all of the runtime's threads and futures.
            let owners = runtime.block_on(async {
                let asks = || async {
                    let before = heirloom::get_or_create("a runtime's cache");
                    tokio::task::yield_now().await;
                    (before.owner(), before.is_same(&heirloom::get_or_create("a runtime's cache")))
                };
                let all: Vec<_> = (0..64).map(|_| tokio::spawn(asks())).collect();
                let mut owners = Vec::new();
                for one in all {
                    owners.push(one.await.unwrap());
                }
                owners
            });
            assert!(owners.iter().all(|owner| *owner == (Some(Lineage::process()), true)));
        }
        drop(Lineage::process().remove("a runtime's cache"));
    });
}
