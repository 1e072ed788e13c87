//! With the feature `metrics`: each metric and label in `examples/grafana.json`, and in the guide's rules for alerts, is
//! published under that name.

use std::collections::{BTreeMap, BTreeSet};

use heirloom::metrics::Publisher;
use heirloom::{PoolConfig, Registry};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;

use crate::common::bounded;

const DASHBOARD: &str = include_str!("../../examples/grafana.json");
const GUIDE: &str = include_str!("../../docs/guide/seeing.md");

/// Returns the names of the published metrics, each with its labels.
fn published() -> BTreeMap<String, BTreeSet<String>> {
    let family = Registry::new();
    let publisher = Publisher::new(&family);
    let work = family.root().create("work");
    work.start(PoolConfig::leased(1)).expect("starts");
    assert!(work.run(|| ()).is_ok());
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || publisher.publish());
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in recorder.handle().render().lines().filter(|line| line.starts_with("heirloom_")) {
        let (series, _) = line.rsplit_once(' ').expect("a value follows");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let keys = labels.split(',').filter_map(|label| label.split_once("=\"")).map(|(key, _)| key.to_owned());
        all.entry(name.to_owned()).or_default().extend(keys);
    }
    all
}

/// Returns the words of an expression: names of metrics, labels and functions.
fn words(expression: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect()
}

/// Returns the labels that an expression selects or sums by.
fn labels(expression: &str) -> Vec<&str> {
    let between = |open, close| {
        let parts = expression.split(open).skip(1);
        parts.filter_map(move |rest| rest.split_once(close)).map(|(inner, _)| inner).collect::<Vec<_>>()
    };
    let by = between("by (", ")").into_iter().chain(between("on (", ")")).flat_map(words);
    let selected = between("{", "}").into_iter().flat_map(|inner| inner.split("=~").next());
    by.chain(selected).collect()
}

fn is_published(expression: &str, published: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let names: Vec<&str> = words(expression).into_iter().filter(|word| word.starts_with("heirloom_")).collect();
    assert!(!names.is_empty(), "{expression} shows nothing of heirloom's");
    for name in &names {
        let found = published.get(*name).unwrap_or_else(|| panic!("{name}, in {expression}, is not published"));
        for label in labels(expression) {
            let is_its = found.contains(label) || names.iter().any(|other| published[*other].contains(label));
            assert!(is_its, "no metric in {expression} has the label {label}");
        }
    }
    names.into_iter().map(String::from).collect()
}

#[test]
fn each_metric_of_the_dashboard_is_published() {
    bounded(|| {
        let published = published();
        let dashboard: Value = serde_json::from_str(DASHBOARD).expect("it is JSON");
        let panels = dashboard["panels"].as_array().expect("it has panels");
        let mut shown = BTreeSet::new();
        for target in panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel shows something")) {
            let expression = target["expr"].as_str().expect("it has an expression");
            shown.extend(is_published(expression, &published));
            let legend = target["legendFormat"].as_str().expect("it has a legend");
            for label in legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
                assert!(labels(expression).contains(&label.0), "{legend} of {expression}");
            }
        }
        let query = "label_values(heirloom_pools, namespace)";
        assert_eq!(dashboard["templating"]["list"][1]["query"], query);
        assert!(published["heirloom_pools"].contains("namespace"));
        let left_out: Vec<_> = published.keys().filter(|name| !shown.contains(*name)).collect();
        let counts = ["heirloom_pools", "heirloom_queue_wait_seconds_count", "heirloom_run_time_seconds_count"];
        assert_eq!(left_out, counts, "all else is on the dashboard");
    });
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("it is JSON");
    assert!(dashboard["id"].is_null(), "Grafana gives it a number");
    assert!(dashboard["schemaVersion"].is_u64() && dashboard["uid"] == "heirloom");
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource", "the user chooses where the metrics are");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let ids: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    let places: BTreeSet<_> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
    assert_eq!(places.len(), panels.len());
    for panel in panels {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}

#[test]
fn each_metric_of_the_guides_alerts_is_published() {
    bounded(|| {
        let published = published();
        let rules: Vec<&str> = GUIDE.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
        assert!(rules.len() >= 4, "{rules:?}");
        for rule in rules {
            is_published(rule, &published);
        }
    });
}
