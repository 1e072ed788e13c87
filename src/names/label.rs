//! The value behind [`Namespace`](crate::Namespace) and [`TaskType`](crate::TaskType): a text, a number or a Rust type.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::sync::os::Arc;

/// A text compares by its characters however it is stored, so `"a"` and `String::from("a")` are one label.
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

    /// Returns a number that equal labels share, and that few others do. It costs a few instructions.
    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        match (self, self.text().map(str::as_bytes)) {
            (Self::Number(n), _) => *n as u32,
            // A type's name says more, and costs a call.
            (_, None) => 0,
            (_, Some(text)) => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    let [first, last] = [*first, *last].map(u32::from_ne_bytes);
                    first ^ last.rotate_left(7) ^ text.len() as u32
                }
                _ => text.iter().fold(0, |tag, byte| tag << 8 | u32::from(*byte)),
            },
        }
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

    /// Nothing escaped, nothing cut.
    pub(crate) fn raw(&self) -> Cow<'_, str> {
        match self {
            Self::Static(s) => Cow::Borrowed(s),
            Self::Shared(s) => Cow::Borrowed(s),
            Self::Number(n) => Cow::Owned(format!("#{n}")),
            Self::Type(of) => Cow::Borrowed(of().1),
        }
    }
}

/// A label in two words, to be compared and kept without a count. Equal keys are keys of equal labels; the reverse does
/// not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) word: u64,
    /// The length of a text, or a number that no length is.
    kind: u64,
}

impl Key {
    pub(crate) const NONE: Self = Self { word: 0, kind: u64::MAX };
    const NUMBER: u64 = u64::MAX - 1;
    const TYPE: u64 = u64::MAX - 2;
}

impl Label {
    /// Returns the label's key. A shared text has none: its address may become that of another one.
    #[inline]
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            // The address and the length of a static text name its characters for ever.
            Self::Static(s) => Some(Key { word: s.as_ptr().addr() as u64, kind: s.len() as u64 }),
            Self::Number(n) => Some(Key { word: *n, kind: Key::NUMBER }),
            Self::Type(of) => Some(Key { word: *of as usize as u64, kind: Key::TYPE }),
            Self::Shared(_) => None,
        }
    }
}

impl Clone for Label {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Static(s) => Self::Static(s),
            Self::Shared(s) => Self::Shared(Arc::clone(s)),
            Self::Number(n) => Self::Number(*n),
            Self::Type(of) => Self::Type(*of),
        }
    }
}

impl PartialEq for Label {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // The same literal mostly has the same address; only otherwise are characters compared.
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
            Self::Static(s) => Printed(s).fmt(f),
            Self::Shared(s) => Printed(s).fmt(f),
            Self::Number(n) => write!(f, "#{n}"),
            Self::Type(of) => f.pad(of().1),
        }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(s) => fmt::Debug::fmt(&Printed(s), f),
            None => fmt::Display::fmt(self, f),
        }
    }
}

/// The most characters of a name that are printed.
const NAME: usize = 100;

/// How a name is printed, in every text of this crate: escaped as in a string literal, and cut after 100 characters.
///
/// A name may come from a client. Printed as it is, it could end the line or the quotes that it stands in, turn the
/// rest of the line around (U+202E), move a terminal's cursor, or fill a log.
#[derive(Clone, Copy)]
pub(crate) struct Printed<'a>(pub(crate) &'a str);

impl Printed<'_> {
    fn text(&self) -> Cow<'_, str> {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if self.0.len() <= NAME && self.0.bytes().all(is_plain) {
            return Cow::Borrowed(self.0);
        }
        Cow::Owned(escaped(self.0, NAME, &['\'']))
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The first characters of a text, and an ellipsis if there are more.
fn beginning(text: &str, most: usize) -> (&str, &'static str) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    }
}

/// A name for a format that escapes by itself, such as a metric's label: cut as in print.
#[cfg(any(feature = "metrics", feature = "inspector"))]
pub(crate) fn cut(name: &str) -> Cow<'_, str> {
    match beginning(name, NAME) {
        (_, "") => Cow::Borrowed(name),
        (shown, more) => Cow::Owned(format!("{shown}{more}")),
    }
}

#[cfg(any(feature = "metrics", feature = "inspector"))]
impl Label {
    /// A label to be kept for ever: a text is [`cut`], so that its memory is bounded.
    pub(crate) fn bounded(&self) -> Self {
        match self.text().map(cut) {
            Some(Cow::Owned(shown)) => Self::Shared(shown.into()),
            _ => self.clone(),
        }
    }
}

/// The most characters of a [`OneLine`] that are printed.
#[cfg(feature = "task-log")]
const LINE: usize = 1000;

/// A longer text without quotes: it prints on one line, and is cut after 1000 characters.
#[cfg(feature = "task-log")]
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

#[cfg(feature = "task-log")]
impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(self.0, LINE, &['\'', '"', '\\']))
    }
}

/// Returns the first characters of the text. Characters that print as themselves, or are `kept`, stay as they are.
/// Control and format characters, separators of lines and characters without a glyph are escaped.
fn escaped(text: &str, most: usize, kept: &[char]) -> String {
    let (shown, more) = beginning(text, most);
    let mut out = String::with_capacity(shown.len() + more.len());
    for piece in shown.split_inclusive(kept) {
        let escapes = piece.trim_end_matches(kept);
        out.extend(escapes.escape_debug());
        out.push_str(&piece[escapes.len()..]);
    }
    out.push_str(more);
    out
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
            /// The whole name as it was given, which may hold any character: a number as `#42`, a type as its path.
            ///
            /// Printing it (`{}`, `{:?}`) escapes characters that do not print as themselves, and cuts after 100
            /// characters. So a name that came from a client does no harm in a log or on a terminal.
            #[must_use]
            pub fn raw(&self) -> std::borrow::Cow<'_, str> {
                self.0.raw()
            }

            /// The identity of a Rust type. Only code that can name `T` can make it. It is stable within one build
            /// only.
            #[must_use]
            pub fn of<T: ?Sized + 'static>() -> Self {
                Self(crate::names::label::Label::of::<T>())
            }
        }

        impl From<&'static str> for $name {
            #[inline]
            fn from(text: &'static str) -> Self {
                Self(crate::names::label::Label::Static(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(crate::names::label::Label::Shared(text.into()))
            }
        }

        impl From<std::sync::Arc<str>> for $name {
            fn from(text: std::sync::Arc<str>) -> Self {
                Self(crate::names::label::Label::Shared(text))
            }
        }

        impl From<u64> for $name {
            #[inline]
            fn from(number: u64) -> Self {
                Self(crate::names::label::Label::Number(number))
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
