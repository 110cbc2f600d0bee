//! Varints as records hold them (zigzag, least group first); never reads past five or ten bytes.

/// Most bytes of a 32-bit and of a 64-bit varint.
pub(super) const MAX_32: usize = 5;
pub(super) const MAX_64: usize = 10;

/// Reads a 32-bit zigzag varint at `*at` and moves `*at` behind it; `None` where bytes run out or a sixth would follow.
#[inline(always)]
pub(super) fn read_i32(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag_32(u32::from(first)));
    }
    let second = *bytes.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(unzigzag_32(u32::from(first & 0x7f) | u32::from(second) << 7));
    }
    let (raw, len) = read_slow(bytes.get(*at..)?, MAX_32)?;
    *at += len;
    Some(unzigzag_32(raw as u32))
}

/// Reads a 64-bit zigzag varint at `*at` and moves `*at` behind it.
#[inline(always)]
pub(super) fn read_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag_64(u64::from(first)));
    }
    let (raw, len) = read_slow(bytes.get(*at..)?, MAX_64)?;
    *at += len;
    Some(unzigzag_64(raw))
}

fn read_slow(bytes: &[u8], max: usize) -> Option<(u64, usize)> {
    let mut raw = 0u64;
    for (i, &byte) in bytes.iter().take(max).enumerate() {
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((raw, i + 1));
        }
    }
    None
}

#[inline(always)]
fn unzigzag_32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

#[inline(always)]
fn unzigzag_64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[inline(always)]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes of the varint of an already zigzagged value. 32-bit values give the same zigzag as 64-bit ones.
#[inline(always)]
pub(super) fn len_raw(raw: u64) -> usize {
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline(always)]
pub(super) fn len(value: i64) -> usize {
    len_raw(zigzag(value))
}

/// Writes at `*at` into `out` and moves `*at` behind it; the caller gives room for ten bytes.
#[inline(always)]
pub(super) fn put<const N: usize>(out: &mut [u8; N], at: &mut usize, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out[*at] = raw as u8 | 0x80;
        raw >>= 7;
        *at += 1;
    }
    out[*at] = raw as u8;
    *at += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(value: i64) -> Vec<u8> {
        let (mut out, mut at) = ([0; 16], 0);
        put(&mut out, &mut at, value);
        assert_eq!(at, len(value), "{value}");
        out[..at].to_vec()
    }

    #[test]
    fn known_encodings() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (8192, &[0x80, 0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            assert_eq!(bytes_of(value), bytes, "{value}");
            assert_eq!(read_i32(bytes, &mut 0), Some(value as i32));
            assert_eq!(read_i64(bytes, &mut 0), Some(value));
        }
    }

    #[test]
    fn every_length_of_64_bits_round_trips() {
        for shift in 0..64 {
            let one = 1i64 << shift;
            for value in [one, one.wrapping_neg(), one.wrapping_sub(1)] {
                let (bytes, mut at) = (bytes_of(value), 0);
                assert_eq!(read_i64(&bytes, &mut at), Some(value));
                assert_eq!(at, bytes.len());
            }
        }
    }

    #[test]
    fn cut_or_endless_varints_are_refused() {
        assert_eq!(read_i32(&[], &mut 0), None);
        assert_eq!(read_i32(&[0x80], &mut 0), None);
        assert_eq!(read_i32(&[0x80, 0x80], &mut 0), None);
        assert_eq!(read_i32(&[0xff; 6], &mut 0), None);
        assert_eq!(read_i64(&[0xff; 11], &mut 0), None);
        assert_eq!(read_i64(&[0x00], &mut 1), None);
        assert_eq!(read_i64(&[0x00], &mut 9), None);
    }
}
