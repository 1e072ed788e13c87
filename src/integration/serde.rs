//! `Serialize` for snapshots and reports (feature `serde`); the shape is in the docs of [`Snapshot`].
//!
//! Written out instead of derived: the names are a promise, so a renamed field does not compile here.

use serde::{Serialize, Serializer};

use crate::lineage::node::NodeKind;
use crate::lineage::path::PathNode;
use crate::names::id::{NodeId, TaskId};
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::kind::{PoolKind, PoolMode};
use crate::pool::report::{PoolStats, RunningTask, ShareStats, StopReport};
use crate::registry::shutdown::{PoolReport, ShutdownReport};
use crate::registry::snapshot::{ManagerSnapshot, NodeSnapshot, Snapshot, Tree};
use crate::totals::quantiles::Quantiles;

/// A struct, field by field: `name`, or `name = value`.
macro_rules! as_struct {
    ($type:ty as $this:ident { $($field:ident $(= $value:expr)?),* $(,)? }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let $this = self;
                let mut out = serializer.serialize_struct(stringify!($type), [$(stringify!($field)),*].len())?;
                $(out.serialize_field(stringify!($field), as_struct!(@ $this $field $($value)?))?;)*
                out.end()
            }
        }
    };
    (@ $this:ident $field:ident) => { &$this.$field };
    (@ $this:ident $field:ident $value:expr) => { &$value };
}
#[cfg(feature = "inspector")]
pub(super) use as_struct;

/// A text, a number, or another type's shape.
macro_rules! as_value {
    ($($type:ident)* => |$this:ident, $serializer:ident| $value:expr) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                let $this = self;
                $value
            }
        }
    )*};
}

as_value!(NodeId TaskId => |this, out| out.serialize_u64(this.as_u64()));
// The name as it was given: the format escapes it.
as_value!(Namespace TaskType => |this, out| out.serialize_str(&this.raw()));
as_value!(PoolKind PoolMode => |this, out| out.collect_str(this));
as_value!(NodeKind => |this, out| out.serialize_str(this.as_str()));
as_value!(Tree => |this, out| this.snapshot().serialize(out));

as_struct!(Snapshot as this { nodes });
as_struct!(PathNode as this { id, parent, kind, name, task });
as_struct!(NodeSnapshot as this {
    id, parent, kind, name, task, pending, closed, cancelled,
    remaining_seconds = this.remaining.map(|left| left.as_secs_f64()), managers,
});
as_struct!(ManagerSnapshot as this {
    namespace, running, oldest_seconds = this.oldest.map(|oldest| oldest.as_secs_f64()), wait_seconds = this.queue_wait,
    run_seconds = this.run_time, stats,
});
as_struct!(Quantiles as this { p50 = this.p50.as_secs_f64(), p99 = this.p99.as_secs_f64() });
as_struct!(PoolStats as this {
    limit, running, waiting, queued, completed, interrupted, panicked, cancelled, refused, shares, task_type, mode, kind,
});
as_struct!(ShareStats as this { level, tenant, running, queued });
as_struct!(StopReport as this {
    completed, interrupted, panicked, cancelled, remaining, still_running, abandoned,
});
as_struct!(RunningTask as this { id, name, task_type, place, age_seconds = this.age.as_secs_f64() });
as_struct!(PoolReport as this { namespace, owner, owner_kind, owner_name, mode, report });
as_struct!(ShutdownReport as this { pools, spawned });
