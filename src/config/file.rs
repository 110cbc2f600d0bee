//! The config file as TOML: sections and entries with their lines; never decides which of them counts.
//!
//! ```toml
//! profile = "work"              # the profile when none is chosen
//! autostart = true
//!
//! [profiles.work]
//! broker = "kafka1:9092,kafka2:9092"
//! "security.protocol" = "PLAINTEXT"
//!
//! [broker]                      # settings of the local daemon, by Kafka's names
//! "num.partitions" = 3
//! ```
//!
//! Settings of the daemon may also stand at the top, so that a file of nothing else needs no section.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::properties;

/// One `name = value`, the value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, dotted.
    pub name: String,
    /// The value as text; a list is joined by commas, as Kafka writes lists.
    pub value: String,
    /// The line of the name, from 1.
    pub line: usize,
}

/// A profile: its name and what it sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name.
    pub name: String,
    /// `broker` and client properties.
    pub entries: Vec<Entry>,
}

/// What a config file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// The profile to use when none is chosen.
    pub profile: Option<Entry>,
    /// Whether commands may start a daemon.
    pub autostart: Option<(bool, usize)>,
    /// The profiles, in order.
    pub profiles: Vec<Profile>,
    /// Settings of the daemon.
    pub broker: Vec<Entry>,
    /// Entries of a `.properties` file: the daemon's settings for `klog broker`, client properties for the rest.
    pub flat: Vec<Entry>,
}

const TOP: [&str; 4] = ["profile", "autostart", "profiles", "broker"];

/// Reads `text`, in the format that the path's ending says.
pub fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    if path.extension().is_some_and(|ending| ending == "properties") {
        return Ok(File { flat: properties::parse(text), ..File::default() });
    }
    let reader = Reader { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax { place: reader.place(at), message: error.message().trim().replace('\n', ", ") }
    })?;
    reader.top(table.get_ref())
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
    }

    fn place(&self, at: usize) -> Place {
        Place { path: self.path.to_owned(), line: self.line(at) }
    }

    fn top(&self, table: &DeTable<'_>) -> Result<File, ConfigError> {
        let mut file = File::default();
        for (key, value) in table {
            let at = key.span().start;
            match key.get_ref().as_ref() {
                "profile" => {
                    let text = value.get_ref().as_str();
                    let text =
                        text.ok_or_else(|| self.wrong(at, "profile", value, "the name of a profile"))?;
                    let entry = Entry { name: "profile".into(), value: text.into(), line: self.line(at) };
                    file.profile = Some(entry);
                }
                "autostart" => {
                    let yes = value.get_ref().as_bool();
                    let yes = yes.ok_or_else(|| self.wrong(at, "autostart", value, "true or false"))?;
                    file.autostart = Some((yes, self.line(at)));
                }
                "profiles" => self.profiles(self.table(at, "profiles", value)?, &mut file)?,
                "broker" => self.entries("", self.table(at, "broker", value)?, &mut file.broker)?,
                name if name.contains('.') => self.entry(name, at, value, &mut file.broker)?,
                name if value.get_ref().is_table() => {
                    // `num.partitions = 3` without quotes is a table to TOML.
                    self.entries(name, self.table(at, name, value)?, &mut file.broker)?;
                }
                name => file.broker.push(self.scalar(name, at, value)?),
            }
        }
        Ok(file)
    }

    fn profiles(&self, table: &DeTable<'_>, file: &mut File) -> Result<(), ConfigError> {
        for (name, value) in table {
            let mut entries = Vec::new();
            let section = format!("profiles.{}", name.get_ref());
            self.entries("", self.table(name.span().start, &section, value)?, &mut entries)?;
            file.profiles.push(Profile { name: name.get_ref().to_string(), entries });
        }
        Ok(())
    }

    fn entries(&self, prefix: &str, table: &DeTable<'_>, into: &mut Vec<Entry>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let dot = if prefix.is_empty() { "" } else { "." };
            let name = format!("{prefix}{dot}{}", key.get_ref());
            self.entry(&name, key.span().start, value, into)?;
        }
        Ok(())
    }

    fn entry(
        &self,
        name: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
        into: &mut Vec<Entry>,
    ) -> Result<(), ConfigError> {
        match value.get_ref().as_table() {
            Some(table) => self.entries(name, table, into),
            None => {
                into.push(self.scalar(name, at, value)?);
                Ok(())
            }
        }
    }

    fn scalar(&self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) -> Result<Entry, ConfigError> {
        let text = match value.get_ref() {
            DeValue::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| plain(item.get_ref())).collect();
                texts.map(|texts| texts.join(","))
            }
            single => plain(single),
        };
        let text = text.ok_or_else(|| {
            self.wrong(at, name, value, "a text, a number, true or false, or a list of these")
        })?;
        Ok(Entry { name: name.to_owned(), value: text, line: self.line(at) })
    }

    fn table<'t, 'i>(
        &self,
        at: usize,
        key: &str,
        value: &'t Spanned<DeValue<'i>>,
    ) -> Result<&'t DeTable<'i>, ConfigError> {
        value.get_ref().as_table().ok_or_else(|| self.wrong(at, key, value, "a section of its own"))
    }

    fn wrong(&self, at: usize, key: &str, value: &Spanned<DeValue<'_>>, wanted: &'static str) -> ConfigError {
        let found = value.get_ref().type_str();
        ConfigError::WrongType { place: self.place(at), key: key.into(), found, wanted }
    }
}

