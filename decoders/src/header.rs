//! Headers of frames and records, described as the fields of records are: for those who draw,
//! dissect and document them. [`Frame`](crate::Frame) and [`Record`](crate::Record) read it.

use crate::field::Confidence::{self, A, B, C};

/// One part of a header, an unsigned number or mere bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderField {
    /// The name for programs.
    pub name: &'static str,
    /// The name for people.
    pub label: &'static str,
    /// The protocol offset.
    pub offset: u8,
    /// The size in bytes.
    pub size: u8,
    /// Knowledge about the field.
    pub note: &'static str,
    /// Confidence in that knowledge.
    pub confidence: Confidence,
}

impl HeaderField {
    const fn new(
        name: &'static str,
        label: &'static str,
        (offset, size): (u8, u8),
        note: &'static str,
        confidence: Confidence,
    ) -> Self {
        Self { name, label, offset, size, note, confidence }
    }
}

/// Header of every frame, after the Ethernet header.
pub static FRAME: &[HeaderField] = &[
    HeaderField::new("magic", "Magic", (0x00, 4), "always CB DA E9 F8", A),
    HeaderField::new("zeros", "Zeros", (0x04, 16), "zero in every frame that mqtt-energi saw", B),
    HeaderField::new("one", "One", (0x14, 1), "1 in every frame that mqtt-energi saw", B),
    HeaderField::new("zeros", "Zeros", (0x15, 3), "zero in every frame that mqtt-energi saw", B),
];

/// Header of every record.
pub static RECORD: &[HeaderField] = &[
    HeaderField::new(
        "length",
        "Length",
        (0x18, 1),
        "size of the record in bytes, this one included; it selects the decoder",
        A,
    ),
    HeaderField::new(
        "network",
        "Network",
        (0x19, 1),
        "differs between sites (0x53, 0xE5): never a reason to refuse a frame",
        A,
    ),
    HeaderField::new(
        "type",
        "Record type",
        (0x1A, 2),
        "what kind of record, little-endian; decoders refuse or require it",
        A,
    ),
    HeaderField::new(
        "device",
        "Device",
        (0x1C, 1),
        "bits 3 to 5 are the product class: 2 is a zappi, the others are unknown",
        B,
    ),
    HeaderField::new("flags", "Flags", (0x1D, 1), "only 0xFF, 0x04 and 0x01 were seen", C),
];

#[cfg(test)]
mod tests {
    use super::{FRAME, RECORD};
    use crate::frame::{Frame, MAGIC, RECORD_HEADER, RECORDS};

    #[test]
    fn the_parts_of_a_header_leave_no_gap() {
        for (fields, start, end) in
            [(FRAME, 0, RECORDS), (RECORD, RECORDS, RECORDS + RECORD_HEADER)]
        {
            let mut next = start;
            for field in fields {
                assert_eq!(usize::from(field.offset), next, "{}", field.name);
                next += usize::from(field.size);
            }
            assert_eq!(next, end);
        }
    }

    #[test]
    fn the_record_header_is_where_records_read_it() {
        let mut payload = [0; RECORDS + RECORD_HEADER];
        payload[..MAGIC.len()].copy_from_slice(&MAGIC);
        payload[RECORDS..].copy_from_slice(&[6, 0x53, 0x08, 0x21, 0x01, 0xFF]);
        let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
        let read = |name: &str| {
            let field = RECORD.iter().find(|field| field.name == name).unwrap();
            let bytes = record.slice(field.offset, field.size).unwrap();
            bytes.iter().rev().fold(0, |number, byte| number << 8 | u16::from(*byte))
        };
        assert_eq!(read("length"), record.length().into());
        assert_eq!(read("type"), record.record_type());
        assert_eq!(read("device"), record.device().into());
        assert_eq!(read("flags"), record.flags().into());
    }
}
