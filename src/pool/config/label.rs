//! [`PoolConfig::label`]: labels of a pool's metrics.

use std::borrow::Cow;

use crate::pool::config::PoolConfig;

impl PoolConfig {
    /// Gives the pool's metrics a label, beside its name and task type (feature `metrics`). Nothing else uses it.
    ///
    /// Pools with the same name, task type and labels are one series; another value is another series. Setting a key again
    /// replaces its value. A pool has at most 8 labels. Give all pools of one name the same keys.
    ///
    /// The values of a key may come from users, because their number is bounded. A family tells the first 100 values of each
    /// key apart. The others count as `(other)`, which is logged once for the key, at WARN. Of a long value the first
    /// 100 characters count.
    ///
    /// ```
    /// use heirloom::PoolConfig;
    /// # let scope = heirloom::Scope::new("doc");
    /// let tenant = String::from("acme");
    /// let render = scope.create("render");
    /// render.start(PoolConfig::leased(4).label("tenant", tenant).label("tier", "gold"))?;
    ///
    /// let refused = scope.create("io").start(PoolConfig::leased(4).label("no-label", "1")).unwrap_err();
    /// assert_eq!(refused.kind(), heirloom::ErrorKind::Invalid);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// A start refuses more than 8 keys, a key that is not of ASCII letters, digits and `_`, and the keys `namespace`,
    /// `task_type`, `le` and `quantile`.
    pub fn label(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.rare_mut().labels.get_or_insert_default().set(key, value.into());
        self
    }
}
