//! Wrong configurations, each with all that is reported: place, path and a word of the message.

type Reported = (&'static str, &'static str, &'static str);

pub(crate) const WRONG: &[(&str, &[Reported])] = &[
    ("", &[("", "", "empty")]),
    ("# nothing yet\n", &[("", "", "empty")]),
    ("- a\n", &[("1:1", "", "mapping")]),
    ("hello\n", &[("1:1", "", "mapping")]),
    ("site: home\n\tfoo: bar\n", &[("2:1", "", "tab")]),
    ("capture: {type: simulator}\nsinks:\n\t- type: stdout\n", &[("3:1", "", "tab")]),
    ("site: [a\nb: c\n", &[("2:2", "", "]")]),
    ("a: &x [*x]\n", &[("1:4", "", "nested too deeply")]),
    ("a: *y\n", &[("1:4", "", "anchor")]),
    ("site: a\n---\nsite: b\n", &[("2:1", "", "another")]),
    ("# mine\n---\nsite: a\n...\nsite: b\n", &[("4:1", "", "another")]),
    ("site: a\n--- # empty\n", &[("2:1", "", "another")]),
    ("site: !label home\n", &[("1:7", "site", "tag")]),
    ("? [a]\n: b\n", &[("1:3", "", "key")]),
    ("site: a\nsite: b\n", &[("2:1", "site", "twice")]),
    (
        "capture: {type: simulator}\nsinks:\n  - {type: stdout, type: sqlite}\n",
        &[("3:20", "sinks[0].type", "twice")],
    ),
    (
        "capture: &live {type: live, interface: eth0}\ndevices: {<<: *live}\n",
        &[("2:11", "devices.<<", "merge")],
    ),
    // The document itself.
    (
        "\u{feff}sit: home\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:1", "sit", "`site`")],
    ),
    ("site: home\n", &[("1:1", "capture", "live"), ("1:1", "sinks", "type: stdout")]),
    (
        "sit: home
site: ' '
timezone: Mars/Base
shutdown_timeout: -4
wibble: 1
capture: {type: simulator}
sinks: [type: stdout]
",
        &[
            ("1:1", "sit", "`site`"),
            ("2:7", "site", "label"),
            ("3:11", "timezone", "IANA"),
            ("4:19", "shutdown_timeout", "duration"),
            ("5:1", "wibble", "`tariff`"),
        ],
    ),
    (
        "timezone: Europe/Lodnon\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:11", "timezone", "`Europe/London`")],
    ),
    (
        "timezone: Berlin\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:11", "timezone", "`Europe/Berlin`")],
    ),
    (
        "site: ${HOUSE}\ncapture: {type: replay, path: '${X'}\nsinks: [type: stdout]\n",
        &[("1:7", "site", "`HOUSE`"), ("2:31", "capture.path", "closed")],
    ),
    (
        "tariff: {import: cheap}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:18", "tariff.import", "a price")],
    ),
    (
        "tariff: {import: 1, currency: pounds}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:31", "tariff.currency", "GBP")],
    ),
    // Where frames come from.
    ("capture: live\nsinks: [type: stdout]\n", &[("1:10", "capture", "`type`")]),
    ("capture: {}\nsinks: [type: stdout]\n", &[("1:10", "capture.type", "missing")]),
    ("capture: {typ: live}\nsinks: [type: stdout]\n", &[("1:11", "capture.typ", "`type`")]),
    ("capture: {type: life}\nsinks: [type: stdout]\n", &[("1:17", "capture.type", "`live`")]),
    ("capture: {type: wire}\nsinks: [type: stdout]\n", &[("1:17", "capture.type", "`simulator`")]),
    (
        "capture: {type: live, promiscuous: maybe, interface: eth0}\nsinks: [type: stdout]\n",
        &[("1:36", "capture.promiscuous", "true or false")],
    ),
    (
        "capture: {type: live, promiscuous: true}\nsinks: [type: stdout]\n",
        &[("1:10", "capture", "`interface`")],
    ),
    (
        "capture: {type: live, interface: eth0, path: a}\nsinks: [type: stdout]\n",
        &[("1:40", "capture.path", "`promiscuous`")],
    ),
    (
        "capture:\n  type: live\n  interface: a/b\nsinks: [type: stdout]\n",
        &[("3:14", "capture.interface", "`a/b`")],
    ),
    ("capture:\n  type: replay\n  path: -\nsinks: [type: stdout]\n", &[("3:9", "", "`\"-\"`")]),
    (
        "capture: {type: replay, path: ''}\nsinks: [type: stdout]\n",
        &[("1:31", "capture.path", "capture file")],
    ),
    (
        "capture: {type: replay, path: a, speed: 0}\nsinks: [type: stdout]\n",
        &[("1:41", "capture.speed", "above 0")],
    ),
    (
        "capture: {type: simulator, start: later}\nsinks: [type: stdout]\n",
        &[("1:35", "capture.start", "`now`")],
    ),
    (
        "capture: {type: simulator, seed: -1}\nsinks: [type: stdout]\n",
        &[("1:34", "capture.seed", "whole number")],
    ),
    // Devices.
    (
        "devices: {max: 4294967296}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:16", "devices.max", "4294967295")],
    ),
    (
        "devices: {list: {serial: 5}}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:17", "devices.list", "list")],
    ),
    (
        "devices:\n  only_listed: true\n  max: 0\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("2:16", "devices.only_listed", "listed"), ("3:8", "devices.max", "10000")],
    ),
    (
        "devices:
  list:
    - {serial: 0}
    - {serial: 9}
    - {serial: 9}
capture: {type: simulator}
sinks: [type: stdout]
",
        &[
            ("3:16", "devices.list[0].serial", "label"),
            ("5:16", "devices.list[2].serial", "already"),
        ],
    ),
    (
        "devices: {list: [{serial: 1}, {serial: 7, mac: x}]}
capture: {type: simulator}
sinks: [type: stdout]
",
        &[("1:48", "devices.list[1].mac", "70:b3:d5")],
    ),
    (
        "devices: {list: [{serial: seven}]}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:27", "devices.list[0].serial", "`seven`")],
    ),
    (
        "devices: {list: [{serial: 1, macs: 1}]}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:30", "devices.list[0].macs", "`mac`")],
    ),
    // Decoders.
    (
        "decoders: {plausibility: drop}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:26", "decoders.plausibility", "`withhold`, `keep`")],
    ),
    (
        "decoders: {experimental: {0x2C: true}}\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
        &[("1:33", "decoders.experimental.0x2C", "0x27")],
    ),
    (
        "decoders:
  custom:
    - length: 0x2C
      name: a
      fields:
        - {key: a, offset: 0x50, type: i16}
        - {key: 'a b', offset: 0x30, type: i16, divide: 0}
        - {key: c, offset: 0x30}
capture: {type: simulator}
sinks: [type: stdout]
",
        &[
            ("6:28", "decoders.custom[0].fields[0].offset", "0x43"),
            ("7:17", "decoders.custom[0].fields[1].key", "a-z"),
            ("7:57", "decoders.custom[0].fields[1].divide", "0"),
            ("8:11", "decoders.custom[0].fields[2].type", "`bit`"),
        ],
    ),
    (
        "decoders: {custom: [{length: 1, name: a, fields: [{key: a, ofset: 3}]}]}
capture: {type: simulator}
sinks: [type: stdout]
",
        &[("1:60", "decoders.custom[0].fields[0].ofset", "`offset`")],
    ),
    // Sinks.
    ("capture: {type: simulator}\nsinks: []\n", &[("2:8", "sinks", "type: stdout")]),
    ("capture: {type: simulator}\nsinks: {type: stdout}\n", &[("2:8", "sinks", "list")]),
    (
        "capture: {type: simulator}
sinks:
  - {typ: stdout}
  - {nmae: a}
  - {type: [stdout]}
  - type: sqlight
  - stdout
  - {type: mush}
",
        &[
            ("3:6", "sinks[0].typ", "`type`"),
            ("4:5", "sinks[1].type", "missing"),
            ("5:12", "sinks[2].type", "stdout"),
            ("6:11", "sinks[3].type", "`sqlite`"),
            ("7:5", "sinks[4]", "`type`"),
            ("8:12", "sinks[5].type", "`stdout`"),
        ],
    ),
    (
        "capture: {type: simulator}
sinks:
  - type: stdout
  - type: sqlite
    name: history
    path: energi.db
    hots: 5
  - {type: sqlite, pth: a}
  - {type: stdout, nmae: a}
",
        &[
            ("7:5", "sinks[1].hots", "`flush_interval`"),
            ("8:20", "sinks[2].pth", "`path`"),
            ("9:20", "sinks[3].nmae", "`name`"),
        ],
    ),
    (
        "capture: {type: simulator}
sinks:
  - {type: sqlite, name: a, path: a, retention: 30d}
  - {type: sqlite, name: b, path: b, retention: {sample: 3d}}
  - {type: sqlite, name: c, path: c, flush_interval: soon}
  - {type: sqlite, name: d, path: '', flush_interval: 2h}
  - {type: sqlite, name: a/b, path: e}
",
        &[
            ("3:49", "sinks[0].retention", "{samples: ...}"),
            ("4:50", "sinks[1].retention.sample", "`samples`"),
            ("5:54", "sinks[2].flush_interval", "10s"),
            ("6:35", "sinks[3].path", "energi.db"),
            ("6:55", "sinks[3].flush_interval", "1h"),
            ("7:26", "sinks[4].name", "letters"),
        ],
    ),
    (
        "capture: {type: simulator}
sinks:
  - {type: sqlite, name: history, path: data/energi.db}
  - {type: sqlite, name: again, path: ./data//x/../energi.db}
  - {type: stdout}
  - {type: stdout}
",
        &[("4:39", "sinks[1].path", "`history`"), ("6:5", "sinks[3].name", "`stdout`")],
    ),
    (
        "capture: {type: simulator}
sinks:
  - {type: mqtt, url: broker}
  - {type: influxdb, url: \"host:8086\", org: home, bucket: energy}
",
        &[("3:23", "sinks[0].url", "scheme"), ("4:27", "sinks[1].url", "scheme")],
    ),
    (
        "capture: {type: simulator}
sinks:
  - {type: influxdb, url: \"http://h\", org: home, bucket: energy, proxy: [a]}
",
        &[("3:73", "sinks[0].proxy", "http://proxy:3128")],
    ),
];
