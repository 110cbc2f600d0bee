//! The codec against bytes worked out by hand from the protocol's description, and the macro's rules.

use bytes::Bytes;

use super::{DecodeError, EncodeError, Reader, Shape, Value, Version, Wire, Writer, structs};

const OLD: Version = Version { number: 1, flexible: false };
const FLEXIBLE: Version = Version { number: 3, flexible: true };

structs! {
    /// One of everything the macro knows.
    struct Sample {
        always: i32,
        named: Option<String> [0.., null 2..],
        later: i16 [2..] = -1,
        dropped: i16 [3.., ignorable] = 7,
        earlier: Vec<i8> [..=2],
        extra: Option<String> [3.., tag 0],
        flag: bool [3.., tag 4, ignorable] = true,
        inner: Option<Inner> [3..],
    }

    /// A struct that may be null.
    struct Inner {
        value: u16,
    }

    /// One whose tagged field may be null and is not by default.
    struct Outer {
        inner: Option<Inner> [0.., tag 0] = Some(Inner::default()),
    }
}

fn sample() -> Sample {
    Sample { always: 1, named: Some("n".to_owned()), ..Sample::default() }
}

fn bytes(value: &impl Wire, version: Version) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    value.write(&mut writer, version).map(|()| writer.into_vec())
}

fn value<T: Wire>(bytes: &[u8], version: Version) -> Result<T, DecodeError> {
    T::read(&mut Reader::new(Bytes::copy_from_slice(bytes)), version)
}

