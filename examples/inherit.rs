//! Threads, tasks and callbacks find the pools of the request they belong to. No pool is passed to anybody.
//!
//! ```text
//! cargo run --example inherit
//! ```

use std::error::Error;

use heirloom::{Lineage, PoolConfig, Registry, Scope};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Fallible {
    let _exit = heirloom::exit_guard();
    // `main` stands at the process, so everyone finds what is created here.
    heirloom::create("io").start(PoolConfig::leased(2))?;

    let first = open_request("request 1")?;
    let second = open_request("request 2")?;
    println!("The family:\n\n{}", Registry::global().tree());

    // The same function, run at two places, works with two pools.
    let pages = [first.run(render_page)?, second.run(render_page)?];
    assert_eq!(pages, ["<h1>request 1</h1> read for request 1", "<h1>request 2</h1> read for request 2"]);
    println!("{}\n{}\n", pages[0], pages[1]);

    for request in [first, second] {
        request.run(threads_and_callbacks)?;
        let report = request.stop()?; // everything asked for below it has ended
        assert!(report.is_complete());
        println!("{}: {report}", request.lineage());
    }
    Ok(())
}

/// A request owns a pool for its rendering; another request cannot find it.
fn open_request(name: &'static str) -> Fallible<Scope> {
    let request = Scope::new(name);
    request.create("render").start(PoolConfig::leased(4))?;
    Ok(request)
}

/// Knows neither the request nor the pools: it finds those of the place where it runs.
fn render_page() -> Fallible<String> {
    let title = heirloom::get("render")?.submit(|| format!("<h1>{}</h1>", request_name()))?;
    let body = heirloom::get("render")?.submit(|| {
        // A task of a task, in the process's pool. It still stands below the request that asked.
        let read = heirloom::get("io")?.submit(|| format!("read for {}", request_name()))?;
        Fallible::Ok(read.join()?)
    })?;
    Ok(format!("{} {}", title.join()?, body.join()??))
}

/// The nearest place with a name, seen from where the code stands.
fn request_name() -> String {
    heirloom::current().ancestors().find_map(|place| place.name().map(String::from)).unwrap_or_default()
}

/// What passes the place on, and what does not.
fn threads_and_callbacks() -> Fallible {
    let request: Lineage = heirloom::current();

    heirloom::thread::scope(|s| {
        // heirloom's threads are children of the place that starts them.
        s.spawn(|| assert_eq!(heirloom::current().parent().as_ref(), Some(&request)));
    });

    // A plain thread is nobody's child: it stands below the process. `wrap` gives it a place.
    let here = heirloom::wrap(|| assert!(heirloom::get("render").is_ok()));
    std::thread::scope(|s| {
        s.spawn(|| assert!(heirloom::get("render").is_err() && heirloom::get("io").is_ok()));
        s.spawn(here);
        s.spawn(|| request.run(|| assert!(heirloom::get("render").is_ok()))); // the same by hand
    });
    Ok(())
}
