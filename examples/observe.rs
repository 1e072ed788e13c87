//! The family as JSON, and gauges, counters and histograms for Prometheus. `grafana.json` beside this file is a dashboard of them.
//!
//! ```text
//! cargo run --features serde,metrics --example observe
//! ```
//!
//! A server answers requests with these texts: `component_server` does at `/metrics`.

use std::error::Error;
use std::sync::mpsc;

use heirloom::metrics::Publisher;
use heirloom::{PoolConfig, Registry, Scope};
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let exporter = PrometheusBuilder::new().install_recorder()?;
    let publisher = Publisher::new(Registry::global());

    let request = Scope::new("request 7");
    let render = request.create("render");
    render.start(PoolConfig::leased(2).task_type("component").label("tenant", "acme"))?;
    render.submit_as("component", || "header")?.join()?;

    // A task that runs until both texts are made.
    let (go_on, told) = mpsc::channel::<()>();
    let (here, runs) = mpsc::channel();
    let slow = render.submit_as("component", move || {
        // An error means that the other side was dropped: then the task ends.
        let _ = here.send(());
        let _ = told.recv();
    })?;
    runs.recv()?;

    println!("{}\n", serde_json::to_string_pretty(&Registry::global().snapshot())?);

    publisher.publish();
    println!("{}", exporter.render());

    drop(go_on);
    slow.join()?;
    println!("{}", request.stop()?);
    Ok(())
}
