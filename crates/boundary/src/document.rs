//! TOML with the line of every key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::problem::{Problem, Problems, quoted};

/// A larger file is refused unread: ten thousand rules need about a third of it.
pub const FILE_BYTES_MAX: usize = 8 << 20;

/// A file's text and where its lines begin.
pub(crate) struct Document<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Document<'t> {
    /// Refuses what is too long or no UTF-8.
    pub(crate) fn new(bytes: &'t [u8]) -> Result<Self, Problems> {
        if bytes.len() > FILE_BYTES_MAX {
            let error = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", bytes.len());
            return Err(Problems::one(
                Problem::new(1, error).hint("a rule takes lists of addresses and ports"),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|bad| {
            let line = bytes[..bad.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            Problems::one(Problem::new(line, "this is no UTF-8 text").hint("save the file as UTF-8"))
        })?;
        let after_breaks =
            text.bytes().enumerate().filter_map(|(at, byte)| (byte == b'\n').then_some(at + 1));
        Ok(Self { text, line_starts: std::iter::once(0).chain(after_breaks).collect() })
    }

    /// The line, from 1, of what begins there.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start).max(1)
    }

    /// The top table.
    pub(crate) fn parse(&self) -> Result<DeTable<'t>, Problems> {
        DeTable::parse(self.text).map(Spanned::into_inner).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(&span));
            let problem = Problem::new(line, format!("this is no TOML: {}", one_line(error.message())));
            Problems::one(
                problem.hint("a line is a header or `key = value`, with texts in quotes and each key once"),
            )
        })
    }

    /// A table's entries in the order of the file.
    pub(crate) fn entries<'d>(&self, table: &'d DeTable<'t>) -> Vec<Entry<'d, 't>> {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| Entry { key: key.get_ref(), line: self.line(&key.span()), value })
            .collect();
        entries.sort_by_key(|entry| entry.value.span().start);
        entries
    }
}

/// A key with its line and value.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'d, 't> {
    pub(crate) key: &'d str,
    pub(crate) line: usize,
    pub(crate) value: &'d Spanned<DeValue<'t>>,
}

impl<'d, 't> Entry<'d, 't> {
    /// A fault of this value.
    pub(crate) fn problem(&self, error: impl std::fmt::Display) -> Problem {
        Problem::new(self.line, format!("`{}`: {error}", self.key))
    }

    fn wanted(&self, wanted: &str) -> Problem {
        self.problem(format!("{wanted} is wanted, not {}", shown(self.value.get_ref())))
    }

    pub(crate) fn string(&self) -> Result<&'d str, Problem> {
        self.value.get_ref().as_str().ok_or_else(|| self.wanted("a string"))
    }

    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wanted("true or false"))
    }

    pub(crate) fn integer(&self) -> Result<u64, Problem> {
        let value = self.value.get_ref();
        let number = value.as_integer().ok_or_else(|| self.wanted("a number").hint_at_quotes(value))?;
        unsigned(number).ok_or_else(|| self.wanted("a number from 0"))
    }

    pub(crate) fn table(&self) -> Result<&'d DeTable<'t>, Problem> {
        self.value.get_ref().as_table().ok_or_else(|| self.wanted("a table"))
    }

    /// The values of a list; a single value may stand without it.
    pub(crate) fn list(&self) -> Vec<&'d DeValue<'t>> {
        let value = self.value.get_ref();
        value.as_array().map_or_else(|| vec![value], |array| array.iter().map(Spanned::get_ref).collect())
    }

    /// [`Entry::list`] of strings.
    pub(crate) fn strings(&self) -> Result<Vec<&'d str>, Problem> {
        let string = |value: &'d DeValue<'t>| {
            value.as_str().ok_or_else(|| self.problem(format!("a string is wanted, not {}", shown(value))))
        };
        self.list().into_iter().map(string).collect()
    }

    /// Tables of `[[key]]`, each with the line of its header.
    pub(crate) fn tables(&self, document: &Document<'t>) -> Result<Vec<(usize, &'d DeTable<'t>)>, Problem> {
        let wanted = || self.wanted(&format!("`[[{}]]` tables", self.key));
        let DeValue::Array(array) = self.value.get_ref() else {
            return Err(wanted());
        };
        let table = |value: &'d Spanned<DeValue<'t>>| {
            let table = value.get_ref().as_table().ok_or_else(wanted)?;
            Ok((document.line(&value.span()), table))
        };
        array.iter().map(table).collect()
    }
}

impl Problem {
    /// Says to leave the quotes out where a string holds the number that was wanted.
    pub(crate) fn hint_at_quotes(self, value: &DeValue<'_>) -> Self {
        match value.as_str() {
            Some(text)
                if !text.is_empty() && text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                self.hint(format!("write {text} without quotes"))
            }
            _ => self,
        }
    }
}

/// The number, if it is one from 0 to 2^63 - 1.
pub(crate) fn unsigned(number: &DeInteger<'_>) -> Option<u64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|number| u64::try_from(number).ok())
}

/// A value, for a message.
pub(crate) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string().chars().take(24).collect(),
        DeValue::Float(_) => "a fraction".to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

/// Checks `version = 1`; nothing else is read from a file of another version.
pub(crate) fn check_version(entries: &[Entry<'_, '_>]) -> Result<(), Problems> {
    let hint = "this program reads version 1: `version = 1`";
    let problem = match entries.iter().find(|entry| entry.key == "version") {
        None => Problem::new(1, "there is no `version`").hint(hint),
        Some(entry) => match entry.integer() {
            Ok(1) => return Ok(()),
            Ok(other) => entry.problem(format!("{other} is unknown")).hint(hint),
            Err(problem) if problem.hint.is_some() => problem,
            Err(problem) => problem.hint(hint),
        },
    };
    Err(Problems::one(problem))
}
