//! A second checker, by subtraction of rectangles; it shares no code with `packet-set`.
//!
//! A lower set is contained if nothing is left of its allows once its own denies and the upper allows
//! are cut off, and nothing of them lies in an upper deny. Each cut of a six-dimensional box out of
//! another leaves at most twelve boxes. Slow beside the diagram, and wrong in other ways if at all.

use packet_set::{Direction, Form, Packet};

use crate::resolved::{ResolvedRule, ResolvedSet};

/// Inclusive bounds of form, direction, protocol, remote address, remote port, local port.
type Rectangle = [Bounds; 6];
/// Inclusive.
type Bounds = (u128, u128);

/// More boxes than allowed: nothing is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Protocols by what their port fields hold: both ports, type and code as local port, nothing.
const WITH_PORTS: [(u128, u128); 3] = [(6, 6), (17, 17), (132, 132)];
const WITH_TYPE: [(u128, u128); 2] = [(1, 1), (58, 58)];
const WITHOUT: [(u128, u128); 6] = [(0, 0), (2, 5), (7, 16), (18, 57), (59, 131), (133, 255)];

/// A packet that the lower set admits and one of the uppers refuses; nothing if there is none.
///
/// # Errors
/// More than `boxes_max` boxes came up.
pub fn excess(
    uppers: &[ResolvedSet],
    lower: &ResolvedSet,
    boxes_max: usize,
) -> Result<Option<Packet>, TooMany> {
    let denied = rectangles(&lower.deny);
    let mut left = boxes_max;
    for rectangle in rectangles(&lower.allow) {
        for piece in without(vec![rectangle], &denied, &mut left)? {
            for upper in uppers {
                if let Some(found) = piece_excess(&piece, upper, &mut left)? {
                    return Ok(Some(packet_in(&found)));
                }
            }
        }
    }
    Ok(None)
}

/// What of the piece the upper set refuses.
fn piece_excess(
    piece: &Rectangle,
    upper: &ResolvedSet,
    left: &mut usize,
) -> Result<Option<Rectangle>, TooMany> {
    let in_deny = rectangles(&upper.deny).into_iter().find_map(|deny| overlap(piece, &deny));
    if in_deny.is_some() {
        return Ok(in_deny);
    }
    Ok(without(vec![*piece], &rectangles(&upper.allow), left)?.pop())
}

/// Whether the set admits the packet.
#[must_use]
pub fn admits(set: &ResolvedSet, packet: &Packet) -> bool {
    let point = point(packet);
    let within = |rules: &[ResolvedRule]| {
        rectangles(rules).iter().any(|rectangle| overlap(rectangle, &point).is_some())
    };
    within(&set.allow) && !within(&set.deny)
}

/// All rectangles of rules, of well-formed packets only.
fn rectangles(rules: &[ResolvedRule]) -> Vec<Rectangle> {
    let mut all = Vec::new();
    for rule in rules {
        let form = (u128::from(rule.one_way), 1);
        let direction = match (rule.inbound, rule.outbound) {
            (true, true) => (0, 1),
            (true, false) => (0, 0),
            (false, true) => (1, 1),
            (false, false) => continue,
        };
        let wide = |ranges: &[(u16, u16)]| -> Vec<(u128, u128)> {
            ranges.iter().map(|(first, last)| (u128::from(*first), u128::from(*last))).collect()
        };
        let (remote_ports, local_ports) = (wide(&rule.remote_port), wide(&rule.local_port));
        let (no_remote, no_local) = (zero_of(&remote_ports), zero_of(&local_ports));
        let uses: [(&[Bounds], &[Bounds], &[Bounds]); 3] = [
            (&WITH_PORTS, &remote_ports, &local_ports),
            (&WITH_TYPE, &no_remote, &local_ports),
            (&WITHOUT, &no_remote, &no_local),
        ];
        for (protocols, remote_ports, local_ports) in uses {
            let wanted = rule.protocol.map_or((0, 255), |number| (number.into(), number.into()));
            for protocol in protocols.iter().filter_map(|protocol| common(*protocol, wanted)) {
                for remote in &rule.remote {
                    for remote_port in remote_ports {
                        for local_port in local_ports {
                            all.push([form, direction, protocol, *remote, *remote_port, *local_port]);
                        }
                    }
                }
            }
        }
    }
    all
}

/// 0 alone, if it is in one of the ranges.
fn zero_of(ranges: &[(u128, u128)]) -> Vec<(u128, u128)> {
    if ranges.iter().any(|(first, _)| *first == 0) { vec![(0, 0)] } else { Vec::new() }
}

fn common(a: (u128, u128), b: (u128, u128)) -> Option<(u128, u128)> {
    let both = (a.0.max(b.0), a.1.min(b.1));
    (both.0 <= both.1).then_some(both)
}

fn overlap(a: &Rectangle, b: &Rectangle) -> Option<Rectangle> {
    let mut both = *a;
    for (bounds, other) in both.iter_mut().zip(b) {
        *bounds = common(*bounds, *other)?;
    }
    Some(both)
}

/// The pieces without any of the holes.
fn without(
    mut pieces: Vec<Rectangle>,
    holes: &[Rectangle],
    left: &mut usize,
) -> Result<Vec<Rectangle>, TooMany> {
    for hole in holes {
        let mut kept = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            match overlap(piece, hole) {
                None => kept.push(*piece),
                Some(cut) => cut_out(*piece, &cut, &mut kept),
            }
        }
        *left = left.checked_sub(kept.len()).ok_or(TooMany)?;
        pieces = kept;
        if pieces.is_empty() {
            break;
        }
    }
    Ok(pieces)
}

/// Adds what is left of a piece: below and above the cut in the first dimension, then within the cut's
/// bounds there below and above it in the second, and so on.
fn cut_out(mut piece: Rectangle, cut: &Rectangle, kept: &mut Vec<Rectangle>) {
    for dimension in 0..6 {
        let (bounds, inner) = (piece[dimension], cut[dimension]);
        if bounds.0 < inner.0 {
            piece[dimension] = (bounds.0, inner.0 - 1);
            kept.push(piece);
        }
        if inner.1 < bounds.1 {
            piece[dimension] = (inner.1 + 1, bounds.1);
            kept.push(piece);
        }
        piece[dimension] = inner;
    }
}

fn point(packet: &Packet) -> Rectangle {
    let form = u128::from(packet.form == Form::OneWay);
    let direction = u128::from(packet.direction == Direction::Out);
    let numbers = [
        form,
        direction,
        packet.protocol.into(),
        packet.remote,
        packet.remote_port.into(),
        packet.local_port.into(),
    ];
    numbers.map(|number| (number, number))
}

/// The packet in a rectangle's first corner.
fn packet_in(rectangle: &Rectangle) -> Packet {
    let [form, direction, protocol, remote, remote_port, local_port] = rectangle.map(|(first, _)| first);
    let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
    Packet {
        form: if form == 0 { Form::Flow } else { Form::OneWay },
        direction: if direction == 0 { Direction::In } else { Direction::Out },
        protocol: u8::try_from(protocol).unwrap_or(u8::MAX),
        remote,
        remote_port: port(remote_port),
        local_port: port(local_port),
    }
}
