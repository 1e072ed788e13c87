//! The value behind [`Namespace`](crate::Namespace) and [`TaskType`](crate::TaskType): a text, a number or a Rust type.

use std::any::TypeId;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::sync::os::Arc;

/// A text compares by its characters however it is stored, so `"a"` and `String::from("a")` are one label.
#[derive(Clone)]
pub(crate) enum Label {
    Static(&'static str),
    Shared(Arc<str>),
    Number(u64),
    /// A function instead of the id and the name themselves, which would double the size of every label.
    Type(fn() -> (TypeId, &'static str)),
}

impl Label {
    pub(crate) fn of<T: ?Sized + 'static>() -> Self {
        Self::Type(|| (TypeId::of::<T>(), std::any::type_name::<T>()))
    }

    fn eq_by_value(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a().0 == b().0,
            _ => matches!((self.text(), other.text()), (Some(a), Some(b)) if a == b),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Static(s) => Some(s),
            Self::Shared(s) => Some(s),
            _ => None,
        }
    }
}

impl PartialEq for Label {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // The same literal mostly is the same place in memory; only otherwise are characters compared.
        if let (Self::Static(a), Self::Static(b)) = (self, other)
            && std::ptr::eq(*a, *b)
        {
            return true;
        }
        self.eq_by_value(other)
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Static(s) => s.hash(state),
            Self::Shared(s) => s.hash(state),
            Self::Number(n) => n.hash(state),
            Self::Type(of) => of().0.hash(state),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(s) => f.pad(s),
            Self::Shared(s) => f.pad(s),
            Self::Number(n) => write!(f, "#{n}"),
            Self::Type(of) => f.pad(of().1),
        }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(s) => fmt::Debug::fmt(s, f),
            None => fmt::Display::fmt(self, f),
        }
    }
}

/// A label as it is written in code: `"io"`, `42`, `Namespace::of::<my::Type>()`.
pub(crate) struct InCode<'a>(pub(crate) &'a Label, pub(crate) &'static str);

impl fmt::Display for InCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Label::Number(n) => write!(f, "{n}"),
            Label::Type(of) => write!(f, "{}::of::<{}>()", self.1, of().1),
            text => write!(f, "{text:?}"),
        }
    }
}

/// Gives a public newtype over [`Label`] its conversions and its text.
macro_rules! label_type {
    ($name:ident) => {
        impl $name {
            /// The identity of a Rust type. Nobody can forge it who cannot name `T`; it is stable within one build
            /// only.
            #[must_use]
            pub fn of<T: ?Sized + 'static>() -> Self {
                Self(crate::label::Label::of::<T>())
            }
        }

        impl From<&'static str> for $name {
            #[inline]
            fn from(text: &'static str) -> Self {
                Self(crate::label::Label::Static(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(crate::label::Label::Shared(text.into()))
            }
        }

        impl From<std::sync::Arc<str>> for $name {
            fn from(text: std::sync::Arc<str>) -> Self {
                Self(crate::label::Label::Shared(text))
            }
        }

        impl From<u64> for $name {
            #[inline]
            fn from(number: u64) -> Self {
                Self(crate::label::Label::Number(number))
            }
        }

        impl From<&$name> for $name {
            fn from(other: &$name) -> Self {
                other.clone()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
pub(crate) use label_type;
