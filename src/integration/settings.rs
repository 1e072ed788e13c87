//! `Deserialize` for [`PoolConfig`] (feature `serde`): pools from a file or the environment.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::names::task_type::TaskType;
use crate::pool::config::{PoolConfig, per_core};

/// Reads the settings by the names of their methods.
///
/// | key | value |
/// |---|---|
/// | `kind` | `leased` (when left out), `dedicated`, `local`, or with the feature `rayon` `work-stealing` |
/// | `limit` | the number of tasks at once, for every kind but `local` |
/// | `per_core` | in the place of `limit`: so many for each CPU, as [`PoolConfig::leased_per_core`] |
/// | `queue_limit`, `queue_limit_each`, `max_blocked` | a number of tasks |
/// | `priorities` | a number of levels |
/// | `daemon`, `detached`, `fair`, `log_panics`, `workers_only` | a truth |
/// | `holds_permit` | true for [`holds_permit`](PoolConfig::holds_permit), false for [`releases_permit`](PoolConfig::releases_permit) |
/// | `task_type`, `thread_name_prefix` | a text |
/// | `stack_size` | bytes |
/// | `warm`, `warm_concurrency` | a number of threads |
/// | `task_timeout`, `keep_alive`, `warm_timeout` | a duration: seconds as a number, or a text with a unit: `"250ms"`, `"1.5s"`, `"2m"`, `"1h"` |
///
/// An unknown key and an impossible setting are errors here, before any start. Numbers may be texts, as the environment
/// has them. Closures (`on_worker_start`, `worker_state`), gates and labels are set in code, on the value that was read.
///
/// ```
/// use heirloom::PoolConfig;
///
/// let render: PoolConfig = serde_json::from_str(r#"{ "per_core": 2, "queue_limit": 1000 }"#)?;
/// assert_eq!(render, PoolConfig::leased_per_core(2.0).queue_limit(1000));
///
/// let typo = serde_json::from_str::<PoolConfig>(r#"{ "limit": 4, "queue_limt": 1000 }"#).unwrap_err();
/// assert!(typo.to_string().contains("queue_limit")); // the error lists the known keys
/// let zero = serde_json::from_str::<PoolConfig>(r#"{ "limit": 0 }"#).unwrap_err();
/// assert!(zero.to_string().contains("use at least 1"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> Deserialize<'de> for PoolConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = Settings::deserialize(deserializer)?.into_config()?;
        match config.problem() {
            Some((setting, problem)) => Err(D::Error::custom(format_args!("the setting `{setting}` {problem}"))),
            None => Ok(config),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    kind: Kind,
    limit: Option<Lenient<usize>>,
    per_core: Option<Lenient<f64>>,
    queue_limit: Option<Lenient<usize>>,
    queue_limit_each: Option<Lenient<usize>>,
    max_blocked: Option<Lenient<usize>>,
    priorities: Option<Lenient<usize>>,
    #[serde(default)]
    fair: Lenient<bool>,
    #[serde(default)]
    daemon: Lenient<bool>,
    #[serde(default)]
    detached: Lenient<bool>,
    #[serde(default)]
    workers_only: Lenient<bool>,
    log_panics: Option<Lenient<bool>>,
    task_timeout: Option<Lenient<Duration>>,
    holds_permit: Option<Lenient<bool>>,
    task_type: Option<String>,
    thread_name_prefix: Option<String>,
    stack_size: Option<Lenient<usize>>,
    keep_alive: Option<Lenient<Duration>>,
    warm: Option<Lenient<usize>>,
    warm_concurrency: Option<Lenient<usize>>,
    warm_timeout: Option<Lenient<Duration>>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Leased,
    Dedicated,
    Local,
    #[cfg(feature = "rayon")]
    WorkStealing,
}

