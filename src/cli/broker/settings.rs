//! `klog broker config`: the table of the daemon's settings, what klog makes of each and what holds now.

use super::{ConfigArgs, options};
use crate::broker::settings::{BROKER, Kind, Row, Stand};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::glob;
use crate::cli::output::rows::{Format, Rows};

pub(super) fn show(context: &Context, args: &ConfigArgs) -> Result<Exit, Failure> {
    let settings = options::resolve(context, &args.daemon)?.settings;
    let is_table = args.output.output == Format::Table;
    // A terminal is narrow: the rest is for scripts.
    let columns: &[&str] = if is_table {
        &["setting", "value", "kafka_default", "effect"]
    } else {
        &["setting", "value", "kafka_default", "effect", "default", "allowed", "about"]
    };
    let mut rows = Rows::new(columns);
    for row in BROKER {
        if args.pattern.as_ref().is_some_and(|pattern| !glob::matches(pattern, row.name)) {
            continue;
        }
        let value = settings.text(row.name);
        if args.differing && value == row.kafka_default {
            continue;
        }
        let value = if row.kind == Kind::Password { value.map(|_| "(hidden)") } else { value };
        let mut line = vec![row.name.into(), value.into(), row.kafka_default.into(), effect(row).into()];
        if !is_table {
            line.extend([row.default.into(), row.allowed_text().into(), row.doc.into()]);
        }
        rows.push(line);
    }
    rows.write(args.output.output)
}

fn effect(row: &Row) -> String {
    match row.stand {
        Stand::Honoured => "honoured".to_owned(),
        Stand::WithoutEffect => "none".to_owned(),
        Stand::Refused(why) => format!("refused: {why}"),
    }
}
