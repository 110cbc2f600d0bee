//! Makes bodies of drawn values by their layout; never through klog's encoder, which is what they test.

use fastrand::Rng;
use klog::codec::{FieldShape, Shape};

/// How bodies are drawn.
pub(crate) struct Draw {
    pub(crate) random: Rng,
    pub(crate) flexible: bool,
    /// Whether tagged fields that no Kafka knows yet are mixed in.
    pub(crate) unknown_tags: bool,
    /// Where, in the body drawn last, the count of each array lies that is in no tagged field.
    pub(crate) counts: Vec<usize>,
}

impl Draw {
    /// Draws by `seed`.
    pub(crate) fn new(seed: u64, flexible: bool) -> Self {
        Self { random: Rng::with_seed(seed), flexible, unknown_tags: false, counts: Vec::new() }
    }

    /// A body of this layout.
    pub(crate) fn body(&mut self, shape: &Shape) -> Vec<u8> {
        let mut out = Vec::new();
        self.value(shape, &mut out);
        out
    }

    fn null(&mut self, allowed: bool) -> bool {
        allowed && self.random.u8(..4) == 0
    }

    fn value(&mut self, shape: &Shape, out: &mut Vec<u8>) {
        match shape {
            Shape::Bool => out.push(self.random.bool().into()),
            Shape::Fixed(bytes) => out.extend((0..*bytes).map(|_| self.random.u8(..))),
            Shape::String { null } => {
                let text: String = (0..self.few()).map(|_| self.random.char(' '..)).collect();
                let text = (!self.null(*null)).then_some(text.as_bytes());
                match text {
                    _ if self.flexible => self.length(text.map(<[u8]>::len), out),
                    Some(text) => out.extend((text.len() as i16).to_be_bytes()),
                    None => out.extend((-1i16).to_be_bytes()),
                }
                out.extend(text.unwrap_or_default());
            }
            Shape::Bytes { null } => {
                let bytes: Vec<u8> = (0..self.few()).map(|_| self.random.u8(..)).collect();
                let bytes = (!self.null(*null)).then_some(bytes);
                self.length(bytes.as_ref().map(Vec::len), out);
                out.extend(bytes.unwrap_or_default());
            }
            Shape::Array { null, of } => {
                self.counts.push(out.len());
                let count = (!self.null(*null)).then(|| self.random.usize(..4));
                self.length(count, out);
                (0..count.unwrap_or(0)).for_each(|_| self.value(of, out));
            }
            Shape::Struct { null, fields } => {
                if *null {
                    let absent = self.null(true);
                    out.push(if absent { 0xff } else { 1 });
                    if absent {
                        return;
                    }
                }
                fields
                    .iter()
                    .filter(|field| field.tag.is_none())
                    .for_each(|field| self.value(&field.shape, out));
                if self.flexible {
                    self.tagged(fields, out);
                }
            }
        }
    }

    fn tagged(&mut self, fields: &[FieldShape], out: &mut Vec<u8>) {
        let mut drawn: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields {
            let (Some(tag), true) = (field.tag, self.random.bool()) else { continue };
            let counts = self.counts.len();
            let value = self.body(&field.shape);
            self.counts.truncate(counts);
            if value != field.default {
                drawn.push((tag, value));
            }
        }
        if self.unknown_tags && self.random.bool() {
            let size = self.few();
            drawn.push((self.random.u32(100..), vec![0x5a; size]));
        }
        varint(drawn.len(), out);
        for (tag, value) in drawn {
            varint(tag as usize, out);
            varint(value.len(), out);
            out.extend(value);
        }
    }

    // Mostly short, now and then long enough for a length of two bytes.
    fn few(&mut self) -> usize {
        if self.random.u8(..20) == 0 { self.random.usize(120..140) } else { self.random.usize(..6) }
    }

    fn length(&self, length: Option<usize>, out: &mut Vec<u8>) {
        if self.flexible {
            varint(length.map_or(0, |length| length + 1), out);
        } else {
            out.extend(length.map_or(-1, |length| length as i32).to_be_bytes());
        }
    }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value > 127 {
        out.push((value % 128) as u8 | 128);
        value /= 128;
    }
    out.push(value as u8);
}
