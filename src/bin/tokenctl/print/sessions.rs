//! The page of `sessions`.

use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::login::SessionView;

use crate::print::Hue;
use crate::print::Style;

/// Columns of the table.
const HEADINGS: [&str; 6] = ["SESSION", "DEVICE", "ADDRESS", "BEGUN", "LAST USED", "ENDS"];

/// A row per session; the daemon's own has a star. What the provider does not tell is empty.
pub(crate) fn table(sessions: &[SessionView], style: Style) -> String {
    if sessions.is_empty() {
        return "The provider lists no session.\n".into();
    }
    let rows = sessions.iter().map(cells).collect::<Vec<_>>();
    let widths = HEADINGS.iter().enumerate().map(|(column, heading)| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([heading.len()]).max().unwrap_or_default()
    });
    let widths = widths.collect::<Vec<_>>();
    let mut page = style.in_hue(Hue::Heading, &line(&HEADINGS.map(str::to_owned), &widths));
    page.push('\n');
    for row in &rows {
        page.push_str(&line(row, &widths));
        page.push('\n');
    }
    page
}

fn cells(session: &SessionView) -> [String; 6] {
    let text = |field: &Option<String>| shown(field.as_deref().unwrap_or_default()).into_owned();
    let star = if session.current { " *" } else { "" };
    [
        format!("{}{star}", shown(&session.id)),
        text(&session.device),
        text(&session.address),
        text(&session.begun),
        text(&session.used),
        text(&session.ends),
    ]
}

fn line(cells: &[String; 6], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::global::When;
    use crate::print::Screen;

    #[test]
    fn sessions_stand_in_columns_and_the_own_one_has_a_star() {
        let own = SessionView {
            id: "s1".into(),
            device: Some("tokenkeeper".into()),
            address: Some("192.0.2.1".into()),
            begun: Some("2026-11-01 10:00".into()),
            used: None,
            ends: None,
            current: true,
        };
        let hostile = SessionView {
            id: "s22222".into(),
            device: Some("Fire\u{1b}[2Jfox".into()),
            address: None,
            begun: None,
            used: Some("yesterday".into()),
            ends: None,
            current: false,
        };
        let style =
            Style::new(When::Never, &Screen { terminal: false, no_color: None, locale: None });
        insta::assert_snapshot!(table(&[own, hostile], style), @r"
        SESSION  DEVICE            ADDRESS    BEGUN             LAST USED  ENDS
        s1 *     tokenkeeper       192.0.2.1  2026-11-01 10:00
        s22222   Fire\u{1b}[2Jfox                               yesterday
        ");
        assert_eq!(table(&[], style), "The provider lists no session.\n");
    }
}
