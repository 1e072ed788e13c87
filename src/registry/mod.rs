//! The index of a family, and what is found in it.

pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod get_or_start;
pub(crate) mod manager;
pub(crate) mod not_found;
pub(crate) mod scope;
pub(crate) mod stateful;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod typed;
