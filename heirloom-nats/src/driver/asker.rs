//! [`Asker`]: requests to the server by tasks beside the driver.

use std::sync::Arc;

use heirloom::remote::engine::{Bytes, Fault};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::driver::command::Command;
use crate::jet::{self, ServerError};
use crate::names::Names;

/// Sends requests to the server through the driver, which knows the answers of all.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) names: Arc<Names>,
    pub(crate) commands: UnboundedSender<Command>,
}

/// Why a request to the server has no value.
pub(crate) enum Trouble {
    Server(ServerError),
    Fault(Fault),
}

impl Asker {
    /// Sends a request to JetStream's API.
    pub(crate) async fn ask(&self, subject: &str, body: Bytes) -> Result<Value, Trouble> {
        let answer = self.raw(subject, body).await.map_err(Trouble::Fault)?;
        jet::read(&answer).map_err(Trouble::Server)
    }

    /// Sends a request, and returns the body of the answer.
    pub(crate) async fn raw(&self, subject: &str, body: Bytes) -> Result<Bytes, Fault> {
        let (answer, answered) = oneshot::channel();
        let ask = Command::Ask { subject: subject.into(), body, answer };
        self.commands.send(ask).map_err(|_| Fault::Away)?;
        answered.await.unwrap_or(Err(Fault::Away))
    }

    /// Returns the fault of a missing right to publish on this subject.
    pub(crate) async fn probe(&self, subject: &str, body: &'static str) -> Result<(), Fault> {
        match self.raw(subject, Bytes::from_static(body.as_bytes())).await {
            Err(fault @ (Fault::NotAllowed(_) | Fault::Away)) => Err(fault),
            _ => Ok(()),
        }
    }
}
