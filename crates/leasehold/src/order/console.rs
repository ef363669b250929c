//! Orders that a console signs and sends.

use console_api::{NewOrder, Order, Page};
use data_encoding::BASE64;
use journal::OBJECT_BYTES_MAX;
use serde_json::{Value, json};

use super::Submitting;
use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};

/// Everything that the console signed.
pub(super) fn list(reach: &Reach) -> Result<Exit, Failure> {
    let orders: Page<Order> = reach.all("/v1/orders")?;
    match reach.output {
        Format::Json => line(&json!(orders).to_string()),
        Format::Text => {
            let row = |order: &Order| {
                [
                    order.at.to_string(),
                    order.verb.clone(),
                    word(order.state),
                    order.node.to_string(),
                    order.order.to_string(),
                ]
            };
            let rows: Vec<_> = orders.items.iter().map(row).collect();
            line(&table(["AT", "VERB", "STATE", "NODE", "ORDER"], &rows));
        }
    }
    Ok(Exit::Ok)
}

/// What became of one.
pub(super) fn show(order: &str, reach: &Reach) -> Result<Exit, Failure> {
    let path = format!("/v1/orders/{}", segment(order));
    let order: Order = reach.ask(async |client| client.get(&path).await)?;
    tell(&order, reach.output);
    Ok(Exit::Ok)
}

/// Signs and sends one.
pub(super) fn submit(submitting: &Submitting) -> Result<Exit, Failure> {
    let Submitting { node, verb, args, tier, objects, reach } = submitting;
    let args: Value = serde_json::from_str(args)
        .map_err(|error| Failure::new(Exit::Usage, format!("--args is no JSON: {error}")))?;
    let object = |path: &std::path::PathBuf| Ok(BASE64.encode(&file::read(path, OBJECT_BYTES_MAX)?));
    let objects = objects.iter().map(object).collect::<Result<_, Failure>>()?;
    let new = NewOrder { node: node.clone(), tier: *tier, verb: verb.clone(), args, objects };
    let order: Order = reach.ask(async |client| client.post("/v1/orders", &new).await)?;
    tell(&order, reach.output);
    Ok(Exit::Ok)
}

fn tell(order: &Order, output: Format) {
    if output == Format::Json {
        return line(&json!(order).to_string());
    }
    let mut lines = vec![
        format!("order {}", order.order),
        format!("signed  {}, number {}", order.at, order.seq),
        format!("node    {}, by tier {}", order.node, order.tier),
        format!("asks    {} {}", order.verb, order.args),
        format!("state   {}", word(order.state)),
    ];
    lines.extend(order.accepted.map(|accepted| format!("record  {} ({})", accepted.record, accepted.digest)));
    lines.extend(
        order.refused.as_ref().map(|refused| format!("refused {}: {}", refused.code, refused.message)),
    );
    line(&lines.join("\n"));
}
