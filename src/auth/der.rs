//! A reader of DER (X.690), as much as a certificate's subject needs; it must never read beyond the bytes it was
//! given, nor take a length in a form that DER does not allow.

use super::AuthError;

/// One element: its tag, what it holds, and all of its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) inside: &'a [u8],
    pub(super) whole: &'a [u8],
}

pub(super) mod tag {
    pub(in crate::auth) const INTEGER: u8 = 0x02;
    pub(in crate::auth) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::auth) const SEQUENCE: u8 = 0x30;
    pub(in crate::auth) const SET: u8 = 0x31;
    /// The context's own, constructed, number 0: a certificate's version.
    pub(in crate::auth) const VERSION: u8 = 0xa0;
}

/// Takes the first element off `rest`; `None` at the end.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Element<'a>>, AuthError> {
    let all: &'a [u8] = rest;
    let (Some(&tag), Some(&first)) = (all.first(), all.get(1)) else {
        return if all.is_empty() { Ok(None) } else { Err(AuthError::Certificate("it ends in an element")) };
    };
    if tag & 0x1f == 0x1f {
        return Err(AuthError::Certificate("it has a tag of several bytes"));
    }
    let (head, len) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let digits = all.get(2..2 + count).ok_or(AuthError::Certificate("it ends in a length"))?;
            let len = digits.iter().fold(0_u64, |len, digit| len << 8 | u64::from(*digit));
            if digits.first() == Some(&0) || len < 0x80 {
                return Err(AuthError::Certificate("it has a length that is longer than need be"));
            }
            (2 + count, usize::try_from(len).unwrap_or(usize::MAX))
        }
        _ => return Err(AuthError::Certificate("it has a length without an end, or beyond all bounds")),
    };
    let end = head.saturating_add(len);
    let (Some(inside), Some(whole), Some(behind)) = (all.get(head..end), all.get(..end), all.get(end..))
    else {
        return Err(AuthError::Certificate("it ends in an element"));
    };
    *rest = behind;
    Ok(Some(Element { tag, inside, whole }))
}

/// Takes the first element off `rest`, which must be there and have that tag.
pub(super) fn expect<'a>(rest: &mut &'a [u8], tag: u8) -> Result<Element<'a>, AuthError> {
    match next(rest)? {
        Some(element) if element.tag == tag => Ok(element),
        _ => Err(AuthError::Certificate("it is not built like a certificate")),
    }
}

/// An object identifier's text, `2.5.4.3`.
pub(super) fn identifier(inside: &[u8]) -> Result<String, AuthError> {
    const BAD: AuthError = AuthError::Certificate("an object identifier is not whole");
    if inside.last().is_none_or(|last| last & 0x80 != 0) {
        return Err(BAD);
    }
    let mut text = String::new();
    let mut arc = 0_u128;
    let mut begins = true;
    for byte in inside {
        if (begins && *byte == 0x80) || arc > u128::MAX >> 7 {
            return Err(BAD);
        }
        arc = arc << 7 | u128::from(byte & 0x7f);
        begins = byte & 0x80 == 0;
        if begins {
            if text.is_empty() {
                let root = (arc / 40).min(2);
                text = format!("{root}.{}", arc - root * 40);
            } else {
                text.push('.');
                text.push_str(&arc.to_string());
            }
            arc = 0;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_against_what_is_there() {
        let mut rest = &[0x04, 0x01, 0x07, 0x05, 0x00][..];
        assert_eq!(next(&mut rest).unwrap().unwrap().inside, [7]);
        assert_eq!(next(&mut rest).unwrap().unwrap().whole, [5, 0]);
        assert!(next(&mut rest).unwrap().is_none());
        let long = [&[0x04, 0x81, 0x80][..], &[1; 0x80]].concat();
        assert_eq!(next(&mut &long[..]).unwrap().unwrap().inside.len(), 0x80);
        for bad in [
            &[0x04][..],
            &[0x04, 0x02, 0x01],
            &[0x04, 0x80, 0x00, 0x00],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x04, 0x85, 1, 1, 1, 1, 1],
            &[0x1f, 0x01, 0x00],
        ] {
            assert!(next(&mut { bad }).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_are_read_as_numbers() {
        assert_eq!(identifier(&[0x55, 4, 3]).unwrap(), "2.5.4.3");
        assert_eq!(
            identifier(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]).unwrap(),
            "1.2.840.113549.1.9.1"
        );
        assert_eq!(identifier(&[0x88, 0x37]).unwrap(), "2.999");
        for bad in [&[][..], &[0x80], &[0x55, 0x84], &[0x55, 0x80, 0x04], &[0xff; 20]] {
            assert!(identifier(bad).is_err());
        }
    }
}
