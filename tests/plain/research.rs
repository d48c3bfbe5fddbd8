//! Promises to a user who looks for the meaning of unknown bytes.

use serde_json::Value;
use support::gateway::{Sandbox, example_day, stderr, stdout};

/// The address of the example day's eddi.
const EDDI: &str = "70:b3:d5:0c:65:a5";

/// Asks about the example day.
fn ask(sandbox: &Sandbox, question: &[&str]) -> std::process::Output {
    let day = example_day();
    sandbox.run(&[&["research"], question, &[day.to_str().unwrap()]].concat())
}

fn answer(question: &[&str]) -> Value {
    let output = ask(&Sandbox::new(), &[question, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Parts that a configuration needs beside decoders.
const REST: &str = "capture: {type: simulator}\nsinks: [type: stdout]\n";

fn rows(question: &[&str]) -> Vec<Value> {
    answer(question).as_array().unwrap().clone()
}

#[test]
fn the_types_of_records_are_listed() {
    let rows = rows(&["types"]);
    let kinds: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            (
                text("length"),
                row["count"].as_u64().unwrap(),
                row["interval"].as_f64().unwrap().round(),
                text("status"),
            )
        })
        .collect();
    let kind = |length: &str| kinds.iter().find(|kind| kind.0 == length).unwrap().clone();
    assert_eq!(kind("0x22"), ("0x22".into(), 43_200, 2.0, "confirmed".into()));
    assert_eq!(kind("0x36"), ("0x36".into(), 43_200, 2.0, "experimental".into()));
    assert_eq!(kind("0x2C"), ("0x2C".into(), 7200, 12.0, "unknown".into()));
    assert!(kinds.len() > 12, "those of an eddi, and of other devices: {kinds:?}");
    assert_eq!(rows[0]["sample"].as_str().unwrap().len(), 2 + 2 * 0x1F);
}

#[test]
fn bytes_are_told_apart_by_how_they_behave() {
    let rows = rows(&["bytes", "--length", "0x2C", "--constant"]);
    let row = |offset: &str| rows.iter().find(|row| row["offset"] == offset).unwrap();
    // The serial number, the day's energy, noise, the divert power in minutes.
    assert_eq!(row("0x1E")["class"], "constant");
    assert_eq!(row("0x22")["class"], "counter");
    assert_eq!(
        (&row("0x30")["class"], row("0x30")["distinct"].as_u64()),
        (&"changing".into(), Some(256))
    );
    assert!(row("0x30")["entropy"].as_f64().unwrap() > 7.9);
    assert_eq!(row("0x35")["class"], "constant");
    let plausible: Vec<_> = row("0x22")["wide"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|wide| wide["plausible"] == true)
        .map(|wide| (wide["type"].as_str().unwrap(), wide["max"].as_i64().unwrap()))
        .collect();
    assert_eq!(plausible, [("u16", 2109), ("i16", 2109)]);
}

#[test]
fn what_changed_at_a_noted_moment_comes_first() {
    // The boost begins at 05:53:30 in London.
    // A harvi sends records of this length too.
    let rows =
        rows(&["bytes", "--length", "0x20", "--source", EDDI, "--at", "2026-06-20T04:53:30Z"]);
    let boost = rows.iter().position(|row| row["offset"] == "0x2E").unwrap();
    assert!(boost < 4, "{rows:#?}");
    assert_eq!(rows[boost]["flipped"], serde_json::json!([4]));
    assert!(rows[boost]["elsewhere"].as_f64().unwrap() < 0.02);
    let output =
        ask(&Sandbox::new(), &["bytes", "--length", "0x20", "--at", "2026-06-25T00:00:00Z"]);
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn the_decoder_of_a_field_found_works_as_pasted() {
    let sandbox = Sandbox::new();
    let output = ask(&sandbox, &["correlate", "--length", "0x2C", "--with", "divert_pwr"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    let (_, yaml) = text.split_at(text.find("decoders:").unwrap());
    assert!(yaml.contains("offset: \"0x34\""), "{yaml}");
    sandbox.write("config.yaml", format!("{yaml}{REST}"));
    let check = sandbox.run(&["check", "-c", "config.yaml"]);
    assert!(check.status.success(), "{}", stderr(&check));

    // It says what it was made to say.
    let verify = ask(&sandbox, &["verify", "-c", "config.yaml", "--format", "json"]);
    assert!(verify.status.success(), "{}{}", stdout(&verify), stderr(&verify));
    let answer: Value = serde_json::from_str(&stdout(&verify)).unwrap();
    let field = &answer[0]["fields"][0];
    assert_eq!(field["follows"]["key"], "divert_pwr");
    assert!((field["follows"]["factor"].as_f64().unwrap() - 1.0).abs() < 0.02, "{field}");
    assert_eq!(answer[0]["records"], 7200);
}

#[test]
fn a_capture_given_twice_says_the_same() {
    let day = example_day();
    let day = day.to_str().unwrap();
    let question = ["correlate", "--length", "0x39", "--with", "divert_pwr", "--format", "json"];
    let output = Sandbox::new().run(&[&["research"], &question[..], &[day, day]].concat());
    assert!(stderr(&output).contains("1440 repeated"), "{}", stderr(&output));
    let twice: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let once = answer(&question[..5]);
    assert!(!once["findings"].as_array().unwrap().is_empty());
    assert_eq!(twice["findings"], once["findings"]);
}

#[test]
fn known_metrics_are_found_where_they_are_repeated() {
    let answer = answer(&["correlate", "--length", "0x2B", "--with", "all"]);
    let found = answer["findings"].as_array().unwrap();
    for (field, key, divide) in [
        ("0x2B/frequency", "frequency", 100.0),
        ("0x2B/diverted_kWh", "diverted_kWh", 100.0),
        ("0x2B/grid_pwr", "grid_pwr", 1.0),
        ("0x2B/gen_pwr", "gen_pwr", 1.0),
    ] {
        let finding = found.iter().find(|finding| finding["fields"] == serde_json::json!([field]));
        let finding = finding.unwrap_or_else(|| panic!("{field}: {answer:#}"));
        assert_eq!((&finding["key"], &finding["fit"]["divide"]), (&key.into(), &divide.into()));
        assert_eq!(finding["fit"]["add"], 0.0, "{field}");
    }
}

#[test]
fn a_flag_is_found_by_the_moments_at_which_it_changes() {
    let question = ["correlate", "--length", "0x20", "--source", EDDI, "--with", "heater2"];
    let answer = answer(&question);
    let first = &answer["findings"][0];
    assert_eq!((&first["offset"], &first["type"]), (&"0x2F".into(), &"bit 1".into()));
    assert_eq!(first["fields"], serde_json::json!(["heater2"]));
}

#[test]
fn a_decoder_that_does_not_fit_is_told_why() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        r#"
decoders:
  custom:
    - length: "0x2C"
      name: wrong
      fields:
        - {key: constant, offset: "0x24", type: u16}
        - {key: low, offset: "0x34", type: u16, divide: 0.1, unit: W}
        - {key: narrow, offset: "0x30", type: u8, range: [0, 9]}
    - {length: "0x40", name: absent, fields: [{key: x, offset: "0x30", type: u8}]}
capture: {type: simulator}
sinks: [type: stdout]
"#,
    );
    let output = ask(&sandbox, &["verify", "-c", "config.yaml"]);
    assert_eq!(output.status.code(), Some(65));
    let text = stdout(&output);
    for warning in [
        "0x2C/constant: never changes",
        "0x2C/low: divert_pwr is 6.0",
        "outside its range",
        "never matched",
    ] {
        assert!(text.contains(warning), "{warning}: {text}");
    }
    assert!(stderr(&output).contains("4 warnings"), "{}", stderr(&output));
}

#[test]
fn a_wrong_question_is_answered_with_what_to_ask() {
    let sandbox = Sandbox::new();
    for (question, code, answer) in [
        (&["correlate", "--length", "0x2C", "--with", "moon"][..], 64, "divert_pwr"),
        (&["correlate", "--length", "0x2C", "--with", "all", "--serial", "7"], 65, "17589669"),
        (&["bytes", "--length", "0x99"], 65, "research types"),
        (&["bytes", "--length", "0x2C", "--record-type", "1"], 65, "research types"),
        (&["bytes", "--length", "boiler"], 64, "0x2C"),
        (&["bytes", "--length", "0x2C", "--at", "noon"], 64, "11:02:30"),
    ] {
        let output = ask(&sandbox, question);
        assert_eq!(output.status.code(), Some(code), "{question:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(answer), "{question:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let missing = sandbox.run(&["research", "types", "nowhere.pcapng"]);
    assert_eq!(missing.status.code(), Some(66));
}

/// Returns what a confirmed decoder reads in the example day: time, key and value of each reading.
fn decoded(sandbox: &Sandbox, packet: &str, key: &str) -> Vec<(String, String)> {
    let day = example_day();
    let output = sandbox.run(&["decode", day.to_str().unwrap()]);
    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["packet"] == packet)
        .map(|line| (line["time"].as_str().unwrap().to_owned(), line["fields"][key].to_string()))
        .collect()
}

#[test]
fn a_series_from_outside_is_found_by_equality() {
    let sandbox = Sandbox::new();
    // Somebody's meter, in kW, over two hours of generation.
    let powers = decoded(&sandbox, "0x22", "gen_pwr");
    let noon = powers.iter().position(|(time, _)| time.contains("T11:")).unwrap();
    let lines = powers[noon..noon + 3600].iter().map(|(time, watts)| {
        let kilowatts = watts.parse::<f64>().unwrap() / 1000.0;
        format!("{time},meter,{kilowatts}\n")
    });
    let csv: Vec<_> = ["time,name,value\n".to_owned()].into_iter().chain(lines).collect();
    let meter = sandbox.write("meter.csv", csv.concat());
    let question = ["correlate", "--length", "0x22", "--exact", "--format", "json", "--series"];
    let output = ask(&sandbox, &[&question[..], &[meter.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found[0]["offset"], "0x22", "{found}");
    assert_eq!(found[0]["scale"], 0.001, "{found}");
    assert_eq!(found[0]["key"], "meter", "{found}");
}

#[test]
fn a_noted_state_is_found_by_its_bits() {
    let sandbox = Sandbox::new();
    // The owner's notes of when the heater was on, a second late each.
    let flags = decoded(&sandbox, "0x20", "heater1");
    let mut notes = vec![(String::new(), String::new())];
    for (time, flag) in flags {
        if notes.last().is_some_and(|(_, last)| *last != flag) {
            notes.push((time, flag));
        }
    }
    let notes = notes.drain(1..).map(|(time, flag)| {
        let word = if flag == "true" { "heating" } else { "idle" };
        format!("{{\"time\": \"{time}\", \"name\": \"heater\", \"value\": \"{word}\"}}")
    });
    let notes = sandbox.write("notes.json", format!("[{}]", notes.collect::<Vec<_>>().join(",")));
    let question = ["bits", "--length", "0x20", "--source", EDDI, "--format", "json", "--series"];
    let output = ask(&sandbox, &[&question[..], &[notes.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let bit = found.as_array().unwrap().iter().find(|row| row["offset"] == "0x2F").unwrap();
    assert_eq!(bit["bit"], 0, "{found}");
    let zeros = |state: &str| bit["states"][state]["zeros"].as_u64().unwrap();
    let ones = |state: &str| bit["states"][state]["ones"].as_u64().unwrap();
    assert!(zeros("heating") * 20 < ones("heating") && ones("idle") * 20 < zeros("idle"), "{bit}");
}

#[test]
fn a_series_that_cannot_be_used_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("meter.csv", "time,name,value\n2026-06-20T12:00:00Z,meter,1.5\n");
    sandbox.write("notes.csv", "time,name,value\n2026-06-20T12:00:00Z,heater,idle\n");
    for (words, code) in [
        (["correlate", "--series", "notes.csv"], 65),
        (["bits", "--series", "no.csv"], 66),
        (["correlate", "--cloud", "meter.csv"], 65),
    ] {
        let words = [&["research"][..], &words, &["--length", "0x20", "meter.csv"]].concat();
        let output = sandbox.run(&words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
    }
}
