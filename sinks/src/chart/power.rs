//! Powers over some hours, as lines.

use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ChartOptions;
use super::svg::{Anchor, Item, LINE, Svg, ticks};
use crate::energy::grouped;

const LEFT: f64 = 54.0;
const RIGHT: f64 = 16.0;
const HEIGHT: f64 = 220.0;

/// Means further apart than this are not joined.
const APART: SignedDuration = SignedDuration::from_mins(3);

/// One power over time.
#[derive(Debug, Clone)]
pub struct PowerSeries {
    /// Class of its line, such as `grid-line`.
    pub class: &'static str,
    /// The name.
    pub name: String,
    /// Times and watts, oldest first.
    pub points: Vec<(Timestamp, f64)>,
}

/// Draws the powers of `time`; local times are those of `timezone`.
#[must_use]
pub fn power_chart(
    title: &str,
    series: &[PowerSeries],
    time: Range<Timestamp>,
    timezone: &TimeZone,
    options: &ChartOptions,
) -> String {
    let width = f64::from(options.width.clamp(280, 4_000));
    let mut svg = Svg::default();
    svg.text("heading", Anchor::Start, 16.0, 36.0, title);
    let items: Vec<Item<'_>> = series
        .iter()
        .map(|series| Item { class: Some(series.class), text: series.name.clone() })
        .collect();
    let y = svg.flow(&items, 16.0, width - RIGHT, 36.0 + LINE + 6.0);
    let scale = Scale::of(series, &time, width, y + 30.0);
    scale.axes(&mut svg, &time, timezone);
    for series in series {
        svg.begin(&series.name);
        svg.path(&format!("line {}", series.class), scale.line(&series.points));
        svg.end();
    }
    let latest = series.iter().filter_map(|series| {
        let (_, watts) = series.points.last()?;
        Some(format!("{} {} W", series.name, grouped(*watts, 0)))
    });
    let latest: Vec<String> = latest.collect();
    let description = match &latest[..] {
        [] => "No data.".to_owned(),
        latest => format!("At the end: {}.", latest.join(", ")),
    };
    let size = (width, scale.top + HEIGHT + 30.0);
    svg.finish(size, title, &description, options.standalone)
}

#[derive(Debug, Clone, Copy)]
struct Scale {
    start: i64,
    end: i64,
    right: f64,
    top: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(series: &[PowerSeries], time: &Range<Timestamp>, width: f64, top: f64) -> Self {
        let watts = || series.iter().flat_map(|series| &series.points).map(|(_, watts)| *watts);
        let high = watts().fold(100.0, f64::max).min(1e7) * 1.05;
        let low = watts().fold(0.0, f64::min).max(-1e7);
        let low = if low < 0.0 { (low * 1.05).min(-high / 12.0) } else { 0.0 };
        let (start, end) = (time.start.as_millisecond(), time.end.as_millisecond());
        Self { start, end: end.max(start + 1), right: width - RIGHT, top, low, high }
    }

    #[expect(clippy::cast_precision_loss, reason = "some days in milliseconds")]
    fn x(&self, time: Timestamp) -> f64 {
        let share = (time.as_millisecond() - self.start) as f64 / (self.end - self.start) as f64;
        LEFT + (self.right - LEFT) * share.clamp(0.0, 1.0)
    }

    fn y(&self, watts: f64) -> f64 {
        let share = (watts.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.top + HEIGHT * (1.0 - share)
    }

    /// The points with gaps, those of one pixel across as their mean.
    fn line(&self, points: &[(Timestamp, f64)]) -> Vec<Option<(f64, f64)>> {
        #[expect(clippy::cast_possible_truncation, reason = "some pixels")]
        let column = |point: &(Timestamp, f64)| self.x(point.0) as i64;
        let mut line = Vec::new();
        let mut last: Option<Timestamp> = None;
        for points in points.chunk_by(|a, b| column(a) == column(b)) {
            let (Some(first), Some(end)) = (points.first(), points.last()) else { continue };
            if last.is_some_and(|last| first.0.duration_since(last) > APART) {
                line.push(None);
            }
            let count = u32::try_from(points.len()).unwrap_or(u32::MAX);
            let mean = points.iter().map(|(_, watts)| watts).sum::<f64>() / f64::from(count);
            line.push(Some((self.x(first.0), self.y(mean))));
            last = Some(end.0);
        }
        line
    }

    fn axes(&self, svg: &mut Svg, time: &Range<Timestamp>, timezone: &TimeZone) {
        let ticks = ticks(self.low / 1000.0, self.high / 1000.0, 5.0);
        for kilowatts in ticks.values {
            let y = self.y(kilowatts * 1000.0).round() + 0.5;
            let class = if kilowatts == 0.0 { "axis" } else { "gridline" };
            svg.path(class, [Some((LEFT, y)), Some((self.right, y))]);
            svg.text("", Anchor::End, LEFT - 8.0, y + 4.0, &grouped(kilowatts, ticks.decimals));
        }
        svg.text("", Anchor::End, LEFT - 8.0, self.top - 8.0, "kW");
        let hours = time.end.duration_since(time.start).as_hours();
        let every = if hours <= 30 && self.right > 600.0 { 3 } else { (hours / 5).max(6) };
        let bottom = self.top + HEIGHT;
        let mut at = time.start.to_zoned(timezone.clone());
        for _ in 0..=hours.clamp(0, 400) {
            let Ok(hour) = at.round(jiff::Unit::Hour) else { break };
            if i64::from(hour.hour()) % every == 0 && time.contains(&hour.timestamp()) {
                let x = self.x(hour.timestamp()).round() + 0.5;
                svg.path("axis", [Some((x, bottom)), Some((x, bottom + 5.0))]);
                svg.text("", Anchor::Middle, x, bottom + 20.0, &hour.strftime("%H:%M").to_string());
            }
            let Ok(next) = at.checked_add(SignedDuration::from_hours(1)) else { break };
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_drawn_with_their_gaps() {
        let start: Timestamp = "2026-06-20T00:00:00Z".parse().unwrap();
        let at = |minute: i64| start + SignedDuration::from_mins(minute);
        let points = [(0, 100.0), (1, -250.0), (60, 3_000.0), (61, 2_000.0)];
        let points = points.map(|(minute, watts)| (at(minute), watts)).to_vec();
        let series = PowerSeries { class: "grid-line", name: "Grid".to_owned(), points };
        let options = ChartOptions::default();
        let chart = |series: &[PowerSeries]| {
            power_chart("Today", series, start..at(24 * 60), &TimeZone::UTC, &options)
        };
        let drawn = chart(&[series]);
        let path = drawn.lines().find(|line| line.contains("line grid-line")).unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert!(drawn.contains("Grid 2,000 W") && drawn.contains(">06:00<"), "{drawn}");
        assert!(chart(&[]).contains("No data."));
    }
}
