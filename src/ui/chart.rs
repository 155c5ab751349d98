//! Owns the bar chart of a key's usage: the heights of the bars, their labels, and the same data as a table.
//! Does not count requests or format dates; its input is ready to show.

use super::parts::When;

/// Height of the tallest bar, in units of the drawing.
const HEIGHT: i64 = 120;
/// Smallest height of a part that is not zero.
const LEAST: i64 = 3;
/// Width of one column: bar and gap.
const COLUMN: usize = 10;

/// Requests within one column.
#[derive(Debug, Clone)]
pub struct Count {
    pub at: When,
    pub allowed: i64,
    pub denied: i64,
    pub limited: i64,
}

impl Count {
    /// The sum of all outcomes.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.allowed + self.denied + self.limited
    }
}

/// One part of a bar.
#[derive(Debug, Clone)]
pub struct Part {
    pub kind: &'static str,
    pub y: i64,
    pub height: i64,
}

/// One column of the drawing.
#[derive(Debug, Clone)]
pub struct Bar {
    pub x: usize,
    pub says: String,
    pub parts: Vec<Part>,
}

/// A bar chart of requests over time, with a text equivalent.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Prefix of its elements' ids.
    pub id: &'static str,
    pub title: &'static str,
    /// The interval of one column: `hour` or `day`.
    pub unit: &'static str,
    pub bars: Vec<Bar>,
    pub counts: Vec<Count>,
    pub allowed: i64,
    pub denied: i64,
    pub limited: i64,
    pub peak: i64,
}

impl Chart {
    /// A chart of these columns, oldest first.
    #[must_use]
    pub fn new(id: &'static str, title: &'static str, unit: &'static str, counts: Vec<Count>) -> Self {
        let peak = counts.iter().map(Count::total).max().unwrap_or_default();
        let bars = counts.iter().enumerate().map(|(at, count)| bar(at * COLUMN, count, peak)).collect();
        let sum = |of: fn(&Count) -> i64| counts.iter().map(of).sum();
        Self {
            id,
            title,
            unit,
            bars,
            allowed: sum(|count| count.allowed),
            denied: sum(|count| count.denied),
            limited: sum(|count| count.limited),
            peak,
            counts,
        }
    }

    /// Width of the drawing.
    #[must_use]
    pub fn width(&self) -> usize {
        self.bars.len() * COLUMN
    }

    /// The labels of the first and last column, for the axis.
    #[must_use]
    pub fn ends(&self) -> Option<(&When, &When)> {
        self.counts.first().map(|count| &count.at).zip(self.counts.last().map(|count| &count.at))
    }

    /// The columns with any requests, newest first.
    #[must_use]
    pub fn rows(&self) -> Vec<&Count> {
        self.counts.iter().rev().filter(|count| count.total() > 0).collect()
    }

    /// A summary of the chart, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let (allowed, denied, limited) = (thousands(self.allowed), thousands(self.denied), thousands(self.limited));
        let peak = thousands(self.peak);
        format!(
            "{}: {allowed} allowed, {denied} denied, {limited} limited; at most {peak} in one {}",
            self.title, self.unit
        )
    }

    /// A count with its digits grouped.
    #[must_use]
    pub fn number(&self, count: &i64) -> String {
        thousands(*count)
    }
}

fn bar(x: usize, count: &Count, peak: i64) -> Bar {
    let of = |number: i64| match number {
        0 => 0,
        number => (number * HEIGHT / peak.max(1)).max(LEAST),
    };
    // Allowed requests are at the bottom, the others above them.
    let mut parts = [("allowed", of(count.allowed)), ("limited", of(count.limited)), ("denied", of(count.denied))];
    // Smallest heights may add up to more than `HEIGHT`; the largest part is then reduced.
    let over = parts.iter().map(|(_, height)| height).sum::<i64>() - HEIGHT;
    if let Some((_, greatest)) = parts.iter_mut().max_by_key(|(_, height)| *height) {
        *greatest -= over.max(0);
    }
    let mut y = HEIGHT;
    let parts = parts.into_iter().filter(|(_, height)| *height > 0).map(|(kind, height)| {
        y -= height;
        Part { kind, y, height }
    });
    let parts = parts.collect();
    let words = [(count.allowed, "allowed"), (count.denied, "denied"), (count.limited, "limited")];
    let words: Vec<String> =
        words.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", thousands(n))).collect();
    let words = if words.is_empty() { "no requests".to_owned() } else { words.join(", ") };
    Bar { x, says: format!("{}: {words}", count.at.text), parts }
}

/// Digits in groups of three.
#[must_use]
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(allowed: i64, denied: i64, limited: i64) -> Count {
        Count { at: When { iso: String::new(), text: "10:00".to_owned() }, allowed, denied, limited }
    }

    #[test]
    fn bars_fit_the_chart_and_are_never_invisible() {
        let chart = Chart::new("x", "Use", "hour", vec![count(100_000, 1, 1), count(0, 0, 0), count(0, 0, 7)]);
        for bar in &chart.bars {
            let height: i64 = bar.parts.iter().map(|part| part.height).sum();
            assert!(height <= HEIGHT && bar.parts.iter().all(|part| part.y >= 0 && part.height > 0), "{bar:?}");
        }
        assert_eq!(chart.bars[0].parts.iter().map(|part| part.height).collect::<Vec<_>>(), [114, LEAST, LEAST]);
        assert_eq!(chart.bars[1].says, "10:00: no requests");
        assert_eq!(chart.bars[2].parts[0].height, LEAST);
        assert_eq!(chart.rows().len(), 2);
        assert_eq!(chart.summary(), "Use: 100,000 allowed, 1 denied, 8 limited; at most 100,002 in one hour");
        let nothing = Chart::new("x", "Use", "hour", vec![count(0, 0, 0)]);
        assert!(nothing.bars[0].parts.is_empty() && nothing.rows().is_empty());
    }

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
