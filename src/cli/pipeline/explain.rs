//! A pipeline as a picture in text.

use crate::pipeline::spec::{Expression, STREAM};
use crate::pipeline::{From, OnError, Reset, Spec, Work};

/// The pipeline in one line: `sales -> 2 steps -> prices`.
pub(super) fn line(spec: &Spec) -> String {
    let steps = match spec.steps.len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    let targets: Vec<&str> = spec.targets().into_iter().map(sink).collect();
    format!("{} -> {steps} -> {}", source(&spec.from), targets.join(", "))
}

fn source(from: &From) -> String {
    match from {
        From::Topics(names) => names.join(", "),
        From::Patterns(names) => format!("topics that match {}", names.join(" or ")),
        From::Stdin => "stdin".to_owned(),
    }
}

fn sink(name: &str) -> &str {
    if name == STREAM { "stdout" } else { name }
}

/// The pipeline, stage by stage.
pub(super) fn draw(spec: &Spec) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut row = |mark: &str, name: &str, text: String| rows.push([mark.into(), name.into(), text]);
    row("", "from", source(&spec.from));
    for step in &spec.steps {
        match &step.work {
            Work::Jq(one) => row("│", &step.name, shown(one)),
            Work::Filter(one) => row("│", &step.name, format!("only where {}", shown(one))),
            Work::Key(one) => row("│", &step.name, format!("key = {}", shown(one))),
            Work::Route(rules) => {
                for (index, rule) in rules.iter().enumerate() {
                    let name = if index == 0 { step.name.as_str() } else { "" };
                    let when = rule.when.as_ref().map_or("otherwise".to_owned(), shown);
                    row(if index == 0 { "├" } else { "│" }, name, format!("{when} ──▶ {}", sink(&rule.to)));
                }
            }
        }
    }
    if let Some(to) = &spec.to {
        row("▼", "to", sink(to).to_owned());
    }
    row(
        "",
        "bad records",
        match &spec.on_error {
            OnError::Stop => "stop the pipeline".to_owned(),
            OnError::Skip => "are skipped".to_owned(),
            OnError::DeadLetter(topic) => format!("go to {topic}"),
        },
    );
    if spec.from != From::Stdin {
        let reset = if spec.reset == Reset::Start { "start" } else { "end" };
        row("", "position", format!("group {}, which begins at the {reset}", spec.group_name()));
    }
    let width = rows.iter().map(|[_, name, _]| name.chars().count()).max().unwrap_or(0);
    let line = |[mark, name, text]: &[String; 3]| {
        let pad = " ".repeat(width - name.chars().count());
        format!("{mark:1} {name}{pad}  {text}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// An expression on one line.
fn shown(one: &Expression) -> String {
    let words: Vec<&str> = one.source.split_whitespace().collect();
    if one.source.contains('\n') { words.join(" ") } else { one.source.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::file;

    #[test]
    fn every_kind_of_stage_is_drawn() {
        let text = "from = ['a', 'b']\nto = '-'\ngroup = 'g'\non_error = 'dlq=bad'\n[[step]]\nfilter = '.x'\n\
                    [[step]]\nname = 'price'\njq = '''{\n  y\n}'''\n[[step]]\nkey = '.y'\n[[step]]\n\
                    route = [{ when = '.y > 1', to = 'big' }, { when = '.y < 0', to = 'odd' }]\n";
        let spec = file::parse(text).unwrap();
        assert_eq!(line(&spec), "a, b -> 4 steps -> big, odd, stdout");
        assert_eq!(
            draw(&spec),
            "  from         a, b\n\
             │ 1 filter     only where .x\n\
             │ price        { y }\n\
             │ 3 key        key = .y\n\
             ├ 4 route      .y > 1 ──▶ big\n\
             │              .y < 0 ──▶ odd\n\
             ▼ to           stdout\n\
             \u{20} bad records  go to bad\n\
             \u{20} position     group g, which begins at the start\n"
        );
    }
}
