//! Looks for secrets in whatever a node wrote, sent or held: files, logs, traffic, memory.
//!
//! A secret is found by any 16 bytes of it that stand together, as they are or in a text form: hexadecimal of
//! either case, base64 of either alphabet at any alignment (lines may be broken), or a list of numbers as
//! JSON and `Debug` write bytes. Text is decoded at every alignment, and what comes out is searched.

use std::collections::HashMap;

/// How many bytes in a row give a secret away.
pub const WINDOW_BYTES: usize = 16;

/// What is looked for.
pub struct Search {
    names: Vec<String>,
    windows: HashMap<[u8; WINDOW_BYTES], usize>,
    /// Which pairs of bytes some window begins with: most places need no closer look.
    begins: Vec<bool>,
}

/// A secret where it should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which, by its name.
    pub secret: String,
    /// How it was written.
    pub form: Form,
    /// Where it was seen first: of raw bytes the place, of a text form where the text begins.
    pub at: usize,
}

/// How a secret was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Raw,
    /// Two digits a byte.
    Hexadecimal,
    /// Either alphabet.
    Base64,
    /// `[12, 255, …]`
    Numbers,
}

impl Search {
    /// Looks for these secrets, each with a name to tell it by.
    ///
    /// # Panics
    /// If a secret is shorter than [`WINDOW_BYTES`], or begins anywhere with so few different bytes that
    /// it would be found by chance: the test that asks would be wrong.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut search = Self { names: Vec::new(), windows: HashMap::new(), begins: vec![false; 1 << 16] };
        for (name, secret) in secrets {
            assert!(secret.len() >= WINDOW_BYTES, "{name} is too short to be looked for");
            let index = search.names.len();
            search.names.push(name.to_owned());
            for window in secret.array_windows::<WINDOW_BYTES>() {
                assert!(different(window) > 4, "{name} is no secret that could be told from chance");
                search.windows.insert(*window, index);
                let [first, second, ..] = *window;
                search.begins[pair(first, second)] = true;
            }
        }
        search
    }

    /// The secrets that are in `bytes`, each once a form.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        self.look(bytes, Form::Raw, None, &mut found);
        for (at, digits) in runs(bytes, hexadecimal) {
            for skip in 0..2 {
                self.look(&bytes_of(&digits, skip, 4), Form::Hexadecimal, Some(at), &mut found);
            }
        }
        for (at, digits) in runs(bytes, base64) {
            for skip in 0..4 {
                self.look(&bytes_of(&digits, skip, 6), Form::Base64, Some(at), &mut found);
            }
        }
        for (at, list) in lists(bytes) {
            self.look(&list, Form::Numbers, Some(at), &mut found);
        }
        found
    }

    fn look(&self, bytes: &[u8], form: Form, at: Option<usize>, found: &mut Vec<Found>) {
        for (place, window) in bytes.array_windows::<WINDOW_BYTES>().enumerate() {
            let [first, second, ..] = *window;
            if !self.begins[pair(first, second)] {
                continue;
            }
            let Some(secret) = self.windows.get(window).map(|index| &self.names[*index]) else { continue };
            if !found.iter().any(|known| known.secret == *secret && known.form == form) {
                found.push(Found { secret: secret.clone(), form, at: at.unwrap_or(place) });
            }
        }
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

fn different(window: &[u8; WINDOW_BYTES]) -> usize {
    let mut sorted = *window;
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).count()
}

