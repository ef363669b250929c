//! A webhook's address, taken apart.

use http::Uri;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// Takes an address apart.
pub(crate) fn target(url: &str) -> Result<Target, String> {
    // What is there is not repeated: a webhook's path is often a secret of its own.
    let wrong = || "`url` is no address as https://HOST/PATH".to_owned();
    let uri: Uri = url.parse().map_err(|_no_uri| wrong())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    // Neither a user, nor a port that is none: the library takes that for one that is left out.
    let whole = authority.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let named = authority.as_str() == format!("{}{whole}", authority.host());
    if authority.host().is_empty() || !named || authority.port_u16() == Some(0) {
        return Err(wrong());
    }
    Ok(Target {
        tls,
        host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.to_string(),
        path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
    })
}
