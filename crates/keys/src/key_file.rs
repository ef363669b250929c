//! Key files: text that a person can look at, with the secret on the one line that is no comment.
//!
//! ```text
//! # leasehold key
//! # public key: ed25519:…
//! # key id: lh1:…
//! leasehold-secret-1:<base64url of the seed>
//! ```

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::signing::SigningKey;

const SECRET: &str = "leasehold-secret-1:";

/// The longest key file that is read.
pub const KEY_FILE_BYTES_MAX: usize = 4096;

/// A text that is no key file. What stood there is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MalformedKeyFile {
    /// Over [`KEY_FILE_BYTES_MAX`], or not text.
    #[error("it is no text of at most {KEY_FILE_BYTES_MAX} bytes")]
    NoText,
    /// No line with a secret, or several.
    #[error("it has {0} lines that are no comment, one is wanted")]
    Lines(usize),
    /// A line of another shape.
    #[error("its secret is not `leasehold-secret-1:` and 43 characters of base64url")]
    Secret,
}

/// The text of the key's file.
#[must_use]
pub fn write_key_file(key: &SigningKey) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64URL_NOPAD.encode(key.seed().as_slice()));
    let (public, id) = (key.public(), key.public().id());
    Zeroizing::new(format!(
        "# leasehold key\n# public key: {public}\n# key id: {id}\n{SECRET}{}\n",
        encoded.as_str()
    ))
}

/// Reads the text of a key file.
///
/// # Errors
/// [`MalformedKeyFile`] if it holds not exactly one secret.
pub fn read_key_file(bytes: &[u8]) -> Result<SigningKey, MalformedKeyFile> {
    if bytes.len() > KEY_FILE_BYTES_MAX {
        return Err(MalformedKeyFile::NoText);
    }
    let text = str::from_utf8(bytes).map_err(|_no_text| MalformedKeyFile::NoText)?;
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let [line] = lines[..] else { return Err(MalformedKeyFile::Lines(lines.len())) };
    let encoded = line.strip_prefix(SECRET).ok_or(MalformedKeyFile::Secret)?;
    let mut seed = Zeroizing::new([0; 32]);
    let right_length = BASE64URL_NOPAD.decode_len(encoded.len()) == Ok(seed.len());
    if !right_length || BASE64URL_NOPAD.decode_mut(encoded.as_bytes(), seed.as_mut_slice()).is_err() {
        return Err(MalformedKeyFile::Secret);
    }
    SigningKey::from_seed(&seed).map_err(|_unusable| MalformedKeyFile::Secret)
}
