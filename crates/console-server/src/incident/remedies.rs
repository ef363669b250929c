//! Remedies, done. Each can be done twice, and stops when a later one has begun on the same node.

use std::sync::Arc;

use console_api::EngineAction;
use incident::{Event, Outcome, Remedy, Task};
use node_protocol::call::EngineState;

use crate::api::{No, not_found};
use crate::engine::{act_on, to_the_end};
use crate::places::Place;
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
    console.must_have_fence(task.node, task.fence)?;
    match task.remedy {
        Remedy::Notify => Ok("people were told".to_owned()),
        Remedy::RestartEngine => engine(console, task, EngineAction::Restart).await,
        Remedy::ReloadImage => engine(console, task, EngineAction::Reload).await,
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
async fn engine(console: &Arc<Console>, task: &Task, action: EngineAction) -> Result<String, No> {
    let node = console.node(&task.node.to_string())?;
    let tier = console.acting(&node, None)?;
    let name = task.engine.as_ref().ok_or_else(|| not_found("the incident is no engine's"))?;
    let place = Place { node, tier };
    // What a person has stopped since stays stopped.
    let wanted = place.recorded(console).await.ok().and_then(|tier| tier.engines.get(name).cloned());
    if wanted.is_some_and(|wanted| !wanted.running) {
        return Ok("nothing is ordered: it is not to run".to_owned());
    }
    // What the node has started again meanwhile serves: to end it once more helps nobody.
    let now = console.live.engines(place.key()).into_iter().flatten().find(|engine| engine.name == *name);
    if now.is_some_and(|now| now.state == EngineState::Running && now.ready) {
        return Ok("nothing is ordered: it runs again".to_owned());
    }
    let step = || async {
        console.must_have_fence(task.node, task.fence)?;
        act_on(console, &place, name, action).await
    };
    let order = to_the_end(step).await?;
    let record = order.and_then(|order| order.accepted).map_or(0, |accepted| accepted.record);
    Ok(format!("ordered, record {record} of the node's journal"))
}
