//! Addresses, prefixes and ranges as text; lists of ranges as sets.
//!
//! Every address is a 128-bit number, IPv4 as v4-mapped. What is written as IPv6 never has the v4-mapped
//! addresses, unless it is within `::ffff:0:0/96` and so means the IPv4 ones.

use std::net::IpAddr;

use packet_set::{V4_FIRST, V4_LAST, address_number, address_of};

/// Inclusive ranges. In the results of this file ascending and disjoint.
pub(crate) type AddressRanges = Vec<(u128, u128)>;

/// All IPv6 addresses: everything but the v4-mapped ones.
fn v6_only(range: (u128, u128)) -> AddressRanges {
    subtract(&[range], &[(V4_FIRST, V4_LAST)])
}

const fn is_v4(number: u128) -> bool {
    V4_FIRST <= number && number <= V4_LAST
}

/// An address: `10.0.0.5`, `2001:db8::1`.
pub(crate) fn parse_address(text: &str) -> Option<u128> {
    text.parse::<IpAddr>().ok().map(address_number)
}

/// An address, a prefix `10.0.0.0/8` or a range `10.0.0.5-10.0.0.9`.
///
/// # Errors
/// What is wrong, and what to write instead if that is clear.
pub(crate) fn parse(text: &str) -> Result<AddressRanges, (String, Option<String>)> {
    if let Some((address, length)) = text.split_once('/') {
        return parse_prefix(address, length);
    }
    let Some((first, last)) = text.split_once('-') else {
        let address = parse_address(text).ok_or_else(|| no_address(text))?;
        return Ok(vec![(address, address)]);
    };
    let (low, high) = (
        parse_address(first).ok_or_else(|| no_address(first))?,
        parse_address(last).ok_or_else(|| no_address(last))?,
    );
    let wrote_v4 = |text: &str| !text.contains(':');
    if (wrote_v4(first) && !is_v4(high)) || (wrote_v4(last) && !is_v4(low)) {
        return Err((format!("`{text}` begins in one address family and ends in the other"), None));
    }
    if low > high {
        return Err((format!("the range `{text}` is reversed"), Some(format!("write `{last}-{first}`"))));
    }
    Ok(if is_v4(low) && is_v4(high) { vec![(low, high)] } else { v6_only((low, high)) })
}

fn no_address(text: &str) -> (String, Option<String>) {
    let shown = crate::problem::quoted(text);
    (format!("{shown} is no address"), None)
}

fn parse_prefix(address: &str, length: &str) -> Result<AddressRanges, (String, Option<String>)> {
    let first = parse_address(address).ok_or_else(|| no_address(address))?;
    // What is written with colons has lengths to 128, v4-mapped or not.
    let (bits, shift) = if address.contains(':') { (128, 0) } else { (32, 96) };
    let plain = !length.is_empty()
        && length.bytes().all(|byte| byte.is_ascii_digit())
        && (length == "0" || !length.starts_with('0'));
    let length = length.parse::<u32>().ok().filter(|length| plain && *length <= bits).ok_or_else(|| {
        (format!("{} is no prefix length from 0 to {bits}", crate::problem::quoted(length)), None)
    })?;
    let host = u128::MAX.checked_shr(length + shift).unwrap_or(0);
    if first & host != 0 {
        if is_v4(first) && length <= 32 && shift == 0 {
            let hint = format!("for the IPv4 one write `{}/{length}`", address_of(first));
            return Err((format!("`{address}/{length}` has host bits set"), Some(hint)));
        }
        let network = address_of(first & !host);
        // A v4-mapped one has to be written as such, since its length counts from the first of 128 bits.
        let mark = if network.is_ipv4() && address.contains(':') { "::ffff:" } else { "" };
        let whole = format!("{mark}{network}/{length}");
        return Err((format!("`{address}/{length}` has host bits set"), Some(format!("write `{whole}`"))));
    }
    let range = (first, first | host);
    Ok(if is_v4(range.0) && is_v4(range.1) { vec![range] } else { v6_only(range) })
}

/// The union, ascending and disjoint.
pub(crate) fn normalise(mut ranges: AddressRanges) -> AddressRanges {
    ranges.sort_unstable();
    let mut joined: AddressRanges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if before.1 == u128::MAX || first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// `from` without `holes`.
pub(crate) fn subtract(from: &[(u128, u128)], holes: &[(u128, u128)]) -> AddressRanges {
    let holes = normalise(holes.to_vec());
    let mut rest = Vec::new();
    for (first, last) in normalise(from.to_vec()) {
        let mut next = Some(first);
        let at = holes.partition_point(|(_, end)| *end < first);
        for (hole, end) in holes[at..].iter().take_while(|(hole, _)| *hole <= last) {
            if let Some(start) = next.filter(|start| start < hole) {
                rest.push((start, hole - 1));
            }
            next = end.checked_add(1);
        }
        rest.extend(next.filter(|start| *start <= last).map(|start| (start, last)));
    }
    rest
}

/// What FORMATS excludes from the IPv4 internet.
const V4_NOT_INTERNET: [([u8; 4], u32); 12] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// The IPv6 internet, 2000::/3, and what FORMATS excludes from it.
const V6_INTERNET: (u128, u32) = (0x2000 << 112, 3);
const V6_NOT_INTERNET: [(u128, u32); 2] = [(0x2001 << 112, 23), (0x2002 << 112, 16)];

/// `internet`: everything outside the facility and the special ranges.
pub(crate) fn internet(facility: &[(u128, u128)]) -> AddressRanges {
    let prefix = |(first, length): (u128, u32)| (first, first | (u128::MAX >> length));
    let v4 = |(octets, length): ([u8; 4], u32)| prefix((address_number(IpAddr::from(octets)), length + 96));
    let mut holes: AddressRanges = facility.to_vec();
    holes.extend(V4_NOT_INTERNET.into_iter().map(v4));
    holes.extend(V6_NOT_INTERNET.into_iter().map(prefix));
    subtract(&[(V4_FIRST, V4_LAST), prefix(V6_INTERNET)], &holes)
}

/// Ranges as a boundary file has them: addresses, prefixes, ranges; IPv6 ranges pass over the v4-mapped
/// addresses as the reading does. Nothing if all addresses are in it: then the key is left out.
pub(crate) fn written(ranges: &[(u128, u128)]) -> Option<Vec<String>> {
    if ranges == [(0, u128::MAX)] {
        return None;
    }
    let v4 = (V4_FIRST, V4_LAST);
    let outside = v6_only((0, u128::MAX));
    let in_v4 = subtract(ranges, &outside).into_iter().map(write);
    let mut in_v6 = subtract(ranges, &[v4]);
    // Two neighbours of the hole are one range in IPv6's eyes.
    if let Some(at) = in_v6.windows(2).position(|pair| pair[0].1 == V4_FIRST - 1 && pair[1].0 == V4_LAST + 1)
    {
        in_v6[at].1 = in_v6[at + 1].1;
        in_v6.remove(at + 1);
    }
    Some(in_v4.chain(in_v6.into_iter().map(write)).collect())
}

fn write((first, last): (u128, u128)) -> String {
    let (low, high) = (address_of(first), address_of(last));
    if first == last {
        return low.to_string();
    }
    let host = first ^ last;
    if host & (host.wrapping_add(1)) == 0 && first & host == 0 {
        let length = host.leading_zeros();
        return format!("{low}/{}", if low.is_ipv4() { length - 96 } else { length });
    }
    format!("{low}-{high}")
}
