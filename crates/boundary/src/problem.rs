//! What is wrong in a file: every fault, with its line and, where there is one, the word that was meant.

use std::error::Error;
use std::fmt;

/// One fault. The caller knows the file's name and puts it in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// Lower case, no full stop.
    pub error: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(line: usize, error: impl Into<String>) -> Self {
        Self { line, error: error.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Without a hint yet, shows the key's right use.
    pub(crate) fn example(self, key: &str, examples: &[(&str, &str)]) -> Self {
        match examples.iter().find(|(known, _)| *known == key) {
            Some((_, example)) if self.hint.is_none() => self.hint(format!("for example `{example}`")),
            _ => self,
        }
    }

    /// The hint that names the valid word next to `word`, or lists all of them.
    pub(crate) fn nearest<'w>(self, word: &str, valid: impl IntoIterator<Item = &'w str>) -> Self {
        let valid: Vec<&str> = valid.into_iter().collect();
        match nearest(word, &valid) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if valid.is_empty() => self,
            None => self.hint(format!("valid here: {}", listed(&valid))),
        }
    }
}

/// All faults of a file, by line; never none. At most [`Problems::SHOWN_MAX`] are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// More than a person reads at once.
    pub const SHOWN_MAX: usize = 20;

    pub(crate) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// Nothing if there are none.
    pub(crate) fn of(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| problem.line);
        problems.truncate(Self::SHOWN_MAX);
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The faults, by line.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "; " };
            write!(f, "{comma}line {}: {}", problem.line, problem.error)?;
        }
        Ok(())
    }
}

impl Error for Problems {}

/// What a person typed, for a message: no control characters, and not all of it if it is long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

fn listed(words: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut list = words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if words.len() > SHOWN {
        list.push_str(", …");
    }
    list
}

/// The valid word that differs least, if it differs in few places for its length.
fn nearest<'w>(word: &str, valid: &[&'w str]) -> Option<&'w str> {
    // Longer ones are no typing errors of any valid word, and would take long to compare.
    if word.chars().count() > 80 {
        return None;
    }
    let lower = word.to_lowercase();
    let (distance, near) =
        valid.iter().map(|valid| (distance(&lower, &valid.to_lowercase()), *valid)).min()?;
    (distance <= (near.chars().count() / 3).max(1)).then_some(near)
}

/// Insertions, deletions, replacements and swaps of neighbours from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, cost) | (cost, 0) => cost,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let plain = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped { plain.min(rows[i - 2][j - 2] + 1) } else { plain }
                }
            };
        }
    }
    rows[a.len()][b.len()]
}
