//! TLS by hand: a client's first message with an offer to resume a session, and what a server takes of it
//! (RFC 8446 §4.1, §4.2.9, §4.2.11).

const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const MODES: u16 = 45;
const PRE_SHARED_KEY: u16 = 41;
/// What precedes the session id in a hello: its record's header, its own, version and random.
const BEFORE_SESSION: usize = 5 + 4 + 2 + 32;

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn put(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
}

/// The same first message of a client, which now offers to resume a session.
pub(crate) fn offering(stream: &[u8]) -> Vec<u8> {
    let mut hello = stream[..5 + number(stream, 3)].to_vec();
    assert_eq!((hello[0], hello[5]), (HANDSHAKE, 1));
    let session = usize::from(hello[BEFORE_SESSION]);
    let ciphers = BEFORE_SESSION + 1 + session;
    let compressions = ciphers + 2 + number(&hello, ciphers);
    let extensions = compressions + 1 + usize::from(hello[compressions]);
    let known: Vec<u16> = kinds(&hello[extensions + 2..]);
    let mut extension = |kind: u16, content: &[u8]| {
        hello.extend(kind.to_be_bytes());
        hello.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        hello.extend(content);
    };
    if !known.contains(&MODES) {
        extension(MODES, &[1, 1]);
    }
    // One ticket of 32 bytes and its age, and one proof of 48 bytes, as long as the hash.
    let offer = [&[0, 38, 0, 32][..], &[7; 32], &[0; 4], &[0, 49, 48], &[9; 48]].concat();
    extension(PRE_SHARED_KEY, &offer);
    let length = hello.len();
    put(&mut hello, extensions, length - extensions - 2);
    put(&mut hello, 7, length - 9);
    put(&mut hello, 3, length - 5);
    hello
}

/// Whether a server's answer resumes a session. Anything but its first message does not.
pub(crate) fn resumes(answer: &[u8]) -> bool {
    if answer.len() < BEFORE_SESSION + 1 || (answer[0], answer[5]) != (HANDSHAKE, SERVER_HELLO) {
        return false;
    }
    let extensions = BEFORE_SESSION + 1 + usize::from(answer[BEFORE_SESSION]) + 3;
    kinds(&answer[extensions + 2..extensions + 2 + number(answer, extensions)]).contains(&PRE_SHARED_KEY)
}

fn kinds(mut extensions: &[u8]) -> Vec<u16> {
    let mut kinds = Vec::new();
    while extensions.len() >= 4 {
        kinds.push(u16::from_be_bytes([extensions[0], extensions[1]]));
        extensions = &extensions[4 + number(extensions, 2)..];
    }
    kinds
}
