//! `PoolConfig` from the words of a file or of the environment.

use std::time::Duration;

use heirloom::PoolConfig;
use serde_json::{Value, json};

fn read(settings: Value) -> Result<PoolConfig, String> {
    serde_json::from_value(settings).map_err(|error| error.to_string())
}

#[test]
fn each_setting_is_that_of_its_method() {
    let all = json!({
        "kind": "dedicated", "limit": 4, "queue_limit": 100, "max_blocked": 9, "priorities": 3, "fair": true, "queue_limit_each": 7,
        "daemon": true, "detached": true,
        "log_panics": false, "holds_permit": true, "task_type": "page", "thread_name_prefix": "render",
        "stack_size": 65536, "keep_alive": 5, "task_timeout": "30s", "warm": 2, "warm_concurrency": 1, "warm_timeout": "250ms",
    });
    let expected = PoolConfig::dedicated(4)
        .queue_limit(100)
        .priorities(3)
        .fair()
        .queue_limit_each(7)
        .max_blocked(9)
        .daemon()
        .detached()
        .log_panics(false)
        .holds_permit()
        .task_type("page")
        .thread_name_prefix("render")
        .stack_size(65536)
        .keep_alive(Duration::from_secs(5))
        .task_timeout(Duration::from_secs(30))
        .warm(2)
        .warm_concurrency(1)
        .warm_timeout(Duration::from_millis(250));
    assert_eq!(read(all), Ok(expected));
}

#[test]
fn a_setting_that_is_left_out_has_its_default() {
    assert_eq!(read(json!({ "limit": 4 })), Ok(PoolConfig::leased(4)));
    assert_eq!(read(json!({ "kind": "local" })), Ok(PoolConfig::local()));
    assert_eq!(read(json!({ "per_core": 0.5 })), Ok(PoolConfig::leased_per_core(0.5)));
}

#[cfg(feature = "rayon")]
#[test]
fn a_work_stealing_pool_has_its_word() {
    assert_eq!(read(json!({ "kind": "work-stealing", "limit": 2 })), Ok(PoolConfig::work_stealing(2)));
}

#[test]
fn values_may_be_texts_as_the_environment_has_them() {
    let texts = json!({
        "kind": "dedicated", "limit": " 4 ", "daemon": "true", "holds_permit": "false", "keep_alive": "1.5s", "warm_timeout": "2",
    });
    let expected = PoolConfig::dedicated(4)
        .daemon()
        .releases_permit()
        .keep_alive(Duration::from_millis(1500))
        .warm_timeout(Duration::from_secs(2));
    assert_eq!(read(texts), Ok(expected));
    assert_eq!(read(json!({ "per_core": "2" })), Ok(PoolConfig::leased_per_core(2.0)));
}

#[test]
fn a_duration_has_a_unit_or_is_in_seconds() {
    let kept = |time: Value| read(json!({ "kind": "dedicated", "limit": 1, "keep_alive": time }));
    let seconds = |time: f64| Ok(PoolConfig::dedicated(1).keep_alive(Duration::from_secs_f64(time)));
    for (text, time) in [("250us", 0.000_25), ("250ms", 0.25), ("2 s", 2.0), ("2m", 120.0), ("1h", 3600.0), ("7", 7.0)]
    {
        assert_eq!(kept(json!(text)), seconds(time), "{text}");
    }
    assert_eq!(kept(json!(0.5)), seconds(0.5));
}

#[test]
fn a_fault_is_an_error_that_names_the_remedy() {
    let faults = [
        (json!({}), "a pool needs `limit`, or `per_core`"),
        (json!({ "limit": 1, "per_core": 1 }), "exclude each other"),
        (json!({ "kind": "local", "limit": 1 }), "leave `limit` out"),
        (json!({ "kind": "elastic", "limit": 1 }), "`leased`"),
        (json!({ "limit": 0 }), "use at least 1"),
        (json!({ "per_core": -1.0 }), "use at least 1"),
        (json!({ "limit": -4 }), "cannot be negative"),
        (json!({ "limit": 1.5 }), "1.5 is not a whole number"),
        (json!({ "limit": "many" }), "\"many\" is not a whole number"),
        (json!({ "limit": 1, "daemon": "yes" }), "\"yes\" is not `true` or `false`"),
        (json!({ "limit": 1, "queue_limt": 7 }), "queue_limit"),
        (json!({ "limit": 1, "priorities": 700 }), "at most 8"),
        (json!({ "limit": 1, "stack_size": 65536 }), "use `PoolConfig::dedicated`"),
        (json!({ "kind": "dedicated", "limit": 1, "keep_alive": "soon" }), "such as 5, \"250ms\""),
        (json!({ "kind": "dedicated", "limit": 1, "keep_alive": -1.0 }), "-1 is not a duration"),
    ];
    for (settings, remedy) in faults {
        let error = read(settings.clone()).expect_err(&settings.to_string());
        assert!(error.contains(remedy), "{settings}: {error}");
    }
}
