//! [`Settings`]: the bounds of a log.

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lines: usize,
    pub(super) tasks: usize,
    pub(super) ancestors: bool,
}
