//! The items that most programs use, for `use heirloom::prelude::*`.
//!
//! It has the verbs that act at the current node, and the types that programs name beside them. It has no module, so the
//! crates `tower` and `metrics` keep their names. `use heirloom::*` would put this crate's bridges in their place.
//!
//! ```
//! use heirloom::prelude::*;
//!
//! let request = Scope::new("request 7");
//! request.create("render").start(PoolConfig::leased(2))?;
//! let page: TaskHandle<&str> = request.run(|| get("render").map(|render| render.submit(|| "<p>hello</p>")))??;
//! assert_eq!(page.join()?, "<p>hello</p>");
//! # Ok::<(), heirloom::Error>(())
//! ```

pub use crate::cancel::{cancelled, checkpoint, is_cancelled, on_cancel, sleep};
pub use crate::error::ErrorKind;
pub use crate::gate::Gate;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use crate::integration::tokio::{Portal, portal};
pub use crate::lineage::handle::{Lineage, current, wrap, wrap_fn};
pub use crate::names::namespace::Namespace;
pub use crate::names::task_type::{TaskKind, TaskType};
pub use crate::pool::blocking::release::blocking;
pub use crate::pool::config::PoolConfig;
pub use crate::pool::config::gate::GateMode;
pub use crate::pool::handle::set::TaskSet;
pub use crate::pool::handle::task::TaskHandle;
pub use crate::registry::call::call;
pub use crate::registry::find::{create, get, get_or_create, with};
pub use crate::registry::get_or_start::get_or_start;
pub use crate::registry::in_scope::FutureExt;
pub use crate::registry::manager::PoolManager;
pub use crate::registry::scope::Scope;
pub use crate::registry::stateful::StatefulManager;
pub use crate::registry::typed::TypedManager;
pub use crate::value::heirloom::Heirloom;
pub use crate::value::map::HeirloomMap;
