//! Lists of things as a table for people, or as JSON, JSON lines, TSV or names for scripts.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use super::super::exit::{Exit, Failure};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// One JSON array of objects
    Json,
    /// A JSON object a line
    Jsonl,
    /// Tab-separated values with a line of names
    Tsv,
    /// The names only, one a line
    Name,
}

/// The flag that chooses the format.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Output {
    /// How to write the answer: a table for people; the others are stable, for scripts
    #[arg(
        short,
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value = "table",
        hide_possible_values = false
    )]
    pub output: Format,
}

/// Named columns and rows of values; the first column is the name.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The field names, which scripts rely on.
    pub columns: Vec<&'static str>,
    /// One value for each column.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet.
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; `values` are in the order of the columns.
    pub fn push(&mut self, values: Vec<Value>) {
        debug_assert_eq!(values.len(), self.columns.len());
        self.rows.push(values);
    }

    /// The same rows with these columns only, in their own order.
    pub fn only(&self, columns: &[&str]) -> Self {
        let kept = |name: &&'static str| columns.contains(name);
        let row = |row: &Vec<Value>| -> Vec<Value> {
            self.columns
                .iter()
                .zip(row)
                .filter(|(name, _)| kept(name))
                .map(|(_, value)| value.clone())
                .collect()
        };
        Self {
            columns: self.columns.iter().copied().filter(|name| kept(name)).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// Writes the rows to stdout.
    pub fn write(&self, format: Format) -> Result<Exit, Failure> {
        super::data(self.render(format).as_bytes())?;
        Ok(Exit::Done)
    }

    /// Writes each row as lines of name and value, for people who look at one thing.
    pub fn write_tall(&self) -> Result<Exit, Failure> {
        let width = self.columns.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for row in &self.rows {
            for (name, value) in self.columns.iter().zip(row) {
                out += &format!("{:width$}  {}\n", name.replace('_', " "), printable(&text(value)));
            }
        }
        super::data(out.as_bytes())?;
        Ok(Exit::Done)
    }

    /// The rows as text.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Json => {
                let objects: Vec<String> = self.rows.iter().map(|row| self.object(row)).collect();
                if objects.is_empty() { "[]\n".into() } else { format!("[{}]\n", objects.join(",\n ")) }
            }
            Format::Jsonl => self.rows.iter().map(|row| self.object(row) + "\n").collect(),
            Format::Tsv => self.tsv(),
            Format::Name => {
                self.rows.iter().filter_map(|row| row.first()).map(|name| text(name) + "\n").collect()
            }
        }
    }

    /// An object with the fields in the columns' order.
    fn object(&self, row: &[Value]) -> String {
        let fields: Vec<String> =
            self.columns.iter().zip(row).map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    }

    fn tsv(&self) -> String {
        let mut out = self.columns.join("\t") + "\n";
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|value| escape(&text(value))).collect();
            out += &(cells.join("\t") + "\n");
        }
        out
    }

    fn table(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|name| name.to_uppercase().replace('_', " ")));
        for row in &self.rows {
            table.add_row(row.iter().map(|value| printable(&text(value))));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.rows.iter().all(|row| row.get(index).is_some_and(Value::is_number)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// A value as one cell: texts bare, nothing as `-`, lists with commas.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn escape(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// Control characters of foreign text never reach a terminal.
pub fn printable(cell: &str) -> String {
    cell.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new(&["topic", "partitions", "note"]);
        rows.push(vec!["a".into(), 1.into(), Value::Null]);
        rows.push(vec!["long\tname".into(), 12.into(), vec!["x", "y"].into()]);
        rows
    }

    #[test]
    fn every_format() {
        let json = "[{\"topic\":\"a\",\"partitions\":1,\"note\":null},\n {\"topic\":\"long\\tname\",\"partitions\":12,\"note\":[\"x\",\"y\"]}]\n";
        assert_eq!(rows().render(Format::Json), json);
        assert_eq!(rows().render(Format::Tsv), "topic\tpartitions\tnote\na\t1\t-\nlong\\tname\t12\tx,y\n");
        assert_eq!(rows().render(Format::Name), "a\nlong\tname\n");
        assert_eq!(rows().render(Format::Jsonl).lines().count(), 2);
        let table = rows().render(Format::Table);
        assert_eq!(
            table,
            "TOPIC      PARTITIONS  NOTE\na                   1  -\nlong\u{fffd}name          12  x,y\n"
        );
    }

    #[test]
    fn some_columns() {
        assert_eq!(
            rows().only(&["note", "topic"]).render(Format::Tsv),
            "topic\tnote\na\t-\nlong\\tname\tx,y\n"
        );
    }

    #[test]
    fn nothing_is_still_valid() {
        let none = Rows::new(&["topic"]);
        assert_eq!(none.render(Format::Json), "[]\n");
        assert_eq!(none.render(Format::Table), "");
        assert_eq!(none.render(Format::Tsv), "topic\n");
    }
}
