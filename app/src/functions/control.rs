//! Controls a batch.

use leptos::prelude::*;
use quilt::BatchId;

use crate::command::Command;
use crate::model::{ActionError, Answer};

/// Runs a command on a batch of this visitor and redirects to the page that shows the result.
#[server(prefix = "/actions", endpoint = "control", output = Answer)]
pub async fn control(id: BatchId, command: Command) -> Result<(), ActionError> {
    let target = crate::actions::run(id, command).await?;
    leptos_axum::redirect(&target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use leptos::server_fn::ServerFn;

    use super::*;

    #[test]
    fn the_address_of_the_function_does_not_change() {
        assert_eq!(Control::PATH, "/actions/control");
    }
}
