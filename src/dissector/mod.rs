//! The field tables as a Wireshark dissector in Lua.
//!
//! What the protocol says comes from the tables alone; the script walks them as
//! [`Frame`](energi_decoders::Frame) and the decoders do.

mod lua;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use energi_decoders::frame::{ETHERTYPE, MAGIC, RECORD_HEADER, RECORDS};
use energi_decoders::{
    Class, EntryHead, EntrySelector, Field, HeaderField, Layout, Raw, Trust, header,
};

use self::lua::Quoted;

/// First part of the script.
const PRELUDE: &str = include_str!("prelude.lua");

/// Part of the script that uses the tables.
const ENGINE: &str = include_str!("engine.lua");

/// The script: displayed, it is the dissector.
#[derive(Debug)]
pub struct Dissector<'a> {
    layouts: &'a [&'a Layout],
}

impl<'a> Dissector<'a> {
    /// A dissector of the records that `layouts` describe.
    #[must_use]
    pub const fn new(layouts: &'a [&'a Layout]) -> Self {
        Self { layouts }
    }
}

/// The name that a metric's values are filtered by in Wireshark: `myenergi.grid_pwr`, and
/// `myenergi.x36.v1` for `0x36/v1`.
#[must_use]
pub fn filter_name(key: &str) -> String {
    let name = key.replace('/', ".");
    let name = name.strip_prefix("0x").map_or(name.clone(), |rest| format!("x{rest}"));
    format!("myenergi.{name}")
}

impl Display for Dissector<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(PRELUDE)?;
        writeln!(f, "local ETHERTYPE = 0x{ETHERTYPE:04x}")?;
        f.write_str("local MAGIC = \"")?;
        MAGIC.iter().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?;
        writeln!(f, "\"")?;
        writeln!(f, "local RECORDS = 0x{RECORDS:02X}")?;
        writeln!(f, "local RECORD_HEADER = {RECORD_HEADER}")?;
        write_header_fields(f)?;
        write_value_fields(f, self.layouts)?;
        write_decoders(f, self.layouts)?;
        f.write_str(ENGINE)
    }
}

/// The names of the two headers' fields; those of records have a group of their own.
fn header_fields() -> impl Iterator<Item = (String, &'static HeaderField)> {
    let frame = header::FRAME.iter().map(|field| (field.name.to_owned(), field));
    let record = header::RECORD.iter().map(|field| (format!("record.{}", field.name), field));
    frame.chain(record)
}

fn write_header_fields(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "\nlocal header_fields = {{")?;
    let mut done: Vec<String> = Vec::new();
    for (name, field) in header_fields() {
        // Stretches that are called the same are filtered by one name.
        if done.contains(&name) {
            continue;
        }
        let (label, confidence) = (Quoted(field.label), field.confidence);
        let note =
            format!("{}. Confidence {}, {}", field.note, confidence.letter(), confidence.meaning());
        let note = Quoted(&note);
        let (kind, base) = match field.size {
            1 => ("uint8", ", base.DEC_HEX, nil, 0"),
            2 => ("uint16", ", base.HEX, nil, 0"),
            _ => ("bytes", ", base.SPACE"),
        };
        writeln!(f, "  [\"{name}\"] = ProtoField.{kind}(")?;
        writeln!(f, "    \"myenergi.{name}\", {label}{base},\n    {note}),")?;
        done.push(name);
    }
    writeln!(f, "}}")?;
    for (list, prefix, fields) in
        [("frame_header", "", header::FRAME), ("record_header", "record.", header::RECORD)]
    {
        writeln!(f, "\nlocal {list} = {{")?;
        for HeaderField { name, offset, size, .. } in fields {
            writeln!(f, "  {{ id = \"{prefix}{name}\", at = 0x{offset:02X}, size = {size} }},")?;
        }
        writeln!(f, "}}")?;
    }
    Ok(())
}

/// Type in which Wireshark keeps the values of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    Flag,
    Text,
    Int32,
    Uint32,
    Double,
}

