//! Remedies, done. Each can be done twice, and stops when a later one has begun on the same node.

use std::sync::Arc;

use incident::{Event, Outcome, Remedy, Task};
use serde_json::json;

use crate::api::{No, not_found};
use crate::order::Wanted;
use crate::state::Console;

/// Does a remedy, and says what came of it.
pub(super) async fn attend(console: Arc<Console>, task: Task) {
    let outcome = match remedy(&console, &task).await {
        Ok(done) => Outcome::Done(done),
        Err(no) => Outcome::Failed(no.0.message),
    };
    console.incidents.say(Event::Outcome { node: task.node, fence: task.fence, outcome });
}

async fn remedy(console: &Arc<Console>, task: &Task) -> Result<String, No> {
    if console.fence(task.node)? != task.fence {
        return Err(No::new("fenced-off", console_api::Exit::Failed, "a later remedy has begun"));
    }
    match task.remedy {
        Remedy::Notify => Ok("people were told".to_owned()),
        Remedy::RestartEngine => engine(console, task, "restart").await,
        Remedy::ReloadImage => engine(console, task, "reload").await,
        Remedy::RebootNode => {
            let node = console.node(&task.node.to_string())?;
            Ok(console.power(&node)?.restart(&node).await?.to_owned())
        }
        Remedy::ActivateSpare => {
            let node = console.node(&task.node.to_string())?;
            crate::spare::activate(console, &node, task.fence).await
        }
    }
}

/// An ordinary order to the node, in the tenant's own tier.
async fn engine(console: &Console, task: &Task, action: &str) -> Result<String, No> {
    let node = console.node(&task.node.to_string())?;
    let tier = console.acting(&node, None)?;
    let name = task.engine.as_ref().ok_or_else(|| not_found("the incident is no engine's"))?;
    let args = json!({ "name": name, "action": action });
    let wanted = Wanted { node: &node, tier: &tier, verb: "engine", args, objects: Vec::new() };
    let order = wanted.submit(console).await?;
    let record = order.accepted.map_or(0, |accepted| accepted.record);
    Ok(format!("ordered, record {record} of the node's journal"))
}
