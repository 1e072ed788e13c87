//! The operator's pages: the family live at `/tree`, gauges and counters of its pools at `/metrics`.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use heirloom::Registry;
use heirloom::inspector::Inspector;
use heirloom::metrics::Publisher;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

#[derive(Clone)]
pub(crate) struct Observe {
    inspector: Inspector,
    publisher: Publisher,
    exporter: PrometheusHandle,
}

impl Observe {
    /// Once in a process.
    pub(crate) fn start() -> Result<Observe, BuildError> {
        let exporter = PrometheusBuilder::new().install_recorder()?;
        let family = Registry::global();
        Ok(Observe { inspector: Inspector::new(family), publisher: Publisher::new(family), exporter })
    }

    pub(crate) fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let Observe { publisher, exporter, .. } = self.clone();
        let metrics = async move || {
            publisher.publish();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], exporter.render())
        };
        Router::new().route("/metrics", get(metrics)).nest_service("/tree", self.inspector.router())
    }

    /// Pages that listen would hold up the server's end.
    pub(crate) fn close(&self) {
        self.inspector.close();
    }
}
