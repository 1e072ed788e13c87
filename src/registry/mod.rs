//! Managers, their look-up, scopes, and all that is alive in a family.
//!
//! * [`manager`]: the named owner of a pool; [`start`], [`submit`], [`call`], [`many`], [`borrow`] and [`stop`] have its verbs, [`of_type`]
//!   the handle with a task type, [`typed`] and [`stateful`] the handles that the compiler checks.
//! * [`slot`]: managers in a node's slots; [`find`] and [`get_or_start`] look them up, [`not_found`] and [`explain`] say
//!   why that or a submit failed.
//! * [`scope`]: the node for a request; [`in_scope`] the same for futures; [`node_end`] ends any node's tasks and pools.
//! * [`registry`]: the index of a family; [`snapshot`]: the family as data and as text; [`shutdown`]: its end.

pub(crate) mod borrow;
pub(crate) mod call;
mod ended_with;
pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod get_or_start;
pub(crate) mod in_scope;
pub(crate) mod manager;
pub(crate) mod many;
pub(crate) mod node_end;
pub(crate) mod not_found;
pub(crate) mod of_type;
mod pool_slot;
#[expect(clippy::module_inception, reason = "the type that the folder is named after")]
pub(crate) mod registry;
pub(crate) mod scope;
mod scope_deadline;
mod scope_share;
pub(crate) mod shutdown;
pub(crate) mod slot;
pub(crate) mod snapshot;
pub(crate) mod start;
pub(crate) mod stateful;
pub(crate) mod stop;
pub(crate) mod submit;
mod submit_many;
pub(crate) mod typed;
