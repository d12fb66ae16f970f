//! Texts of the page: figures, and names from strangers.

/// Most letters of a name that are shown.
const LETTERS: usize = 120;

/// A name from a file, shown as text: control characters, and those that change the direction of what follows, are visible
/// escapes; a very long name is cut. The template escapes HTML.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(LETTERS).map(visible).collect();
    if name.chars().count() > LETTERS {
        text.push('…');
    }
    text
}

/// A text of several lines, such as a configuration.
pub(super) fn shown_lines(text: &str) -> String {
    let visible = |c: char| if c == '\n' || c == '\t' { c.to_string() } else { visible(c) };
    text.chars().map(visible).collect()
}

fn visible(c: char) -> String {
    let directs =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if c.is_control() || directs || separates { c.escape_default().to_string() } else { c.to_string() }
}

/// A figure: three digits.
pub(super) fn figure(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"))
}

/// A number of things.
pub(super) fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Seconds as a person says them.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => "n/a".into(),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_reorder_or_control_the_page() {
        assert_eq!(shown("a\u{202e}gpj.exe"), "a\\u{202e}gpj.exe");
        assert_eq!(shown("a\0\u{1b}[2J\n"), "a\\u{0}\\u{1b}[2J\\n");
        assert_eq!(shown("<script>"), "<script>", "the template escapes it");
        assert_eq!(shown("קוף"), "קוף", "letters of any script stay");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), LETTERS + 1);
        assert_eq!(shown_lines("a\n\tb\r\u{2066}"), "a\n\tb\\r\\u{2066}");
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([Some(0.12345), None, Some(f64::NAN)].map(figure), ["0.123", "n/a", "n/a"]);
        assert_eq!([5.04, 65.0, 7260.0, f64::NAN].map(duration), ["5.0 s", "1 min 5 s", "2 h 1 min", "n/a"]);
        assert_eq!(counted(1, "class", "classes"), "1 class");
    }
}
