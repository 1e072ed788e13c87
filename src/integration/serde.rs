//! What serialises with the feature `serde`; the shape is in the docs of [`Snapshot`].
//!
//! Written out instead of derived: the names and words are a promise, so they do not change when a field does.

use serde::{Serialize, Serializer};

use crate::lineage::node::NodeKind;
use crate::names::id::{NodeId, TaskId};
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::{PoolKind, PoolMode};
use crate::pool::core::stats::PoolStats;
use crate::pool::end::{RunningTask, StopReport};
use crate::registry::table::{PoolReport, ShutdownReport};
use crate::registry::tree::{ManagerSnapshot, NodeSnapshot, Snapshot, Tree};

/// A struct, field by field.
macro_rules! as_struct {
    ($type:ty as $this:ident { $($field:literal: $value:expr,)* }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let $this = self;
                let mut out = serializer.serialize_struct(stringify!($type), [$($field),*].len())?;
                $(out.serialize_field($field, &$value)?;)*
                out.end()
            }
        }
    };
}
#[cfg(feature = "inspector")]
pub(super) use as_struct;

/// The text it prints as.
macro_rules! as_text {
    ($($type:ident)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

macro_rules! as_number {
    ($($type:ident)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.as_u64())
            }
        }
    )*};
}

/// The name as it was given: the format escapes what it has to.
macro_rules! as_name {
    ($($type:ident)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.raw())
            }
        }
    )*};
}

as_number!(NodeId TaskId);
as_name!(Namespace TaskType);
as_text!(PoolKind PoolMode);

impl Serialize for NodeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

as_struct!(Snapshot as this {
    "nodes": this.nodes,
});

as_struct!(NodeSnapshot as this {
    "id": this.id,
    "parent": this.parent,
    "kind": this.kind,
    "name": this.name,
    "task": this.task,
    "pending": this.pending,
    "closed": this.closed,
    "cancelled": this.cancelled,
    "managers": this.managers,
});

as_struct!(ManagerSnapshot as this {
    "namespace": this.namespace,
    "running": this.running,
    "oldest_seconds": this.oldest.map(|oldest| oldest.as_secs_f64()),
    "stats": this.stats,
});

as_struct!(PoolStats as this {
    "limit": this.limit,
    "running": this.running,
    "waiting": this.waiting,
    "queued": this.queued,
    "completed": this.completed,
    "interrupted": this.interrupted,
    "panicked": this.panicked,
    "cancelled": this.cancelled,
    "refused": this.refused,
    "task_type": this.task_type,
    "mode": this.mode,
    "kind": this.kind,
});

as_struct!(StopReport as this {
    "completed": this.completed,
    "interrupted": this.interrupted,
    "panicked": this.panicked,
    "cancelled": this.cancelled,
    "remaining": this.remaining,
    "still_running": this.still_running,
    "abandoned": this.abandoned,
});

as_struct!(RunningTask as this {
    "id": this.id,
    "task_type": this.task_type,
    "place": this.place,
    "age_seconds": this.age.as_secs_f64(),
});

as_struct!(PoolReport as this {
    "namespace": this.namespace,
    "owner": this.owner,
    "owner_kind": this.owner_kind,
    "owner_name": this.owner_name,
    "mode": this.mode,
    "report": this.report,
});

as_struct!(ShutdownReport as this {
    "pools": this.pools,
    "spawned": this.spawned,
});

/// As its snapshot.
impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.snapshot().serialize(serializer)
    }
}
