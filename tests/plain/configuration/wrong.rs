//! Wrong configurations, each with all that is said about it.

pub(crate) const WRONG: &[(&str, &str)] = &[
    (
        "",
        "config.yaml: the file is empty; config.example.yaml shows what belongs in it",
    ),
    (
        "# nothing yet
",
        "config.yaml: the file is empty; config.example.yaml shows what belongs in it",
    ),
    (
        "- a
",
        "config.yaml:1:1: expected a mapping (`key: value`)",
    ),
    (
        "hello
",
        "config.yaml:1:1: expected a mapping (`key: value`)",
    ),
    (
        "site: home
\tfoo: bar
",
        "config.yaml:2:1: a tab indents this line; YAML takes spaces only",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks:
\t- type: stdout
",
        "config.yaml:3:1: a tab indents this line; YAML takes spaces only",
    ),
    (
        "site: [a
b: c
",
        "config.yaml:2:2: did not find expected ',' or ']'",
    ),
    (
        "a: &x [*x]
",
        "config.yaml:1:4: nested too deeply",
    ),
    (
        "a: *y
",
        "config.yaml:1:4: this alias (`*name`) has no anchor (`&name`)",
    ),
    (
        "site: a
---
site: b
",
        "config.yaml:2:1: another YAML document begins here; keep one",
    ),
    (
        "# mine
---
site: a
...
site: b
",
        "config.yaml:5:1: another YAML document begins here; keep one",
    ),
    (
        "site: a
--- # empty
",
        "config.yaml:2:1: another YAML document begins here; keep one",
    ),
    (
        "\u{feff}sit: home
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:1:1: sit: unknown key `sit`; did you mean `site`?",
    ),
    (
        "capture:
  type: replay
  path: -
sinks: [type: stdout]
",
        "config.yaml:3:9: no list can begin here; text that is only `-` needs quotes: `\"-\"`",
    ),
    (
        "capture: {type: replay, path: ''}
sinks: [type: stdout]
",
        "config.yaml:1:31: capture.path: name a capture file, or `\"-\"` for standard input",
    ),
    (
        "capture: {typ: simulator}
sinks:
  - {typ: stdout}
  - {nmae: a}
  - {typ: ~, paht: '${NOWHERE}'}
",
        "config.yaml:1:11: capture.typ: unknown key `typ`; did you mean `type`?
config.yaml:3:6: sinks[0].typ: unknown key `typ`; did you mean `type`?
config.yaml:4:5: sinks[1].type: the key is missing; it is one of stdout, sqlite, mqtt, influxdb
config.yaml:4:6: sinks[1].nmae: unknown key `nmae`; did you mean `name`?
config.yaml:5:6: sinks[2].typ: unknown key `typ`; did you mean `type`?
config.yaml:5:14: sinks[2].paht: unknown key `paht`; did you mean `path`?",
    ),
    (
        "capture: &live {type: live, interface: eth0}
devices: {<<: *live}
sinks:
  - &base {type: sqlite, path: a.db}
  - <<: *base
    path: b.db
  - {type: stdout, <<: *base}
",
        "config.yaml:2:11: devices.<<: merge keys are not read; write the keys here, or alias single values
config.yaml:5:5: sinks[1].<<: merge keys are not read; write the keys here, or alias single values
config.yaml:7:20: sinks[2].<<: merge keys are not read; write the keys here, or alias single values",
    ),
    (
        "capture:
  <<: {interface: eth0}
  type: live
sinks: [type: stdout]
",
        "config.yaml:2:3: capture.<<: merge keys are not read; write the keys here, or alias single values",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks:
  - {type: sqlite, name: history, path: data/energi.db}
  - {type: sqlite, name: again, path: ./data//x/../energi.db}
  - {type: sqlite, name: other, path: data/other.db}
  - {type: sqlite, name: default}
  - type: sqlite
    name: same
    path: energi.db
",
        "config.yaml:4:39: sinks[1].path: the sink `history` writes there too; give each its own
config.yaml:9:11: sinks[4].path: the sink `default` writes there too; give each its own",
    ),
    (
        "timezone: Europe/Lodnon
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:1:11: timezone: `Europe/Lodnon` is not a time zone; did you mean `Europe/London`?",
    ),
    (
        "timezone: Berlin
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:1:11: timezone: `Berlin` is not a time zone; did you mean `Europe/Berlin`?",
    ),
    (
        "site: !label home
",
        "config.yaml:1:7: expected a value without a YAML tag (`!name`)",
    ),
    (
        "? [a]
: b
",
        "config.yaml:1:3: expected a key",
    ),
    (
        "site: home
",
        "config.yaml:1:1: capture: the key is missing; it says where frames come from: live, replay or simulator
config.yaml:1:1: sinks: no sink is listed, so readings would go nowhere; list `- type: stdout`",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks:
  - type: stdout
  - type: sqlite
    name: history
    path: energi.db
    hots: 5
",
        "config.yaml:7:5: sinks[1].hots: unknown key `hots`; did you mean `path`?",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks:
  - nmae: a
    type: stdout
  - type: sqlite
    retention: {sample: 3d, samples: x}
    flush_interval: soon
  - type: sqlite
    name: b
    flush_interval: 2h
    path: ''
",
        "config.yaml:3:5: sinks[0].nmae: unknown key `nmae`; did you mean `name`?
config.yaml:6:17: sinks[1].retention.sample: unknown key `sample`; did you mean `samples`?
config.yaml:6:38: sinks[1].retention.samples: expected a duration such as 500ms, 10s, 5m, 2h or 30d (36500d at most), found `x`
config.yaml:7:21: sinks[1].flush_interval: expected a duration such as 500ms, 10s, 5m, 2h or 30d (36500d at most), found `soon`
config.yaml:10:21: sinks[2].flush_interval: commit once in 1h at least
config.yaml:11:11: sinks[2].path: name a file, such as energi.db",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks: []
",
        "config.yaml:2:8: sinks: no sink is listed, so readings would go nowhere; list `- type: stdout`",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks: {type: stdout}
",
        "config.yaml:2:8: sinks: expected a list",
    ),
    (
        "capture: {type: live, interface: eth0}
sinks:
  - type: sqlight
  - name: a
  - stdout
  - type: stdout
  - type: stdout
  - {type: stdout, name: a/b}
  - {type: [stdout]}
  - {type: stdout, type: sqlite}
",
        "config.yaml:3:11: sinks[0].type: `sqlight` is not one of `stdout`, `sqlite`, `mqtt`, `influxdb`; did you mean `sqlite`?
config.yaml:4:5: sinks[1].type: the key is missing; it is one of stdout, sqlite, mqtt, influxdb
config.yaml:5:5: sinks[2]: expected a mapping (`key: value`)
config.yaml:7:5: sinks[4].name: another sink is called `stdout` too; give one of them another `name`
config.yaml:8:26: sinks[5].name: use 1 to 64 letters, digits, spaces, `-`, `_` and `.`
config.yaml:9:12: sinks[6].type: expected a type of sink: stdout, sqlite, mqtt, influxdb
config.yaml:10:5: sinks[7].name: another sink is called `stdout` too; give one of them another `name`
config.yaml:10:20: sinks[7].type: this key is there twice; keep one",
    ),
    (
        "sit: home
site: a
site: b
timezone: Mars/Base
shutdown_timeout: -4
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:1:1: sit: unknown key `sit`; did you mean `site`?
config.yaml:3:1: site: this key is there twice; keep one
config.yaml:4:11: timezone: `Mars/Base` is not a time zone; use an IANA name such as Europe/London
config.yaml:5:19: shutdown_timeout: expected a duration such as 500ms, 10s, 5m, 2h or 30d (36500d at most), found `-4`",
    ),
    (
        "capture: {typ: live}
sinks: [type: stdout]
",
        "config.yaml:1:11: capture.typ: unknown key `typ`; did you mean `type`?",
    ),
    (
        "capture: {}
sinks: [type: stdout]
",
        "config.yaml:1:10: capture.type: the key is missing; it is one of live, replay or simulator",
    ),
    (
        "capture: live
sinks: [type: stdout]
",
        "config.yaml:1:10: capture: expected a mapping (`key: value`)",
    ),
    (
        "capture: {type: life}
sinks: [type: stdout]
",
        "config.yaml:1:17: capture.type: `life` is not one of `live`, `replay`, `simulator`; did you mean `live`?",
    ),
    (
        "capture: {type: live, promiscuous: maybe, path: a}
sinks: [type: stdout]
",
        "config.yaml:1:10: capture: the key `interface` is missing
config.yaml:1:36: capture.promiscuous: expected true or false, found `maybe`
config.yaml:1:43: capture.path: unknown key `path`; did you mean `interface`?",
    ),
    (
        "capture:
  type: live
  interface: a/b
sinks: [type: stdout]
",
        "config.yaml:3:14: capture.interface: `a/b` is no interface: a name has no blank, `/` or `:` in it and is not `.` or `..`",
    ),
    (
        "capture: {type: replay, path: a, speed: 0}
sinks: [type: stdout]
",
        "config.yaml:1:41: capture.speed: expected `max`, 1 (as recorded) or another number above 0, such as 60 (a minute a second), found `0`",
    ),
    (
        "capture: {type: replay, path:, speed: fast}
sinks: [type: stdout]
",
        "config.yaml:1:29: found unexpected ':'",
    ),
    (
        "capture: {type: simulator, start: later, seed: -1, devices: 0}
sinks: [type: stdout]
",
        "config.yaml:1:35: capture.start: expected `now`, a local time such as 2026-06-20T06:00 or a moment such as 2026-06-20T05:00:00Z, found `later`
config.yaml:1:48: capture.seed: expected a whole number, 0 or more, found `-1`
config.yaml:1:61: capture.devices: simulate 1 to 100 devices",
    ),
    (
        "devices: {max: 4294967296, only_listed: 1, list: {serial: 5}}
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:1:16: devices.max: expected a whole number from 0 to 4294967295, found `4294967296`
config.yaml:1:41: devices.only_listed: expected true or false, found `1`
config.yaml:1:50: devices.list: expected a list",
    ),
    (
        "devices:
  only_listed: true
  max: 0
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:2:16: devices.only_listed: no device is listed, so none would be heard; list one or write false
config.yaml:3:8: devices.max: allow 1 to 10000 devices",
    ),
    (
        "devices:
  list:
    - {serial: seven}
    - {serial: 0}
    - {serial: 7, mac: x}
    - {name: q, macs: 1}
    - {serial: 9}
    - {serial: 9}
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        "config.yaml:3:16: devices.list[0].serial: expected a whole number from 0 to 4294967295, found `seven`
config.yaml:4:16: devices.list[1].serial: no device has the serial number 0; see the device's label
config.yaml:5:24: devices.list[2].mac: `x` is not a MAC address: write six pairs of hex digits, as in 70:b3:d5:0c:65:a5
config.yaml:6:7: devices.list[3]: the key `serial` is missing
config.yaml:6:17: devices.list[3].macs: unknown key `macs`; did you mean `mac`?
config.yaml:8:16: devices.list[5].serial: 9 is listed already; keep one",
    ),
    (
        r#"decoders:
  experimental: {"0x2C": true, 0x27: 3, "0x36": true}
  plausibility: drop
capture: {type: live, interface: eth0}
sinks: [type: stdout]
"#,
        "config.yaml:2:18: decoders.experimental.0x2C: 0x2C has no experimental decoder; 0x27, 0x2B, 0x36, 0x37, 0x38, 0x3A have
config.yaml:2:38: decoders.experimental.0x27: expected true or false, found `3`
config.yaml:3:17: decoders.plausibility: `drop` is not one of `withhold`, `keep`; did you mean `keep`?",
    ),
    (
        "decoders:
  custom:
    - {lenght: 1}
    - {length: 300, name: a, fields: []}
    - length: 0x2C
      name: a
      fields:
        - {key: a, offset: 0x50, type: i17}
        - {key: b, ofset: 0x20, bit: 9}
        - {key: 'a b', offset: 0x30, type: i16, divide: 0, range: [1]}
        - {key: c, offset: 0x30}
    - {length: 0x2D, name: b, fields: [{key: a, offset: 0x30, type: i16, range: [1, 2, 3]}]}
    - {length: 0x2D, name: c, fields: [{key: a, offset: 0x30, type: i16}]}
    - {length: 0x2D, name: d, fields: [{key: a, offset: 0x30, type: i16}]}
capture: {type: live, interface: eth0}
sinks: [type: stdout]
",
        r#"config.yaml:3:7: decoders.custom[0]: the key `length` is missing
config.yaml:3:7: decoders.custom[0]: the key `name` is missing
config.yaml:3:7: decoders.custom[0]: the key `fields` is missing
config.yaml:3:8: decoders.custom[0].lenght: unknown key `lenght`; did you mean `length`?
config.yaml:4:16: decoders.custom[1].length: expected a number of 8 bits such as "0x2C" or 44, found `300`
config.yaml:8:28: decoders.custom[2].fields[0].offset: 1 bytes at 0x50 do not lie inside the record, which goes from 0x18 to 0x43
config.yaml:8:40: decoders.custom[2].fields[0].type: `i17` is not one of `u8`, `i8`, `u16`, `i16`, `u32`, `i32`; did you mean `i16`?
config.yaml:9:11: decoders.custom[2].fields[1]: the key `offset` is missing
config.yaml:9:20: decoders.custom[2].fields[1].ofset: unknown key `ofset`; did you mean `offset`?
config.yaml:10:17: decoders.custom[2].fields[2].key: use 1 to 64 of a-z, A-Z, 0-9, `_` and `-`
config.yaml:10:57: decoders.custom[2].fields[2].divide: divide by a number other than 0
config.yaml:10:67: decoders.custom[2].fields[2].range: expected a list of 2 values, found 1
config.yaml:11:11: decoders.custom[2].fields[3].type: give a `type` (u8, i8, u16, i16, u32, i32) or a `bit`
config.yaml:12:81: decoders.custom[3].fields[0].range: expected a list of 2 values
config.yaml:13:7: decoders.custom[4]: 0x2D: `b` and `c` both read it; give them different record types
config.yaml:14:7: decoders.custom[5]: 0x2D: `b` and `d` both read it; give them different record types"#,
    ),
    (
        "site: ${HOUSE}
capture: {type: replay, path: '${X'}
sinks: [type: stdout]
",
        "config.yaml:1:7: site: the environment variable `HOUSE` is not set; set it, or write `$$` for a dollar
config.yaml:2:31: capture.path: `${` is not closed; write `${NAME}` for an environment variable, `$$` for a dollar",
    ),
    (
        "capture: &c {type: live, interface: eth0}
sinks: [*c]
",
        "config.yaml:1:20: sinks[0].type: `live` is not one of `stdout`, `sqlite`, `mqtt`, `influxdb`; did you mean `sqlite`?",
    ),
];
