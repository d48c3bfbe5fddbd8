//! The committed example day is what the simulator makes, on this machine too.

use std::path::Path;

use energi_decoders::{Frame, Product};
use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::simulator::{Household, Settings, truth};
use energi_gateway::capture::{Event, Link, Source};
use jiff::civil::date;
use jiff::tz::TimeZone;

/// Household of `examples/simulate.rs` without options.
fn household() -> Household {
    let london = TimeZone::get("Europe/London").unwrap();
    let start = date(2026, 6, 20).to_zoned(london.clone()).unwrap().timestamp();
    let mut settings = Settings { seed: 60, ..Settings::new(start, london) };
    settings.of(&[Product::Eddi, Product::Zappi, Product::Harvi]);
    Household::new(settings)
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/captures").join(name)
}

#[test]
fn the_example_day_is_reproduced_frame_by_frame() {
    let mut capture = ReplaySource::open(&example("eddi-day.pcapng.gz"), Speed::Max).unwrap();
    let mut household = household();
    let (mut frames, mut eddis) = (0, 0);
    let (mut boost, mut stopped, mut second_heater) = (false, false, false);
    while let Event::Packet(packet) = capture.next().unwrap() {
        let (time, bytes) = household.next_frame().unwrap();
        assert_eq!((packet.time, packet.link), (Some(time), Link::Ethernet), "frame {frames}");
        assert_eq!(packet.bytes, bytes, "frame {frames}");
        let source = Frame::parse(bytes).unwrap().source();
        let state = household.device(0).unwrap();
        boost |= state.boost;
        stopped |= state.stopped;
        second_heater |= state.heater == Some(2);
        frames += 1;
        eddis += u32::from(source == Some(state.mac));
    }
    assert_eq!(eddis, 146_160);
    assert!(boost && stopped && second_heater, "a day with something of everything");

    let mut csv = Vec::new();
    truth::write_csv(&household.truth(), &mut csv).unwrap();
    let committed = std::fs::read_to_string(example("eddi-day.truth.csv")).unwrap();
    assert_eq!(String::from_utf8(csv).unwrap(), committed);
}
