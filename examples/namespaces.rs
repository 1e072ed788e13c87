//! Names of managers, and the nodes that find them.
//!
//! ```text
//! cargo run --example namespaces
//! ```

use std::error::Error;

use heirloom::{Namespace, PoolConfig, Scope};

/// Names in a text may be guessed. A type that only this module can name cannot.
struct Thumbnails;

fn main() -> Result<(), Box<dyn Error>> {
    // A text, a number, a Rust type: each is a name, and none equals another.
    heirloom::create("render").start(PoolConfig::leased(8))?;
    heirloom::create(42).start(PoolConfig::leased(1))?;
    heirloom::create(Namespace::of::<Thumbnails>()).start(PoolConfig::leased(2))?;
    assert!(heirloom::get("42").is_err());

    let shop = Scope::new("shop");
    let blog = Scope::new("blog");

    // The nearest wins: below the shop its smaller pool of that name is found, elsewhere the big one.
    shop.create("render").start(PoolConfig::leased(2))?;
    let limit = |place: &Scope| place.with("render", |manager| manager.stats().limit);
    assert_eq!((limit(&shop)?, limit(&blog)?), (2, 8));
    println!("\"render\" from the shop: {} at once, from the blog: {}", limit(&shop)?, limit(&blog)?);

    // Having one name hides nothing else, at whatever depth.
    let basket = Scope::new_in(&shop, "basket");
    assert_eq!(basket.get(Namespace::of::<Thumbnails>())?.stats().limit, 2);

    // A sibling's is never found. The error names the node asked and, on request, other nodes that have the name.
    shop.create("payment").start(PoolConfig::leased(1))?;
    let missing = match blog.get("payment") {
        Ok(found) => return Err(format!("the blog found {found:?}").into()),
        Err(missing) => missing,
    };
    assert_eq!(missing.as_manager_not_found().map(|missing| missing.elsewhere()), Some(vec![shop.to_string()]));
    println!("{missing}");

    // `get_or_create` walks up first, and creates at the current node. `ensure_started` accepts a pool that runs already.
    for _ in 0..2 {
        let index = blog.get_or_create("index");
        index.ensure_started(PoolConfig::leased(3))?;
        assert_eq!(index.owner().as_ref(), Some(blog.lineage()));
    }

    // `create` always makes a new one. The old one goes on while a handle lives.
    let old = shop.get("payment")?;
    let new = shop.create("payment");
    new.start(PoolConfig::leased(5))?;
    assert!(shop.get("payment")?.is_same(&new) && !new.is_same(&old));
    assert_eq!(old.submit(|| "still paid")?.join()?, "still paid");

    println!("\n{}", heirloom::Registry::global().tree());
    Ok(())
}
