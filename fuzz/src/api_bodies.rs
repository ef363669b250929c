//! What people and programs send to a console's API.

use console_api::{
    Acknowledge, BoundaryChange, BoundaryQuestion, Confirm, Consent, DenialsQuestion, EngineAct,
    EngineDeploy, EraseBelow, Grant, MatrixQuestion, NewDirectory, NewLadders, NewOrder, NewSpare, NewUser,
    NewVolume, NotifyTest, OpenWindow, Reassign, Renew, ReplayQuestion, Sever, Standby, Take, VolumeRemove,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every body that the API takes: what is read can be written, and is read again.
pub fn api_bodies(bytes: &[u8]) {
    leases(bytes);
    boundaries(bytes);
    engines(bytes);
    is_read_again::<NewOrder>(bytes);
    is_read_again::<OpenWindow>(bytes);
    is_read_again::<Confirm>(bytes);
    is_read_again::<NewUser>(bytes);
    is_read_again::<NewDirectory>(bytes);
}

fn leases(bytes: &[u8]) {
    is_read_again::<Grant>(bytes);
    is_read_again::<Take>(bytes);
    is_read_again::<Sever>(bytes);
    is_read_again::<Renew>(bytes);
    is_read_again::<Reassign>(bytes);
    is_read_again::<Consent>(bytes);
    is_read_again::<EraseBelow>(bytes);
    is_read_again::<NewSpare>(bytes);
    is_read_again::<Standby>(bytes);
}

fn boundaries(bytes: &[u8]) {
    is_read_again::<BoundaryChange>(bytes);
    is_read_again::<BoundaryQuestion>(bytes);
    is_read_again::<DenialsQuestion>(bytes);
    is_read_again::<MatrixQuestion>(bytes);
    is_read_again::<ReplayQuestion>(bytes);
}

fn engines(bytes: &[u8]) {
    is_read_again::<EngineDeploy>(bytes);
    is_read_again::<EngineAct>(bytes);
    is_read_again::<NewVolume>(bytes);
    is_read_again::<VolumeRemove>(bytes);
    is_read_again::<NewLadders>(bytes);
    is_read_again::<NotifyTest>(bytes);
    is_read_again::<Acknowledge>(bytes);
}

/// Not compared: a number in a packet or in an order's arguments may lose its last digit on the way.
fn is_read_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
    let text = serde_json::to_vec(&read).expect("what was read can be written");
    assert!(serde_json::from_slice::<T>(&text).is_ok());
}
