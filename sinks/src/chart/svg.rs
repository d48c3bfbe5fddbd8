//! SVG as text.

use std::fmt::{Display, Write};

use super::STYLE;

/// Side of a text that its position names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that is being drawn, in pixels from its upper left corner.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// A box; none where it has no area.
    pub(super) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        if width > 0.0 && height > 0.0 {
            self.add(format_args!(
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                Px(x),
                Px(y),
                Px(width),
                Px(height)
            ));
        }
    }

    /// A hatching over a box.
    pub(super) fn hatch(&mut self, x: f64, y: f64, width: f64, height: f64) {
        if width > 0.0 && height > 0.0 {
            self.add(format_args!(
                "<rect fill=\"url(#energi-hatch)\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                Px(x),
                Px(y),
                Px(width),
                Px(height)
            ));
        }
    }

    /// A line through points; a `None` lifts the pen.
    pub(super) fn path(
        &mut self,
        class: &str,
        points: impl IntoIterator<Item = Option<(f64, f64)>>,
    ) {
        let mut path = String::new();
        let mut down = false;
        for point in points {
            if let Some((x, y)) = point {
                let step = if down { 'L' } else { 'M' };
                let _infallible = write!(path, "{step}{} {}", Px(x), Px(y));
            }
            down = point.is_some();
        }
        if !path.is_empty() {
            self.add(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }

    /// A text on the base line `y`.
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, x: f64, y: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            Px(x),
            Px(y),
            Escaped(text)
        ));
    }

    /// Begins a group whose parts show `title` when they are pointed at.
    pub(super) fn begin(&mut self, title: &str) {
        self.add(format_args!("<g><title>{}</title>", Escaped(title)));
    }

    /// Ends a group.
    pub(super) fn end(&mut self) {
        self.add("</g>");
    }

    /// Texts one after another, each after a swatch of its class where it has one, on as many lines
    /// as they need. Returns the base line of the last.
    pub(super) fn flow(&mut self, items: &[Item<'_>], left: f64, right: f64, mut y: f64) -> f64 {
        let mut x = left;
        for item in items {
            let swatch = if item.class.is_some() { 19.0 } else { 0.0 };
            let width = swatch + width_of(&item.text);
            if x > left && x + width > right {
                (x, y) = (left, y + LINE);
            }
            if let Some(class) = item.class {
                self.rect(class, x, y - 10.0, 13.0, 13.0);
                if class.contains("partial") {
                    self.hatch(x, y - 10.0, 13.0, 13.0);
                }
            }
            self.text("", Anchor::Start, x + swatch, y, &item.text);
            x += width + 16.0;
        }
        y
    }

    /// The whole document.
    pub(super) fn finish(
        self,
        (width, height): (f64, f64),
        title: &str,
        description: &str,
        standalone: bool,
    ) -> String {
        let style = if standalone { format!("<style>\n{STYLE}</style>\n") } else { String::new() };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"energi-chart\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n{style}\
             <defs><pattern id=\"energi-hatch\" width=\"5\" height=\"5\" \
             patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
             <path class=\"hatch\" d=\"M0 0V5\"/></pattern></defs>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            Escaped(title),
            Escaped(description),
            self.body,
            width = Px(width),
            height = Px(height),
        )
    }

    fn add(&mut self, element: impl Display) {
        let _infallible = writeln!(self.body, "{element}");
    }
}

/// A text of a legend or a list.
pub(super) struct Item<'a> {
    /// Class of its swatch.
    pub(super) class: Option<&'a str>,
    pub(super) text: String,
}

/// Pixels from one line of text to the next.
pub(super) const LINE: f64 = 18.0;

/// About how many pixels wide a text of 12 pixels is: the viewer chooses the font.
#[expect(clippy::cast_precision_loss, reason = "a short text")]
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

/// Numbers along an axis: multiples of one round step.
pub(super) struct Ticks {
    /// The numbers from 0 upward, then those below 0.
    pub(super) values: Vec<f64>,
    /// Decimals that write each of them exactly.
    pub(super) decimals: usize,
}

/// Ticks from `low`, at most 0, to `high`: about `count` of them on the longer side of 0, one beside
/// 0 at least.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful")]
pub(super) fn ticks(low: f64, high: f64, count: f64) -> Ticks {
    let most = high.max(-low);
    let least = most / count.max(1.0);
    let magnitude = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude);
    let fits = || steps.iter().copied().filter(|step| *step <= most);
    let step = fits().find(|step| *step >= least).or_else(|| fits().next_back()).unwrap_or(most);
    let up = (0..=(high / step) as u32).map(|tick| f64::from(tick) * step);
    let down = (1..=(-low / step) as u32).map(|tick| -f64::from(tick) * step);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    Ticks { values: up.chain(down).collect(), decimals }
}

/// A length with at most two decimals.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0 + 0.0)
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // XML has no place for these, not even escaped.
                '\0'..'\t' | '\u{b}' | '\u{c}' | '\u{e}'..' ' | '\u{fffe}' | '\u{ffff}' => {
                    f.write_char('\u{fffd}')?;
                }
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_up_to_the_highest_value() {
        let values = |low, high, count| ticks(low, high, count).values;
        assert_eq!(values(0.0, 23.0, 5.0), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(values(0.0, 0.106, 5.0).len(), 3);
        assert_eq!(values(0.0, 350.0, 0.7), [0.0, 200.0]);
        assert_eq!(values(-11.0, 23.0, 2.3), [0.0, 10.0, 20.0, -10.0]);
        assert_eq!(values(-23.0, 1.0, 2.3), [0.0, -10.0, -20.0]);
        assert!(values(0.0, 1e9, 5.0).len() <= 6);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_text() {
        let mut svg = Svg::default();
        svg.text("", Anchor::Start, 0.0, 0.0, "<script>&\"\u{7}");
        assert!(svg.body.contains("&lt;script&gt;&amp;&quot;\u{fffd}"), "{}", svg.body);
    }
}
