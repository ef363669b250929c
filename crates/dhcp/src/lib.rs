//! DHCP (RFC 2131): codec, client machine, server machine. Sockets, clocks and randomness are arguments.
#![forbid(unsafe_code)]
