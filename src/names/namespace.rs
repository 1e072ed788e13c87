//! [`Namespace`]: the name under which a manager is found.

use crate::names::label::{Key, Label, label_type};

/// The name under which a [`PoolManager`](crate::PoolManager) is found: a text, a number or a Rust type.
///
/// Texts compare by their characters, wherever they are stored; a text never equals a number or a type.
/// A `&'static str` and a number cost no allocation; a `String` becomes one shared allocation.
///
/// ```
/// use heirloom::Namespace;
/// struct Render;
///
/// assert_eq!(Namespace::from("io"), Namespace::from(String::from("io")));
/// assert_ne!(Namespace::from("7"), Namespace::from(7));
/// assert_eq!(Namespace::of::<Render>(), Namespace::of::<Render>());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Namespace(pub(crate) Label);

impl Namespace {
    /// For programs that need no more than one: `heirloom::get_or_create(Namespace::DEFAULT)`.
    pub const DEFAULT: Namespace = Namespace(Label::Static("default"));
}

label_type!(Namespace);

/// A name to look up, with its key. It is made before all else, so that the compiler knows the key of a literal.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) name: &'a Namespace,
    pub(crate) key: Option<Key>,
}

impl Namespace {
    #[inline]
    pub(crate) fn sought(&self) -> Sought<'_> {
        Sought { name: self, key: self.0.key() }
    }
}
