//! Why bytes are not what they should be. None of it is worth more than a count: anybody can send it.

use thiserror::Error;

/// What is wrong with a frame or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It ends before it should.
    #[error("too short")]
    Short,
    /// It is longer than anything that is read.
    #[error("too long")]
    Long,
    /// Another protocol than the one that is read.
    #[error("another protocol")]
    Protocol,
    /// A fragment of a datagram; what DHCP says fits into one.
    #[error("a fragment")]
    Fragment,
    /// A checksum that does not fit.
    #[error("a wrong checksum")]
    Checksum,
    /// A length that its container does not have.
    #[error("a wrong length")]
    Length,
    /// Not Ethernet, or not the magic number of DHCP.
    #[error("not DHCP over Ethernet")]
    NotDhcp,
    /// No message type, an unknown one, or one that this direction does not have.
    #[error("no known message type")]
    Kind,
    /// An option of a wrong length or with a value that it cannot have.
    #[error("option {0} is wrong")]
    Option(u8),
    /// The options have no end.
    #[error("the options do not end")]
    Endless,
    /// Options in the fields for names, as option 52 says, that are not options.
    #[error("a wrong overload")]
    Overload,
}
