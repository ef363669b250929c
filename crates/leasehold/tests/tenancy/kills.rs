//! `kill -9` of a console in the middle of orders: what it has said to be accepted is so afterwards, what it has not
//! is found in the node's journal, and nothing is obeyed twice or unknown to it.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use console_api::{NewOrder, Order, OrderState, Page};
use id::Digest;
use serde_json::json;

use crate::console::key;
use crate::orders::obeyed;
use crate::world::{LANDLORD, PATIENCE, World, another_key};

/// A console dies when it has answered so many orders, so many microseconds later: in the middle of the next one,
/// whatever the machine is at.
const ROUNDS: [(usize, u64); 7] =
    [(0, 0), (0, 2_500), (0, 9_000), (1, 0), (1, 4_000), (1, 13_000), (2, 30_000)];
const ORDERS_A_ROUND: usize = 4;

#[expect(clippy::print_stdout, reason = "what was in flight at each time is part of the evidence")]
pub(crate) fn in_the_middle_of_orders() {
    let mut world = World::new();
    world.enrol();
    let mut accepted: Vec<Order> = Vec::new();
    for (answers, after) in ROUNDS {
        let (said, lost) = orders_until_death(&mut world, answers, Duration::from_micros(after));
        assert!(said.len() >= answers, "{lost}");
        accepted.extend(said);
        world.runs_again(LANDLORD);
        let all = as_the_node_has_it(&mut world);
        for order in &accepted {
            assert!(all.contains(order), "{} was accepted and is lost: {all:?}", order.order);
        }
        println!(
            "killed {after} us after answer {answers}: {} accepted so far, {lost}; {} orders on record",
            accepted.len(),
            all.len()
        );
    }
    // It goes on with numbers that were never used.
    let highest = as_the_node_has_it(&mut world).iter().map(|order| order.seq).max();
    let done: Order = world.post(LANDLORD, "/v1/orders", &another_key());
    assert!(done.state == OrderState::Accepted && Some(done.seq) > highest, "{}", json!(done));
}

/// Gives one order after the other, and kills the console meanwhile. Gives those that it said to be accepted, and
/// how the one ended that it did not live to answer.
fn orders_until_death(world: &mut World, answers: usize, after: Duration) -> (Vec<Order>, String) {
    let orders: Vec<NewOrder> = (0..ORDERS_A_ROUND).map(|_| another_key()).collect();
    let (client, runtime) = (world.client(LANDLORD), world.runtime.handle().clone());
    let (answered, heard) = mpsc::channel();
    let giving = std::thread::spawn(move || {
        let mut accepted = Vec::new();
        for order in orders {
            match runtime.block_on(client.post::<Order>("/v1/orders", &order)) {
                Ok(order) => {
                    accepted.push(order);
                    // Nobody listens any more after the death.
                    answered.send(()).unwrap_or_default();
                }
                Err(lost) => return (accepted, lost.to_string()),
            }
        }
        (accepted, "nothing lost".to_owned())
    });
    (0..answers).for_each(|_| heard.recv_timeout(PATIENCE).unwrap());
    // Nothing is ready at that time: this is the clock alone.
    os::poll::wait(&[], Some(after)).unwrap();
    world.facility.consoles_mut()[LANDLORD].kill().unwrap();
    giving.join().unwrap()
}

/// All orders of the console, once it knows of each what the node's journal says: those that are there are accepted,
/// others have no answer. The journal has none of this console's beside them, and none twice.
fn as_the_node_has_it(world: &mut World) -> Vec<Order> {
    let controller = key(&world.console_folder(LANDLORD).join("controller.key"));
    let journal = world.facility.nodes()[0].caller().journal(PATIENCE).unwrap();
    let on_record: Vec<Digest> = obeyed(&journal, &[controller])
        .iter()
        .map(|order| Digest::of(order.envelope.to_json().as_bytes()))
        .collect();
    let as_recorded = |page: &Page<Order>| {
        let accepted = page.items.iter().filter(|order| order.state == OrderState::Accepted);
        accepted.map(|order| order.order).collect::<BTreeSet<_>>() == on_record.iter().copied().collect()
    };
    let all: Page<Order> = world.until(LANDLORD, "/v1/orders?limit=1000", as_recorded);
    assert_eq!(on_record.iter().collect::<BTreeSet<_>>().len(), on_record.len(), "obeyed twice");
    let numbers: BTreeSet<_> = all.items.iter().map(|order| order.seq).collect();
    assert!(numbers.len() == all.items.len() && all.next.is_none(), "{}", json!(all));
    all.items
}