impl ValueKind {
    fn of(field: &Field) -> Self {
        if matches!(field.metric.class, Class::Choice(_)) {
            return Self::Text;
        }
        match field.raw {
            Raw::Bit(_) => Self::Flag,
            _ if !field.is_integer() => Self::Double,
            // Shifted by a whole number a value may need more than 32 bits; a double holds it.
            _ if field.add != 0.0 => Self::Double,
            Raw::U32 => Self::Uint32,
            Raw::U8 | Raw::I8 | Raw::U16 | Raw::I16 | Raw::I32 | Raw::Bits { .. } => Self::Int32,
        }
    }

    /// Kind that can hold the values of both.
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Double }
    }
}

/// One of Wireshark's fields, which several records may share.
struct ValueField<'a> {
    id: String,
    field: &'a Field,
    kind: ValueKind,
    /// Sources of its values, a phrase for each record.
    sources: Vec<String>,
}

/// Returns what tells Wireshark's fields apart: a metric's key, and of a flag its bit.
fn id(field: &Field) -> String {
    match field.raw {
        Raw::Bit(bit) if ValueKind::of(field) == ValueKind::Flag => {
            format!("{}:{bit}", field.key())
        }
        _ => field.key().to_owned(),
    }
}

fn write_value_fields(f: &mut Formatter<'_>, layouts: &[&Layout]) -> fmt::Result {
    let mut fields: Vec<ValueField<'_>> = Vec::new();
    for (layout, field) in
        layouts.iter().flat_map(|layout| layout.fields.iter().map(move |field| (layout, field)))
    {
        let kind = ValueKind::of(field);
        let id = id(field);
        let source = source(layout, field);
        if let Some(known) = fields.iter_mut().find(|known| known.id == id) {
            known.kind = known.kind.and(kind);
            known.sources.push(source);
        } else {
            fields.push(ValueField { id, field, kind, sources: vec![source] });
        }
    }
    writeln!(f, "\nlocal value_fields = {{")?;
    for ValueField { id, field, kind, sources } in &fields {
        let metric = &field.metric;
        let unit = if metric.unit.is_empty() { "" } else { "; " };
        let note = format!("{}{unit}{}", metric.unit, sources.join("; "));
        let (kind, base) = match (kind, field.raw) {
            (ValueKind::Flag, Raw::Bit(bit)) => {
                ("bool", format!(", 8, nil, 0x{:02X}", 1_u8 << bit))
            }
            (ValueKind::Text, _) => ("string", String::new()),
            (ValueKind::Flag | ValueKind::Double, _) => ("double", String::new()),
            (ValueKind::Int32, _) => ("int32", ", base.DEC, nil, 0".to_owned()),
            (ValueKind::Uint32, _) => ("uint32", ", base.DEC, nil, 0".to_owned()),
        };
        let (id, name, label, note) =
            (Quoted(id), filter_name(field.key()), Quoted(&metric.label), Quoted(&note));
        writeln!(f, "  [{id}] = ProtoField.{kind}(\n    \"{name}\", {label}{base},\n    {note}),")?;
    }
    writeln!(f, "}}")
}

/// Returns where a field stands, how it is read, and how well that is known.
fn source(layout: &Layout, field: &Field) -> String {
    let (raw, scale, confidence) = (field.raw.name(), field.scale(), field.confidence);
    let blank = if scale.is_empty() { "" } else { " " };
    let (letter, meaning) = (confidence.letter(), confidence.meaning());
    let standing = match layout.status {
        Trust::Confirmed => String::new(),
        status => format!(", {}", status.name()),
    };
    let records = layout.length.map_or_else(
        || format!("{} (any length)", layout.name),
        |length| format!("0x{length:02X}"),
    );
    let place = match field.entry {
        Some(entry) => format!("{entry} at {}", field.offset),
        None => format!("at 0x{:02X}", field.offset),
    };
    format!("{records} {place}: {raw}{blank}{scale}, confidence {letter} ({meaning}){standing}")
}

