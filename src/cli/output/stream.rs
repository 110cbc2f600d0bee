//! Rows written as they come, of one thing after the other, each with columns of its own; memory stays bounded.

use serde_json::Value;

use super::super::exit::Failure;
use super::rows::{Format, Rows};

/// How many rows a table is laid out by, and how many go out together otherwise.
const AT_ONCE: usize = 1000;

/// Writes rows to stdout in one format.
#[derive(Debug)]
pub struct Stream {
    format: Format,
    rows: Rows,
    /// What stands above the next table.
    heading: Option<String>,
    /// The columns that the last line of names had.
    named: Vec<&'static str>,
    any: bool,
}

impl Stream {
    /// Nothing written yet.
    pub fn new(format: Format) -> Self {
        Self { format, rows: Rows::default(), heading: None, named: Vec::new(), any: false }
    }

    /// Begins another thing: its heading in a table, its columns; with `-o name` the heading is all there is of it.
    /// Whether stdout still takes data.
    pub fn begin(&mut self, heading: String, columns: &[&'static str]) -> Result<bool, Failure> {
        let open = self.flush()?;
        self.rows = Rows::new(columns);
        self.heading = Some(heading);
        Ok(open)
    }

    /// Adds a row; whether stdout still takes data.
    pub fn push(&mut self, row: Vec<Value>) -> Result<bool, Failure> {
        self.rows.push(row);
        if self.rows.rows.len() < AT_ONCE { Ok(true) } else { self.flush() }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<bool, Failure> {
        let open = self.flush()?;
        match self.format {
            Format::Json if open => super::data(if self.any { b"]\n" } else { b"[]\n" }),
            _ => Ok(open),
        }
    }

    fn flush(&mut self) -> Result<bool, Failure> {
        let text = self.text();
        self.any |= !text.is_empty();
        self.rows.rows.clear();
        super::data(text.as_bytes())
    }

    fn text(&mut self) -> String {
        match self.format {
            Format::Name => self.heading.take().map_or_else(String::new, |heading| heading + "\n"),
            _ if self.rows.rows.is_empty() => String::new(),
            Format::Table => {
                let heading = self.heading.take().map_or_else(String::new, |heading| heading + "\n");
                let gap = if self.any && !heading.is_empty() { "\n" } else { "" };
                format!("{gap}{heading}{}", self.rows.render(Format::Table))
            }
            Format::Json => {
                let before = if self.any { ",\n " } else { "[" };
                format!("{before}{}", self.rows.render(Format::Jsonl).trim_end().replace('\n', ",\n "))
            }
            Format::Jsonl => self.rows.render(Format::Jsonl),
            Format::Tsv => {
                let text = self.rows.render(Format::Tsv);
                if self.named == self.rows.columns {
                    return text.split_once('\n').map_or_else(String::new, |(_, rows)| rows.to_owned());
                }
                self.named.clone_from(&self.rows.columns);
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would be written of two things with the same columns and one with others.
    fn written(format: Format) -> String {
        let mut stream = Stream::new(format);
        let mut out = String::new();
        for (heading, columns, rows) in [
            ("a", ["x", "y"], vec![[1, 2], [3, 4]]),
            ("b", ["x", "y"], vec![[5, 6]]),
            ("c", ["x", "z"], vec![]),
        ] {
            stream.rows = Rows::new(&columns);
            stream.heading = Some(heading.to_owned());
            for row in rows {
                stream.rows.push(row.into_iter().map(Value::from).collect());
            }
            let text = stream.text();
            stream.any |= !text.is_empty();
            out += &text;
        }
        out
    }

    #[test]
    fn every_format_goes_on_where_it_stood() {
        assert_eq!(written(Format::Table), "a\nX  Y\n1  2\n3  4\n\nb\nX  Y\n5  6\n");
        assert_eq!(written(Format::Jsonl), "{\"x\":1,\"y\":2}\n{\"x\":3,\"y\":4}\n{\"x\":5,\"y\":6}\n");
        assert_eq!(written(Format::Json), "[{\"x\":1,\"y\":2},\n {\"x\":3,\"y\":4},\n {\"x\":5,\"y\":6}");
        assert_eq!(written(Format::Tsv), "x\ty\n1\t2\n3\t4\n5\t6\n");
        assert_eq!(written(Format::Name), "a\nb\nc\n");
    }
}
