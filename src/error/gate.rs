//! [`EnterError`]: a gate of the tree was not entered.

use crate::error::busy::Busy;
use crate::error::value::NotBound;

sum! {
    /// Why [`Heirloom<Gate>::enter`](crate::Heirloom::enter) did not enter the gate.
    #[derive(Debug, Clone)]
    #[non_exhaustive]
    pub enum EnterError {
        /// Another holder has the gate.
        Busy(Busy),
        /// A gate was required, and none is bound here or above.
        Missing(NotBound),
    }
}
