//! Options as codes with bytes (RFC 2132 §2), wherever they stand.
//!
//! Options may go on in the fields `file` and `sname` when option 52 says so (RFC 2131 §4.1), and a long one
//! may come in parts, which are one after the other (RFC 3396). So an option that comes twice is one of twice
//! the length; where the length is fixed, that is wrong and refused.

use std::collections::BTreeMap;

use crate::malformed::Malformed;

/// The options that are used here (RFC 2132, the number in brackets is the section).
pub(crate) mod code {
    /// Subnet mask \[3.3\].
    pub(crate) const MASK: u8 = 1;
    /// Routers \[3.5\].
    pub(crate) const ROUTERS: u8 = 3;
    /// The address that is asked for \[9.1\].
    pub(crate) const REQUESTED: u8 = 50;
    /// How long a lease is \[9.2\].
    pub(crate) const LEASE: u8 = 51;
    /// Which other fields hold options \[9.3\].
    pub(crate) const OVERLOAD: u8 = 52;
    /// Message type \[9.6\].
    pub(crate) const KIND: u8 = 53;
    /// The server meant \[9.7\].
    pub(crate) const SERVER: u8 = 54;
    /// The options that a client would like \[9.8\].
    pub(crate) const PARAMETERS: u8 = 55;
    /// Words for a person \[9.9\].
    pub(crate) const TEXT: u8 = 56;
    /// The longest message that a client takes \[9.10\].
    pub(crate) const SIZE: u8 = 57;
    /// T1 \[9.11\].
    pub(crate) const RENEWAL: u8 = 58;
    /// T2 \[9.12\].
    pub(crate) const REBINDING: u8 = 59;
    /// Vendor class \[9.13\].
    pub(crate) const CLASS: u8 = 60;
    /// Client identifier \[9.14\].
    pub(crate) const CLIENT: u8 = 61;
}

const PAD: u8 = 0;
const END: u8 = 255;

/// What each code has, its parts joined.
pub(crate) type Options = BTreeMap<u8, Vec<u8>>;

/// Reads the field `options`, then `file` and `sname` as far as option 52 says that they hold options.
pub(crate) fn read(options: &[u8], file: &[u8], sname: &[u8]) -> Result<Options, Malformed> {
    let mut found = Options::new();
    join(options, &mut found)?;
    let fields: &[&[u8]] = match found.remove(&code::OVERLOAD).as_deref() {
        None => &[],
        Some([1]) => &[file],
        Some([2]) => &[sname],
        Some([3]) => &[file, sname],
        Some(_) => return Err(Malformed::Option(code::OVERLOAD)),
    };
    for field in fields {
        join(field, &mut found)?;
        // A field that was taken over cannot say what is taken over.
        if found.contains_key(&code::OVERLOAD) {
            return Err(Malformed::Overload);
        }
    }
    Ok(found)
}

/// Adds what one field has. What stands behind its end is not looked at.
fn join(field: &[u8], found: &mut Options) -> Result<(), Malformed> {
    let mut rest = field;
    loop {
        match rest {
            [PAD, after @ ..] => rest = after,
            [END, ..] => return Ok(()),
            [code, length, after @ ..] => {
                let (value, after) = after.split_at_checked(usize::from(*length)).ok_or(Malformed::Short)?;
                found.entry(*code).or_default().extend_from_slice(value);
                rest = after;
            }
            [_] | [] => return Err(Malformed::Endless),
        }
    }
}

/// Appends an option. Those written here have 1 to 255 bytes.
pub(crate) fn write(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    for part in value.chunks(255) {
        bytes.push(code);
        bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(part);
    }
}

/// Appends the end of the options.
pub(crate) fn end(bytes: &mut Vec<u8>) {
    bytes.push(END);
}
