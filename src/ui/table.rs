//! Tables that look like kubectl's: capital headings, three spaces between columns, no borders.

use super::symbols::Symbols;
use super::text;

/// A table under construction.
#[derive(Debug, Clone, Default)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes an empty table with these headings.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell shows as it is in kubectl.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| text::clean(cell)).collect());
    }

    /// True when no row was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text. With a terminal width the last column is cut to fit; in pipes nothing is.
    #[must_use]
    pub fn render(&self, terminal_width: Option<usize>, with_headings: bool) -> String {
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let lines: Vec<&Vec<String>> = with_headings.then_some(&headings).into_iter().chain(&self.rows).collect();
        let widths = self.widths(&lines);
        lines.iter().map(|cells| line(cells, &widths, terminal_width) + "\n").collect()
    }

    /// One more row under a table that was printed before, in the columns of that table.
    #[must_use]
    pub fn later_row(&self, cells: &[String], terminal_width: Option<usize>) -> String {
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&headings).chain(&self.rows).collect();
        let cells: Vec<String> = cells.iter().map(|cell| text::clean(cell)).collect();
        line(&cells, &self.widths(&lines), terminal_width) + "\n"
    }

    fn widths(&self, lines: &[&Vec<String>]) -> Vec<usize> {
        let column = |index: usize| lines.iter().filter_map(|cells| cells.get(index)).map(|cell| text::width(cell)).max();
        (0..self.headings.len()).map(|index| column(index).unwrap_or(0)).collect()
    }
}

const GAP: &str = "   ";

fn line(cells: &[String], widths: &[usize], terminal_width: Option<usize>) -> String {
    let mut line = String::new();
    for (index, (cell, column)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            line.push_str(GAP);
        }
        if index + 1 == cells.len() {
            let room = terminal_width.map_or(usize::MAX, |total| total.saturating_sub(text::width(&line)).max(10));
            line.push_str(&text::cut(cell, room, Symbols::get().ellipsis));
        } else {
            line.push_str(cell);
            line.push_str(&" ".repeat(column.saturating_sub(text::width(cell))));
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "SYNC", "MESSAGE"]);
        table.row(vec!["web".into(), "Synced".into(), String::new()]);
        table.row(vec!["日本".into(), "OutOfSync".into(), "three objects differ\u{1b}[31m".into()]);
        table
    }

    #[test]
    fn columns_line_up_under_wide_characters() {
        let expected = "NAME   SYNC        MESSAGE\nweb    Synced\n日本   OutOfSync   three objects differ[31m\n";
        assert_eq!(table().render(None, true), expected);
    }

    #[test]
    fn only_the_last_column_is_cut_and_only_on_a_terminal() {
        let cut = table().render(Some(34), false);
        assert!(cut.lines().all(|line| text::width(line) <= 34), "{cut}");
        assert!(cut.contains("OutOfSync   three obj"), "{cut}");
    }
}
