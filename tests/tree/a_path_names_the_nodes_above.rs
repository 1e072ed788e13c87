//! `Lineage::path` is the way from the root down to a node, as data that keeps nothing alive.

use heirloom::{NodeKind, PoolConfig, Registry, Scope};

use crate::common::bounded;

#[test]
fn it_goes_from_the_root_down_to_the_node() {
    bounded(|| {
        let family = Registry::new();
        let request = Scope::new_in(&family.root(), "request 7");
        let pool = request.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (promise, task) = request.run(|| pool.promise::<()>()).expect("accepted");
        let part = Scope::new_in(&promise.lineage(), "part");
        let path = part.path();
        let kinds: Vec<_> = path.iter().map(|node| (node.kind, node.name.as_deref(), node.task)).collect();
        let expected = [
            (NodeKind::Process, None, None),
            (NodeKind::Scope, Some("request 7"), None),
            (NodeKind::Task, None, Some(task.id())),
            (NodeKind::Scope, Some("part"), None),
        ];
        assert_eq!(kinds, expected);
        let ids = [family.root().id(), request.id(), promise.lineage().id(), part.id()];
        assert_eq!(path.iter().map(|node| node.id).collect::<Vec<_>>(), ids);
        assert!(path.windows(2).all(|pair| pair[1].parent == Some(pair[0].id)));
        assert_eq!(path[0].parent, None);
        assert_eq!(family.root().path().len(), 1);
        promise.complete(());
    });
}

#[test]
fn a_long_one_has_the_root_and_the_nearest_nodes() {
    bounded(|| {
        let family = Registry::new();
        let mut scopes = vec![Scope::new_in(&family.root(), "0")];
        for depth in 1..200 {
            let next = Scope::new_in(&scopes[depth - 1], depth.to_string());
            scopes.push(next);
        }
        let path = scopes[199].path();
        assert_eq!((path.len(), path[0].id), (64, family.root().id()));
        assert_eq!(path[1].name.as_deref(), Some("137"));
        assert_ne!(path[1].parent, Some(path[0].id), "shows that nodes are left out");
        assert!(path[1..].windows(2).all(|pair| pair[1].parent == Some(pair[0].id)));
        assert_eq!(scopes[62].path().len(), 64);
        while scopes.pop().is_some() {}
    });
}
