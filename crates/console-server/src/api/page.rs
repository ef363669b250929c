//! Lists in pages: what stands in the store under a prefix, by key.

use console_api::{Page, PageQuery};
use serde::de::DeserializeOwned;
use store::Store;

use super::problem::{No, usage};
use crate::records;

const DEFAULT: u16 = 100;

/// The part of the list that is asked for. Its `next` is what follows the prefix in the last key.
pub(crate) fn page_of<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
    query: &PageQuery,
) -> Result<Page<T>, No> {
    let after = match &query.after {
        Some(after) => Some(
            format!("{prefix}{after}")
                .parse()
                .map_err(|malformed: store::MalformedKey| usage(format!("`after`: {malformed}")))?,
        ),
        None => None,
    };
    let limit = query.limit.unwrap_or(DEFAULT).max(1);
    let page = store.range(prefix, after.as_ref(), usize::from(limit))?;
    let last = page.entries.last().map(|entry| entry.key.as_str().trim_start_matches(prefix).to_owned());
    let items = page.entries.into_iter().map(records::read).collect::<Result<Vec<_>, _>>()?;
    let items = items.into_iter().map(|read| read.value).collect();
    Ok(Page { items, next: last.filter(|_| page.more) })
}