impl Settings {
    fn into_config<E: Error>(self) -> Result<PoolConfig, E> {
        let limit = match (self.kind, self.limit, self.per_core) {
            (Kind::Local, None, None) => 0,
            (Kind::Local, ..) => return Err(E::custom("a local pool runs one task at once; leave `limit` out")),
            (_, Some(limit), None) => limit.0,
            (_, None, Some(factor)) => per_core(factor.0),
            (_, None, None) => return Err(E::custom("a pool needs `limit`, or `per_core` in its place")),
            (_, Some(_), Some(_)) => {
                return Err(E::custom("`limit` and `per_core` exclude each other; leave one of them out"));
            }
        };
        let config = match self.kind {
            Kind::Leased => PoolConfig::leased(limit),
            Kind::Dedicated => PoolConfig::dedicated(limit),
            Kind::Local => PoolConfig::local(),
            #[cfg(feature = "rayon")]
            Kind::WorkStealing => PoolConfig::work_stealing(limit),
        };
        let config = if self.daemon.0 { config.daemon() } else { config };
        let config = if self.detached.0 { config.detached() } else { config };
        let config = if self.workers_only.0 { config.workers_only() } else { config };
        let config = if self.fair.0 { config.fair() } else { config };
        // A number past `u8` is as impossible as any above 8, and is refused as such.
        let levels = |n: Lenient<usize>| u8::try_from(n.0).unwrap_or(u8::MAX);
        let config = set(config, self.priorities, |config, n| config.priorities(levels(n)));
        let config = set(config, self.queue_limit, |config, n| config.queue_limit(n.0));
        let config = set(config, self.queue_limit_each, |config, n| config.queue_limit_each(n.0));
        let config = set(config, self.max_blocked, |config, n| config.max_blocked(n.0));
        let config = set(config, self.log_panics, |config, log| config.log_panics(log.0));
        let config = set(config, self.task_timeout, |config, time| config.task_timeout(time.0));
        let config = set(config, self.holds_permit, |config, holds| match holds.0 {
            true => config.holds_permit(),
            false => config.releases_permit(),
        });
        let config = set(config, self.task_type, |config, only| config.task_type(TaskType::from(only)));
        let config = set(config, self.thread_name_prefix, PoolConfig::thread_name_prefix);
        let config = set(config, self.stack_size, |config, bytes| config.stack_size(bytes.0));
        let config = set(config, self.keep_alive, |config, time| config.keep_alive(time.0));
        let config = set(config, self.warm, |config, n| config.warm(n.0));
        let config = set(config, self.warm_concurrency, |config, n| config.warm_concurrency(n.0));
        Ok(set(config, self.warm_timeout, |config, time| config.warm_timeout(time.0)))
    }
}

fn set<T>(config: PoolConfig, value: Option<T>, setting: impl FnOnce(PoolConfig, T) -> PoolConfig) -> PoolConfig {
    match value {
        Some(value) => setting(config, value),
        None => config,
    }
}

/// A value that may be a text, as all values of an environment are.
#[derive(Clone, Copy, Default)]
struct Lenient<T>(T);

/// The values of one key.
enum Value {
    Whole(u64),
    Float(f64),
    Truth(bool),
    Text(String),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl Visitor<'_> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative, a truth or a text")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Whole(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                u64::try_from(value).map(Value::Whole).map_err(|_| E::custom("a setting cannot be negative"))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Truth(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.trim().to_owned()))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

impl Value {
    fn of_type<T: Setting, E: Error>(self) -> Result<T, E> {
        let wrong = || E::custom(format_args!("{self} is not {}", T::EXPECTED));
        T::of(&self).ok_or_else(wrong)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Truth(value) => value.fmt(f),
            Self::Text(value) => fmt::Debug::fmt(value, f),
        }
    }
}

/// A type of settings, with its words for an error.
trait Setting: Sized {
    const EXPECTED: &'static str;

    fn of(value: &Value) -> Option<Self>;
}

impl Setting for usize {
    const EXPECTED: &'static str = "a whole number";

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Whole(value) => usize::try_from(*value).ok(),
            Value::Text(text) => text.parse().ok(),
            Value::Float(_) | Value::Truth(_) => None,
        }
    }
}

impl Setting for f64 {
    const EXPECTED: &'static str = "a number";

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Whole(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            Value::Truth(_) => None,
        }
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Truth(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            Value::Whole(_) | Value::Float(_) => None,
        }
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration, such as 5, \"250ms\", \"1.5s\", \"2m\" or \"1h\"";

    fn of(value: &Value) -> Option<Self> {
        /// The longer ends first: `ms` ends with `s`.
        const UNITS: [(&str, f64); 5] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let seconds = match value {
            Value::Text(text) => {
                let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
                let (number, factor) = unit.unwrap_or((text, &1.0));
                number.trim_end().parse::<f64>().ok()? * factor
            }
            number => f64::of(number)?,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl<'de, T: Setting> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.of_type().map(Self)
    }
}