/// A value that is one word in Kafka's configs too; nothing for lists, tables and dates.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Float(number) => Some(number.as_str().replace('_', "")),
        DeValue::Integer(number) => {
            let read = i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?;
            Some(read.to_string())
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The names that may stand at the top of a file beside the daemon's settings.
pub fn top_names() -> Vec<String> {
    TOP.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<File, String> {
        parse(Path::new("/c.toml"), text).map_err(|error| error.to_string())
    }

    fn entry(name: &str, value: &str, line: usize) -> Entry {
        Entry { name: name.into(), value: value.into(), line }
    }

    #[test]
    fn sections_and_entries_with_their_lines() {
        let file = read(
            "profile = \"work\"\nautostart = false\n[profiles.work]\nbroker = \"k:9092\"\n\
             \"sasl.username\" = \"me\"\nrequest.timeout.ms = 5_000\n[broker]\n\"num.partitions\" = 0x10\n\
             listeners = [\"A://:1\", \"B://:2\"]\n",
        )
        .unwrap();
        assert_eq!(file.profile, Some(entry("profile", "work", 1)));
        assert_eq!(file.autostart, Some((false, 2)));
        assert_eq!(file.profiles.len(), 1);
        assert_eq!(
            file.profiles[0].entries,
            [
                entry("broker", "k:9092", 4),
                entry("request.timeout.ms", "5000", 6),
                entry("sasl.username", "me", 5)
            ]
        );
        assert_eq!(file.broker, [entry("listeners", "A://:1,B://:2", 9), entry("num.partitions", "16", 8)]);
    }

    #[test]
    fn daemon_settings_may_stand_at_the_top() {
        let file = read("\"max.connections\" = 5\nnum.partitions = 3\nlisteners = \"A://:1\"\n").unwrap();
        let mut found = file.broker;
        found.sort_by_key(|entry| entry.line);
        assert_eq!(
            found,
            [
                entry("max.connections", "5", 1),
                entry("num.partitions", "3", 2),
                entry("listeners", "A://:1", 3)
            ]
        );
    }

    #[test]
    fn a_properties_file_is_read_in_kafkas_format() {
        let file = parse(Path::new("server.properties"), "num.partitions=3\n").unwrap();
        assert_eq!(file.flat, [entry("num.partitions", "3", 1)]);
    }

    #[test]
    fn errors_name_the_line() {
        assert!(read("a = 1\nb = \n").unwrap_err().starts_with("/c.toml:2: "));
        assert_eq!(
            read("\nautostart = 1").unwrap_err(),
            "/c.toml:2: autostart is integer, wanted true or false"
        );
        assert_eq!(
            read("[broker]\nx = 2020-01-01").unwrap_err(),
            "/c.toml:2: x is datetime, wanted a text, a number, true or false, or a list of these"
        );
        assert_eq!(
            read("profiles = 3").unwrap_err(),
            "/c.toml:1: profiles is integer, wanted a section of its own"
        );
    }
}
