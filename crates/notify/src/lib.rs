//! Tells people of incidents: mail, signed webhooks, and a log of what was delivered.
#![forbid(unsafe_code)]