#[test]
fn varints_are_kafkas() {
    let cases: [(u64, &[u8]); 6] = [
        (0, &[0]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (300, &[0xac, 2]),
        (u64::from(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    for (number, encoded) in cases {
        let mut writer = Writer::new();
        writer.uvarlong(number);
        assert_eq!(writer.as_slice(), encoded);
        assert_eq!(Reader::new(Bytes::from_static(encoded)).uvarlong(), Ok(number));
        let short = Reader::new(Bytes::from_static(encoded)).uvarint();
        assert_eq!(short, u32::try_from(number).map_err(|_| DecodeError::Varint));
    }
    for (number, encoded) in [(0, 0u8), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127)] {
        let mut writer = Writer::new();
        writer.varint(number);
        assert_eq!(writer.as_slice(), [encoded]);
        assert_eq!(value_of(&[encoded], Reader::varint), Ok(number));
        assert_eq!(value_of(&[encoded], Reader::varlong), Ok(i64::from(number)));
    }
    for number in [i64::MIN, -1 << 40, i64::from(i32::MIN), i64::from(i32::MAX), i64::MAX] {
        let mut writer = Writer::new();
        writer.varlong(number);
        assert_eq!(value_of(writer.as_slice(), Reader::varlong), Ok(number));
    }
    assert_eq!(value_of(&[0xff; 11], Reader::uvarlong), Err(DecodeError::Varint));
    assert_eq!(value_of(&[0xff, 0xff, 0xff, 0xff, 0x1f], Reader::uvarint), Err(DecodeError::Varint));
    assert_eq!(value_of(&[0x80], Reader::uvarint), Err(DecodeError::Truncated { needed: 1, remaining: 0 }));
}

fn value_of<T>(bytes: &[u8], read: impl Fn(&mut Reader) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    read(&mut Reader::new(Bytes::copy_from_slice(bytes)))
}

#[test]
fn lengths_before_strings_bytes_and_arrays() {
    let text = Some("é".to_owned());
    assert_eq!(bytes(&text, OLD).unwrap(), [0, 2, 0xc3, 0xa9]);
    assert_eq!(bytes(&text, FLEXIBLE).unwrap(), [3, 0xc3, 0xa9]);
    assert_eq!(bytes(&None::<String>, OLD).unwrap(), [0xff, 0xff]);
    assert_eq!(bytes(&None::<String>, FLEXIBLE).unwrap(), [0]);
    let blob = Some(Bytes::from_static(&[9]));
    assert_eq!(bytes(&blob, OLD).unwrap(), [0, 0, 0, 1, 9]);
    assert_eq!(bytes(&blob, FLEXIBLE).unwrap(), [2, 9]);
    let array = Some(vec![5i16]);
    assert_eq!(bytes(&array, OLD).unwrap(), [0, 0, 0, 1, 0, 5]);
    assert_eq!(bytes(&array, FLEXIBLE).unwrap(), [2, 0, 5]);
    for version in [OLD, FLEXIBLE] {
        assert_eq!(value(&bytes(&text, version).unwrap(), version), Ok(text.clone()));
        assert_eq!(value(&bytes(&blob, version).unwrap(), version), Ok(blob.clone()));
        assert_eq!(value(&bytes(&array, version).unwrap(), version), Ok(array.clone()));
        assert_eq!(value(&bytes(&None::<Vec<i8>>, version).unwrap(), version), Ok(None::<Vec<i8>>));
        assert_eq!(value::<String>(&[0xff, 0xff], OLD), Err(DecodeError::Length { length: -1 }));
    }
}

#[test]
fn what_can_not_be_is_refused() {
    assert_eq!(value::<String>(&[0xff, 0xfe], OLD), Err(DecodeError::Length { length: -2 }));
    assert_eq!(value::<String>(&[0, 3, 1], OLD), Err(DecodeError::Truncated { needed: 3, remaining: 1 }));
    assert_eq!(value::<String>(&[2, 0xff], FLEXIBLE), Err(DecodeError::NotUtf8));
    let long = "x".repeat(super::MAX_STRING + 1);
    let limit = super::MAX_STRING;
    for version in [OLD, FLEXIBLE] {
        assert_eq!(bytes(&long, version), Err(EncodeError::TooLong { length: long.len(), limit }));
    }
    let announced = [&[0x81, 0x80, 2][..], long.as_bytes()].concat();
    assert_eq!(value::<String>(&announced, FLEXIBLE), Err(DecodeError::StringTooLong { length: long.len() }));
    let count = DecodeError::Count { count: 3, remaining: 5 };
    assert_eq!(value::<Vec<i16>>(&[0, 0, 0, 3, 0, 1, 0, 2, 0], OLD), Err(count));
}

#[test]
fn arrays_take_no_more_memory_than_the_frame_allows() {
    let mut frame = (1u32 << 16).to_be_bytes().to_vec();
    frame.resize(4 + (1 << 17), 0);
    // 64 Ki empty strings of two bytes take 1.5 MiB; the frame of 128 KiB allows half of that.
    assert_eq!(value::<Vec<String>>(&frame, OLD), Err(DecodeError::Memory { count: 1 << 16 }));
    let mut reader = Reader::new(frame.into());
    reader.widen(64);
    assert_eq!(Vec::<String>::read(&mut reader, OLD).unwrap().len(), 1 << 16);
}

#[test]
fn fields_come_and_go_with_versions() {
    let old = Sample { earlier: vec![8], ..sample() };
    assert_eq!(bytes(&old, OLD).unwrap(), [0, 0, 0, 1, 0, 1, b'n', 0, 0, 0, 1, 8]);
    assert_eq!(value(&bytes(&old, OLD).unwrap(), OLD), Ok(old));
    let new = Sample { inner: Some(Inner { value: 2 }), ..sample() };
    let encoded = [0, 0, 0, 1, 2, b'n', 0xff, 0xff, 0, 7, 1, 0, 2, 0, 0];
    assert_eq!(bytes(&new, FLEXIBLE).unwrap(), encoded);
    assert_eq!(value(&encoded, FLEXIBLE), Ok(new));
}

#[test]
fn what_a_version_can_not_say_is_an_error_unless_ignorable() {
    let refused = |value: &Sample| bytes(value, OLD).unwrap_err();
    assert_eq!(refused(&Sample::default()), EncodeError::Null { field: "named", version: 1 });
    let later = Sample { later: 0, ..sample() };
    assert_eq!(refused(&later), EncodeError::Field { field: "later", version: 1 });
    let extra = Sample { extra: Some(String::new()), ..sample() };
    assert_eq!(refused(&extra), EncodeError::Field { field: "extra", version: 1 });
    let dropped = Sample { dropped: 0, flag: false, ..sample() };
    assert_eq!(bytes(&dropped, OLD), bytes(&sample(), OLD));
    let null = value::<Sample>(&[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0], OLD);
    assert_eq!(null, Err(DecodeError::Null { field: "named", version: 1 }));
}

#[test]
fn tagged_fields_are_left_out_found_and_passed_over() {
    let tagged = Sample { extra: Some("e".to_owned()), flag: false, ..sample() };
    let fixed = [0, 0, 0, 1, 2, b'n', 0xff, 0xff, 0, 7, 0xff];
    let encoded = [&fixed[..], &[2, 0, 2, 2, b'e', 4, 1, 0]].concat();
    assert_eq!(bytes(&tagged, FLEXIBLE).unwrap(), encoded);
    assert_eq!(value(&encoded, FLEXIBLE), Ok(tagged.clone()));
    let unknown = [&fixed[..], &[4, 0, 2, 2, b'e', 3, 2, 1, 1, 4, 1, 0, 9, 0]].concat();
    assert_eq!(value(&unknown, FLEXIBLE), Ok(tagged));
    let wrong = [&fixed[..], &[1, 4, 2, 0, 0]].concat();
    let error = DecodeError::TagSize { tag: 4, announced: 2, taken: 1 };
    assert_eq!(value::<Sample>(&wrong, FLEXIBLE), Err(error));
}

#[test]
fn a_long_tagged_field_gets_a_long_size() {
    let tagged = Sample { extra: Some("e".repeat(200)), ..sample() };
    let encoded = bytes(&tagged, FLEXIBLE).unwrap();
    assert_eq!(encoded[11..17], [1, 0, 0xca, 1, 0xc9, 1]);
    assert_eq!(value(&encoded, FLEXIBLE), Ok(tagged));
}

#[test]
fn the_shape_is_the_versions() {
    let Shape::Struct { null: false, fields } = Sample::shape(OLD) else { panic!() };
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["always", "named", "earlier"]);
    assert_eq!(fields[1].shape, Shape::String { null: false });
    let Shape::Struct { fields, .. } = Sample::shape(FLEXIBLE) else { panic!() };
    assert_eq!(fields[1].shape, Shape::String { null: true });
    let tags: Vec<_> = fields.iter().filter_map(|field| field.tag).collect();
    assert_eq!((tags, fields[5].default.as_slice()), (vec![0, 4], &[1][..]));
}

/// `ConsumerGroupMemberMetadataValue` of Apache Kafka 4.3.1 has such a field, and no other message klog knows.
#[test]
fn a_tagged_struct_says_null_in_another_way() {
    for (inner, encoded) in [
        (Some(Inner::default()), [0].as_slice()),
        (None, &[1, 0, 1, 0]),
        (Some(Inner { value: 7 }), &[1, 0, 4, 1, 0, 7, 0]),
    ] {
        let outer = Outer { inner };
        assert_eq!(bytes(&outer, FLEXIBLE).as_deref(), Ok(encoded));
        assert_eq!(value(encoded, FLEXIBLE), Ok(outer));
    }
}

#[test]
fn a_value_is_shown_with_the_fields_of_its_version() {
    let shown = Value::Struct(vec![
        ("always", Value::Int(1)),
        ("named", Value::Text("n".into())),
        ("earlier", Value::List(vec![])),
    ]);
    assert_eq!(sample().value(OLD), shown);
    let new = Sample { extra: Some("e".into()), inner: Some(Inner { value: 9 }), ..sample() };
    let inner = Value::Struct(vec![("value", Value::Int(9))]);
    let shown = Value::Struct(vec![
        ("always", Value::Int(1)),
        ("named", Value::Text("n".into())),
        ("later", Value::Int(-1)),
        ("dropped", Value::Int(7)),
        ("extra", Value::Text("e".into())),
        ("inner", inner),
    ]);
    assert_eq!(new.value(FLEXIBLE), shown, "a tagged field that holds its default is left out");
}