/// The runs of digits that are long enough to hold a window: where each begins, and the digits' values. Line
/// breaks within a run do not end it.
fn runs(bytes: &[u8], value: impl Fn(u8) -> Option<u8>) -> Vec<(usize, Vec<u8>)> {
    let mut runs = Vec::new();
    let (mut begin, mut digits) = (0, Vec::new());
    let mut end = |begin, digits: &mut Vec<u8>| {
        if digits.len() > WINDOW_BYTES {
            runs.push((begin, std::mem::take(digits)));
        }
        digits.clear();
    };
    for (at, byte) in bytes.iter().enumerate() {
        match value(*byte) {
            Some(digit) => {
                if digits.is_empty() {
                    begin = at;
                }
                digits.push(digit);
            }
            None if matches!(byte, b'\n' | b'\r') => {}
            None => end(begin, &mut digits),
        }
    }
    end(begin, &mut digits);
    runs
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn base64(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The bytes that digits of so many bits make, from one of them on.
fn bytes_of(digits: &[u8], skip: usize, bits: u32) -> Vec<u8> {
    let (mut collected, mut have) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(digits.len());
    for digit in digits.iter().skip(skip) {
        collected = (collected << bits | u32::from(*digit)) & 0xffff;
        have += bits;
        if have >= 8 {
            have -= 8;
            let [_, _, _, byte] = (collected >> have).to_be_bytes();
            bytes.push(byte);
        }
    }
    bytes
}

/// Lists of numbers below 256, `1, 2,3`, that are long enough: where each begins, and the numbers.
fn lists(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lists = Vec::new();
    let (mut begin, mut list) = (0, Vec::new());
    let (mut number, mut after_comma) = (None::<u16>, true);
    let mut end = |begin, list: &mut Vec<u8>| {
        if list.len() >= WINDOW_BYTES {
            lists.push((begin, std::mem::take(list)));
        }
        list.clear();
    };
    for (at, byte) in bytes.iter().chain([&0]).enumerate() {
        if let digit @ b'0'..=b'9' = byte {
            if number.is_none() && (list.is_empty() || !after_comma) {
                end(begin, &mut list);
                begin = at;
            }
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u16::from(digit - b'0')));
            continue;
        }
        if let Some(value) = number.take() {
            match u8::try_from(value) {
                Ok(value) => list.push(value),
                Err(_over) => end(begin, &mut list),
            }
            after_comma = false;
        }
        match byte {
            b',' => after_comma = true,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => end(begin, &mut list),
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

    use super::*;

    /// Bytes that look like a secret's (xorshift64).
    fn secret(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(&mut draw).take(length).collect()
    }

    fn forms(search: &Search, bytes: &[u8]) -> Vec<Form> {
        search.find(bytes).into_iter().map(|found| found.form).collect()
    }

    /// Every window, in every form, at every alignment, amid other text; and nothing where there is none.
    #[test]
    fn every_window_is_found_in_every_form_at_every_alignment() {
        let own = secret(7, 32);
        let search = Search::new([("own", own.as_slice()), ("other", &secret(8, 64))]);
        for window in own.windows(WINDOW_BYTES) {
            for before in 0..7 {
                for after in 0..4 {
                    let within = [&secret(9, before), window, &secret(10, after)].concat();
                    let check = |form, text: &[u8]| {
                        let amid = [b"{\"x\": \"".as_slice(), text, b"\"}"].concat();
                        assert_eq!(forms(&search, &amid), [form], "{}", String::from_utf8_lossy(&amid));
                    };
                    check(Form::Raw, &within);
                    for encoding in [HEXLOWER, HEXUPPER] {
                        check(Form::Hexadecimal, encoding.encode(&within).as_bytes());
                    }
                    for encoding in [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
                        check(Form::Base64, encoding.encode(&within).as_bytes());
                    }
                    check(Form::Numbers, format!("{within:?}").as_bytes());
                    check(Form::Numbers, format!("{within:?}").replace(' ', "").as_bytes());
                    check(Form::Numbers, format!("{within:#?}").as_bytes());
                }
            }
        }
    }

    #[test]
    fn broken_lines_and_digits_before_hide_nothing() {
        let own = secret(7, 48);
        let search = Search::new([("own", own.as_slice())]);
        let text = BASE64.encode(&own);
        let (first, second) = text.split_at(30);
        assert_eq!(forms(&search, format!("{first}\r\n{second}").as_bytes()), [Form::Base64]);
        assert_eq!(forms(&search, format!("abc{}", HEXLOWER.encode(&own)).as_bytes()), [Form::Hexadecimal]);
        assert_eq!(forms(&search, format!("key_{text}").as_bytes()), [Form::Base64]);
        assert_eq!(forms(&search, format!("300, 7, {own:?}").as_bytes()), [Form::Numbers]);
    }

    #[test]
    fn fifteen_bytes_are_not_enough_and_other_bytes_are_nothing() {
        let own = secret(7, 32);
        let search = Search::new([("own", own.as_slice())]);
        for part in own.windows(WINDOW_BYTES - 1) {
            let text = format!("{} {} {part:?}", HEXLOWER.encode(part), BASE64.encode(part));
            assert_eq!(search.find(&[text.as_bytes(), b" ", part, b"!"].concat()), []);
        }
        assert_eq!(search.find(&secret(9, 100_000)), []);
        let text = HEXLOWER.encode(&secret(9, 10_000)) + " " + &BASE64.encode(&secret(11, 10_000));
        assert_eq!(search.find(text.as_bytes()), []);
        assert_eq!(search.find(b""), []);
    }

    #[test]
    fn what_is_found_says_which_and_where() {
        let (one, two) = (secret(7, 32), secret(8, 32));
        let search = Search::new([("one", one.as_slice()), ("two", &two)]);
        let bytes = [b"xx ".as_slice(), HEXUPPER.encode(&two).as_bytes(), b" ", &one, &one].concat();
        let found = search.find(&bytes);
        let told = |name: &str, form, at| Found { secret: name.to_owned(), form, at };
        assert_eq!(found, [told("one", Form::Raw, 68), told("two", Form::Hexadecimal, 3)]);
    }

    #[test]
    #[should_panic(expected = "too short")]
    fn what_is_too_short_is_not_looked_for() {
        let _search = Search::new([("short", [1_u8; 15].as_slice())]);
    }

    #[test]
    #[should_panic(expected = "no secret")]
    fn zeros_are_no_secret() {
        let _search = Search::new([("zeros", [0_u8; 32].as_slice())]);
    }
}
