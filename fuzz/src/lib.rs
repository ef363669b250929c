//! A function for each parser that reads what others wrote. It takes any bytes, may refuse them, and
//! panics when something does not hold that must: what was read must read the same from its own
//! text, and nothing may crash.
#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "each function is a target, told by its file")]

// The console's settings name the crate of receivers, of which the parser alone is linked here.
extern crate self as notify;

mod api_bodies;
mod boundary;
mod console_files;
mod console_settings;
mod custody_files;
mod dhcp;
mod engines;
mod frames;
mod id_texts;
mod journal;
mod keys;
mod node_files;
mod orders;
mod status_lines;

pub use api_bodies::api_bodies;
pub use boundary::{boundary_file, directory, packet_lines};
pub use console_files::{identity, mirror, offer};
pub use console_settings::receiver::Receiver;
pub use console_settings::{ladders, power_answers, settings};
pub use custody_files::custody_forms;
pub use dhcp::{dhcp_frame, dhcp_message};
pub use engines::{image, notice, shim_lines, specification};
pub use frames::{node_frames, packets, signing_requests};
pub use id_texts::id_texts;
pub use journal::{journal_export, journal_folder, object};
pub use keys::{envelope, key_file, node_records, sealed_file, sealed_order, signed_directory};
pub use node_files::{config, custody_messages, enrolment, kept_addresses, leasing_messages, role_messages};
pub use orders::order;
pub use status_lines::status_lines;
