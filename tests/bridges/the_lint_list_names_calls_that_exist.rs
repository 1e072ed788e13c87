//! The list for clippy: each call that it names as the replacement is one of this crate's.

/// A name, with the proof that it names an item.
macro_rules! calls {
    ($($name:literal: $path:path),* $(,)?) => {{
        $(let _ = $path;)*
        [$($name),*]
    }};
}

#[test]
fn each_replacement_is_an_item_of_the_crate() {
    let calls = calls![
        "heirloom::thread::spawn": heirloom::thread::spawn::<fn(), ()>,
        "heirloom::thread::scope": heirloom::thread::scope::<for<'a> fn(heirloom::thread::Scope<'a, 'static>), ()>,
        "heirloom::spawn": heirloom::spawn::<std::future::Ready<()>>,
        "heirloom::spawn_blocking": heirloom::spawn_blocking::<fn(), ()>,
        "heirloom::JoinSet::new": heirloom::JoinSet::<()>::new,
        "heirloom::block_on": heirloom::block_on::<std::future::Ready<()>>,
    ];
    let list = include_str!("../../docs/clippy.toml");
    let replacements = list.split("replacement = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let unknown: Vec<_> = replacements.filter(|call| !calls.contains(call)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {calls:?}");
}
