//! CRC-32C (Castagnoli) of batches; the only file that names the crate, and never used for klog's own files.

/// The CRC-32C of `bytes`, as the header's `crc` field holds it over everything after that field.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32C of `first` followed by `second`.
pub(super) fn crc32c_of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(first);
    digest.update(second);
    digest.finalize() as u32
}

/// A CRC-32C of bytes that come in pieces.
#[derive(Debug, Clone)]
pub struct Crc(crc_fast::Digest);

impl Default for Crc {
    fn default() -> Crc {
        Crc::new()
    }
}

impl Crc {
    /// Of no bytes yet.
    pub fn new() -> Crc {
        Crc(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC of all bytes so far.
    pub fn value(&self) -> u32 {
        self.0.clone().finalize() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{Crc, crc32c, crc32c_of_two};

    #[test]
    fn the_check_value_of_the_castagnoli_polynomial() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c_of_two(b"1234", b"56789"), 0xE306_9283);
        let mut crc = Crc::new();
        [&b"1"[..], b"", b"2345678", b"9"].into_iter().for_each(|piece| crc.update(piece));
        assert_eq!(crc.value(), 0xE306_9283);
    }
}
