//! A TOML table that is taken apart key by key. What is wrong is noted and reading goes on; what is
//! left over at the end is unknown.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// One table of the file.
pub(super) struct Table<'a, 'p> {
    text: &'a str,
    start: usize,
    name: String,
    rest: DeTable<'a>,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'a, 'p> Table<'a, 'p> {
    pub(super) fn new(
        text: &'a str,
        table: Spanned<DeTable<'a>>,
        name: &str,
        problems: &'p mut Vec<Problem>,
    ) -> Self {
        let start = table.span().start;
        Self { text, start, name: name.to_owned(), rest: table.into_inner(), known: Vec::new(), problems }
    }

    /// Every key that nobody asked for is a problem.
    pub(super) fn finish(self) {
        for key in self.rest.keys() {
            let (start, key) = (key.span().start, key.get_ref());
            let message = format!("{}unknown key `{key}`; known are {}", self.name, self.known.join(", "));
            self.problems.push(Problem::at(self.text, start, message));
        }
    }

    /// A text that a type of `id` reads.
    pub(super) fn parsed<T: FromStr<Err = id::Malformed>>(&mut self, key: &'static str) -> Option<T> {
        let (start, value) = self.required(key)?;
        let text = self.string(key, start, &value)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(malformed) => self.wrong(start, format!("`{key}`: {malformed}")),
        }
    }

    /// A text of a known shape.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        is_right: fn(&str) -> bool,
        shape: &str,
    ) -> Option<String> {
        let Some((start, value)) = self.take(key) else {
            return default.map(str::to_owned).or_else(|| self.missing(key));
        };
        let text = self.string(key, start, &value)?;
        if is_right(&text) { Some(text) } else { self.wrong(start, format!("`{key}` is not {shape}")) }
    }

    /// The absolute path of a folder.
    pub(super) fn folder(&mut self, key: &'static str, default: Option<&str>) -> Option<PathBuf> {
        let shape = "an absolute path without `..` of at most 255 bytes";
        self.text(key, default, folder_is_right, shape).map(PathBuf::from)
    }

    /// The absolute path of a file, which may be left out.
    #[expect(clippy::option_option, reason = "what is wrong, and what is left out")]
    pub(super) fn file(&mut self, key: &'static str) -> Option<Option<PathBuf>> {
        if !self.rest.contains_key(key) {
            self.known.push(key);
            return Some(None);
        }
        self.folder(key, None).map(Some)
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let (start, value) = self.required(key)?;
        match integer(&value).filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None if range.start() == range.end() => {
                self.wrong(start, format!("`{key}` is not {}, the only one known", range.start()))
            }
            None => self.wrong(start, format!("`{key}` is not a number of {range:?}")),
        }
    }

    /// True or false; false when it is left out.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let Some((start, value)) = self.take(key) else { return Some(false) };
        value.as_bool().or_else(|| self.wrong(start, format!("`{key}` is not true or false")))
    }

    /// A list of numbers; one that is left out is empty.
    pub(super) fn integers(&mut self, key: &'static str, most: usize) -> Option<Vec<u32>> {
        self.list(key, 0..=most, "a number from 0 to 4294967295", integer)
    }

    /// A list of addresses; one that is left out is empty, if that is allowed.
    pub(super) fn addresses(
        &mut self,
        key: &'static str,
        number: RangeInclusive<usize>,
    ) -> Option<Vec<IpAddr>> {
        self.list(key, number, "an IPv4 or IPv6 address", |value| value.as_str()?.parse().ok())
    }

    /// A list of addresses with prefix lengths, `10.1.0.11/16`.
    pub(super) fn prefixed_addresses(
        &mut self,
        key: &'static str,
        number: RangeInclusive<usize>,
    ) -> Option<Vec<(IpAddr, u8)>> {
        self.list(key, number, "a host's address with its prefix length, as 10.1.0.11/16", prefixed_address)
    }

    /// The table `[key]`, which may be left out.
    pub(super) fn part<T: Default>(
        &mut self,
        key: &'static str,
        read: fn(&mut Table<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let Some(value) = self.rest.remove(key) else { return Some(T::default()) };
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            return self.wrong(span.start, format!("`{key}` is no [{key}]"));
        };
        let mut table = Table::new(self.text, Spanned::new(span, table), &format!("{key}: "), self.problems);
        let read = read(&mut table);
        table.finish();
        read
    }

    /// The tables `[[key]]`.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        most: usize,
        read: fn(&mut Table<'_, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some((start, value)) = self.take(key) else { return Some(Vec::new()) };
        let DeValue::Array(array) = value else {
            return self.wrong(start, format!("`{key}` is no [[{key}]]"));
        };
        if array.len() > most {
            return self.wrong(start, format!("more than {most} [[{key}]]"));
        }
        let mut all = Some(Vec::new());
        for (index, value) in array.into_iter().enumerate() {
            let span = value.span();
            let one = match value.into_inner() {
                DeValue::Table(table) => {
                    let name = format!("{key}[{index}]: ");
                    let table = Spanned::new(span, table);
                    let mut table = Table::new(self.text, table, &name, self.problems);
                    let one = read(&mut table);
                    table.finish();
                    one
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => self.wrong(span.start, format!("`{key}` is no [[{key}]]")),
            };
            all = all.zip(one).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        all
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        number: RangeInclusive<usize>,
        shape: &str,
        read: fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some((start, value)) = self.take(key) else {
            return if *number.start() == 0 { Some(Vec::new()) } else { self.missing(key) };
        };
        let Some(array) = value.as_array() else {
            return self.wrong(start, format!("`{key}` is not a list"));
        };
        if !number.contains(&array.len()) {
            return self.wrong(start, format!("`{key}` has {} entries, not {number:?}", array.len()));
        }
        let mut all = Some(Vec::new());
        for value in array {
            let one = read(value.get_ref());
            if one.is_none() {
                self.note(value.span().start, format!("`{key}`: an entry is not {shape}"));
            }
            all = all.zip(one).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        all
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, DeValue<'a>)> {
        self.known.push(key);
        let value = self.rest.remove(key)?;
        Some((value.span().start, value.into_inner()))
    }

    fn required(&mut self, key: &'static str) -> Option<(usize, DeValue<'a>)> {
        self.take(key).or_else(|| self.missing(key))
    }

    fn string(&mut self, key: &str, start: usize, value: &DeValue<'_>) -> Option<String> {
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong(start, format!("`{key}` is not a text")),
        }
    }

    fn missing<T>(&mut self, key: &str) -> Option<T> {
        let message = format!("{}`{key}` is missing", self.name);
        self.wrong(self.start, message)
    }

    fn wrong<T>(&mut self, start: usize, message: String) -> Option<T> {
        self.note(start, message);
        None
    }

    fn note(&mut self, start: usize, message: String) {
        self.problems.push(Problem::at(self.text, start, message));
    }
}

fn integer(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

fn prefixed_address(value: &DeValue<'_>) -> Option<(IpAddr, u8)> {
    let (address, prefix) = value.as_str()?.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|prefix| (1..=longest).contains(prefix))?;
    let usable = !address.is_unspecified() && !address.is_loopback() && !address.is_multicast();
    usable.then_some((address, prefix))
}

fn folder_is_right(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= 255
        && !text.contains('\0')
        && !text.split('/').any(|part| part == "..")
}