fn write_decoders(f: &mut Formatter<'_>, layouts: &[&Layout]) -> fmt::Result {
    let mut by_length: BTreeMap<u8, Vec<&Layout>> = BTreeMap::new();
    for layout in layouts {
        if let Some(length) = layout.length {
            by_length.entry(length).or_default().push(layout);
        }
    }
    writeln!(f, "\nlocal decoders = {{")?;
    for (length, mut layouts) in by_length {
        layouts.sort_by_key(|layout| layout.status as u8);
        writeln!(f, "  [0x{length:02X}] = {{")?;
        layouts.iter().try_for_each(|layout| write_decoder(f, layout))?;
        writeln!(f, "  }},")?;
    }
    writeln!(f, "}}\n\nlocal decoders_of_any_length = {{")?;
    let any = layouts.iter().filter(|layout| layout.length.is_none());
    any.copied().try_for_each(|layout| write_decoder(f, layout))?;
    writeln!(f, "}}")
}

/// A list of record types: `{ [0x3510] = true }`.
fn write_types(f: &mut Formatter<'_>, name: &str, types: &[u16]) -> fmt::Result {
    if types.is_empty() {
        return Ok(());
    }
    let types: Vec<_> = types.iter().map(|kind| format!("[0x{kind:04X}] = true")).collect();
    write!(f, ", {name} = {{ {} }}", types.join(", "))
}

fn write_decoder(f: &mut Formatter<'_>, layout: &Layout) -> fmt::Result {
    let (name, status) = (Quoted(&layout.name), layout.status.name());
    write!(f, "    {{ name = {name}, status = \"{status}\", serial = 0x{:02X}", layout.serial)?;
    let rules = &layout.rules;
    write_types(f, "types", rules.requires_types.as_slice())?;
    write_types(f, "other_types", rules.refuses_types.as_slice())?;
    for (name, value) in [("class", rules.requires_class), ("other_class", rules.refuses_class)] {
        value.map_or(Ok(()), |class| write!(f, ", {name} = {class}"))?;
    }
    if let Some(entries) = layout.entries {
        write!(f, ", entries = 0x{entries:02X}")?;
    }
    writeln!(f, ", fields = {{")?;
    for field in &*layout.fields {
        let (id, key, label) = (id(field), Quoted(field.key()), Quoted(&field.metric.label));
        let (id, at) = (Quoted(&id), field.offset);
        write!(f, "      {{ id = {id}, key = {key}, label = {label}, at = 0x{at:02X}")?;
        if let Some(EntrySelector { head, channel }) = field.entry {
            match head {
                EntryHead::Exact(head) => write!(f, ", head = 0x{head:02X}")?,
                EntryHead::Size(size) => write!(f, ", size = {size}")?,
            }
            channel.map_or(Ok(()), |channel| write!(f, ", channel = {channel}"))?;
        }
        match field.raw {
            Raw::Bit(bit) => write!(f, ", as = \"bit\", bit = {bit}")?,
            Raw::Bits { first, count } => {
                write!(f, ", as = \"bits\", bit = {first}, count = {count}")?;
            }
            raw => write!(f, ", as = \"{}\"", raw.name())?,
        }
        if let Class::Choice(options) = field.metric.class {
            let words: Vec<_> = options.iter().map(|word| Quoted(word).to_string()).collect();
            write!(f, ", words = {{ {} }}", words.join(", "))?;
        } else if !matches!(field.raw, Raw::Bit(_)) {
            write_scale(f, field)?;
        }
        writeln!(f, ", confidence = \"{}\" }},", field.confidence.letter())?;
    }
    writeln!(f, "    }} }},")
}

/// Writes how the value is computed from the raw number, and its unit.
#[expect(clippy::float_cmp, reason = "1 and 0 mean: as configured, not scaled")]
fn write_scale(f: &mut Formatter<'_>, field: &Field) -> fmt::Result {
    if field.divide != 1.0 {
        write!(f, ", divide = {}", field.divide)?;
    }
    if field.add != 0.0 {
        write!(f, ", add = {}", field.add)?;
    }
    if !field.is_integer() {
        write!(f, ", scaled = true")?;
    }
    if !field.metric.unit.is_empty() {
        write!(f, ", unit = {}", Quoted(&field.metric.unit))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::filter_name;

    #[test]
    fn values_are_filtered_by_their_keys() {
        assert_eq!(filter_name("diverted_kWh"), "myenergi.diverted_kWh");
        assert_eq!(filter_name("0x2C/tank_temp"), "myenergi.x2C.tank_temp");
    }
}
