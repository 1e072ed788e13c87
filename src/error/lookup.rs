//! [`ManagerNotFound`]: a look-up found no manager.

use std::fmt;

use crate::names::id::NodeId;
use crate::names::label::InCode;
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;

/// No node from the one asked up to the process has a manager of this name.
///
/// The text names the node asked and the nodes above it, and no other node: a request's error says nothing of other
/// requests. [`elsewhere`](Self::elsewhere) says where else the name exists, for code that may know. Making the error
/// costs the same however many managers there are, and it keeps nothing alive.
///
/// ```
/// use heirloom::Scope;
///
/// let (shop, blog) = (Scope::new("shop"), Scope::new("blog"));
/// let _render = shop.create("render");
/// let missing = blog.get("render").unwrap_err();
/// assert!(missing.to_string().contains("blog") && !missing.to_string().contains("shop"));
/// assert_eq!(missing.as_manager_not_found().unwrap().elsewhere(), [shop.to_string()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerNotFound {
    /// The name that was asked for.
    pub namespace: Namespace,
    /// The node asked, in words, with up to seven nodes above it, the nearest first.
    pub place: String,
    /// The id of the node asked.
    pub place_id: NodeId,
    pub(crate) elsewhere: Elsewhere,
    /// The asking code has a node of its own, where a manager can be created.
    pub(crate) owns: bool,
    /// The process that sent the job to which the asking code belongs.
    pub(crate) sent_from: Option<String>,
}

impl fmt::Display for ManagerNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, place, .. } = self;
        write!(
            f,
            "no manager named \"{namespace}\" at {place}, nor above; {} \
             (`as_manager_not_found()`, then `elsewhere()`, tells whether another node has one)",
            Advice(self)
        )?;
        self.sent_from
            .iter()
            .try_for_each(|origin| write!(f, "; this is a job of {origin}, and finds the managers of its worker alone"))
    }
}

impl std::error::Error for ManagerNotFound {}

/// Finds the nodes that have a manager of a name, in the family of the node asked. The registry provides it.
#[derive(Clone)]
pub(crate) struct Elsewhere(pub(crate) Arc<Owners>);

type Owners = dyn Fn(&Namespace) -> Vec<String> + Send + Sync;

/// Always equal: the id of the node asked, which is never reused, tells the families apart.
impl PartialEq for Elsewhere {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Elsewhere {}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elsewhere")
    }
}

struct Advice<'a>(&'a ManagerNotFound);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = InCode(&self.0.namespace.0, "Namespace");
        match self.0.owns {
            true => write!(f, "create one here with `create({name})`, or at a node above"),
            false => write!(
                f,
                "this code shares its thread with other code and has no node of its own: `get_or_create({name})` makes \
                 one for the whole process, and `in_scope`, `in_lineage` or `{}` give it the node of its request",
                if cfg!(feature = "tokio") { "heirloom::spawn" } else { "heirloom::wrap" }
            ),
        }
    }
}

impl ManagerNotFound {
    /// Returns the nodes, in words, where the name exists in this family now: at most eight, in no order.
    ///
    /// Each call looks at all managers of the family, about 0.1 µs for each, as
    /// [`Registry::managers`](crate::Registry::managers) does. It holds them meanwhile: when the last other handle of
    /// one is dropped during the call, that manager ends on the calling thread.
    #[must_use]
    pub fn elsewhere(&self) -> Vec<String> {
        (self.elsewhere.0)(&self.namespace)
    }
}
