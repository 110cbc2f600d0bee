//! The messages of SCRAM as text: attributes with commas between them; it must never take a message that is only
//! nearly right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::{AuthError, MAX_STEP};

/// Most characters of one side's nonce.
const MAX_NONCE: usize = 256;

/// A nonce's text of random bytes.
pub fn nonce(random: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(random)
}

/// A message as text, if it is not longer than a step may be.
pub(super) fn text(message: &[u8]) -> Result<&str, AuthError> {
    if message.len() > MAX_STEP {
        return Err(AuthError::TooLong(message.len()));
    }
    let text = std::str::from_utf8(message).map_err(|_| AuthError::Malformed("the message is not UTF-8"))?;
    if text.contains('\0') { Err(AuthError::Malformed("the message holds a NUL")) } else { Ok(text) }
}

/// Takes the value of the attribute `name` off the front.
pub(super) fn attribute<'a>(
    rest: &mut Option<&'a str>,
    name: char,
    missing: &'static str,
) -> Result<&'a str, AuthError> {
    let all = rest.take().ok_or(AuthError::Malformed(missing))?;
    let (one, behind) = match all.split_once(',') {
        Some((one, behind)) => (one, Some(behind)),
        None => (all, None),
    };
    *rest = behind;
    one.strip_prefix(name).and_then(|value| value.strip_prefix('=')).ok_or(AuthError::Malformed(missing))
}

/// What stands behind the known attributes must be attributes too; they are passed over, as RFC 5802 says.
pub(super) fn extensions(rest: Option<&str>) -> Result<(), AuthError> {
    let form = |one: &str| {
        let mut letters = one.chars();
        letters.next().is_some_and(|name| name.is_ascii_alphabetic()) && letters.next() == Some('=')
    };
    match rest {
        Some(rest) if !rest.split(',').all(form) => Err(AuthError::Malformed("what follows is no attribute")),
        _ => Ok(()),
    }
}

pub(super) fn check_nonce(nonce: &str) -> Result<(), AuthError> {
    let fine = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b',';
    if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.bytes().all(fine) {
        return Err(AuthError::Malformed("the nonce is empty, too long, or not printable"));
    }
    Ok(())
}

/// A name as it stands in a message: without `,` and `=`.
pub(super) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The name that a message says.
pub(super) fn unescaped(said: &str) -> Result<String, AuthError> {
    let mut parts = said.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(AuthError::Malformed("a name holds = that is neither =2C nor =3D")),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.is_empty() { Err(AuthError::Malformed("the name is empty")) } else { Ok(name) }
}

pub(super) fn base64(of: &[u8]) -> String {
    STANDARD.encode(of)
}

pub(super) fn from_base64(text: &str, wrong: &'static str) -> Result<Vec<u8>, AuthError> {
    STANDARD.decode(text).map_err(|_| AuthError::Malformed(wrong))
}
