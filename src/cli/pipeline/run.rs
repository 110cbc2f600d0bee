//! `klog pipeline run`: the flow with a terminal around it: signals, notices, progress, the way it ended.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::{RunArgs, spec};
use crate::cli::consume::sink::Sink;
use crate::cli::context::{Context, block_on};
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::output::{self, Progress};
use crate::cli::signals::Signals;
use crate::client::ClientOptions;
use crate::client::options::Reset as ResetOption;
use crate::flow::{self, Counts, End, FlowError, Host, Job, Lines, Source};
use crate::pipeline::spec::STREAM;
use crate::pipeline::{From, OnError, Pipeline, Reset};

/// How long a pipeline that follows tries to deliver: without end, as far as the protocol's times go.
const FOLLOWING: Duration = Duration::from_millis(i32::MAX as u64);

/// How often transactions are committed: before that nobody sees what came of a record.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long what a killed run left open holds the readers of its topics, and the next run.
const LEFT_OPEN: Duration = Duration::from_secs(15);

/// Runs `klog pipeline run`.
pub(super) fn run(context: &Context, args: &RunArgs) -> Result<Exit, Failure> {
    let (spec, patterns) = spec::read(&args.words, &args.ways)?;
    let signals = Signals::catch()
        .map_err(|error| Failure::failed(format!("can't watch for signals: {}", plain(&error)), ""))?;
    let mut options = context.settings.client.clone();
    options.reset = match spec.reset {
        Reset::Start => ResetOption::Start,
        Reset::End => ResetOption::End,
    };
    if !args.once {
        // What follows goes on when the broker is back, whenever that is.
        options.delivery_timeout = FOLLOWING;
    }
    let group = spec.group_name();
    let source = match (&spec.from, patterns) {
        (From::Topics(names), _) => Source::Topics(names.clone()),
        (From::Patterns(_), Some(patterns)) => Source::Patterns(patterns),
        (From::Patterns(_) | From::Stdin, _) => Source::Stdin,
    };
    let on_error = spec.on_error.clone();
    let (once, threads) = (args.once, args.threads.map_or(0, usize::from));
    let pipeline = Pipeline::new(spec);
    let exactly_once = args.exactly_once;
    if exactly_once {
        if matches!(source, Source::Stdin) || pipeline.targets().iter().any(|target| target == STREAM) {
            return Err(Failure::usage(
                "--exactly-once: what stdin gave and stdout took can not be taken back",
                "read from topics and write to topics, or leave it out",
            ));
        }
        options.commit_interval = options.commit_interval.min(TOGETHER);
        options.transaction_timeout = options.transaction_timeout.or(Some(LEFT_OPEN));
    }
    let job = Job { pipeline, source, group, once, exactly_once, on_error: on_error.clone(), threads };
    let outcome = block_on(Box::pin(carry(context, options, job, &signals)));
    let outcome = outcome.map(|(end, counts)| report(context, end, &counts, &on_error));
    if signals.received().is_some() {
        if let Err(failure) = &outcome {
            output::failure(failure);
        }
        signals.end();
    }
    outcome
}

async fn carry(
    context: &Context,
    options: ClientOptions,
    job: Job,
    signals: &Signals,
) -> Result<(End, Counts), Failure> {
    let client = tokio::select! {
        biased;
        _ = signals.wait() => return Ok((End::Stopped, Counts::default())),
        client = context.client_with(options) => client?,
    };
    let to_stdout = job.pipeline.targets().iter().any(|target| target == STREAM);
    let lines = match to_stdout {
        true => Some(
            Sink::stdout()
                .map_err(|error| Failure::failed(format!("can't use stdout: {}", plain(&error)), ""))?,
        ),
        false => None,
    };
    let mut progress = Progress::new(context, "carried");
    if to_stdout && io::stdout().is_terminal() {
        // The records are on the screen themselves.
        progress.clear();
    }
    let mut host = Terminal { context, progress };
    let stop = async {
        signals.wait().await;
    };
    let outcome = flow::run(&client, job, stop, lines, &mut host).await;
    host.progress.clear();
    outcome.map_err(|error| explain(context, error))
}

/// What is said at the end, and the exit code.
fn report(context: &Context, end: End, counts: &Counts, on_error: &OnError) -> Exit {
    let Counts { read, written, bad, first_bad, .. } = counts;
    if output::stderr_is_lively(context) && end != End::HangUp {
        output::notice(context, &format!("{read} records read, {written} written"));
    }
    if *bad == 0 {
        return Exit::Done;
    }
    let went = match on_error {
        OnError::DeadLetter(topic) => format!("went to {topic}"),
        OnError::Skip | OnError::Stop => "were skipped".to_owned(),
    };
    let first = first_bad.as_deref().unwrap_or_default();
    output::complain(&format!("klog: {bad} of {read} records were bad and {went}; the first: {first}"));
    if end == End::HangUp { Exit::Done } else { Exit::Partly }
}

fn explain(context: &Context, error: FlowError) -> Failure {
    let text = error.to_string();
    match &error {
        FlowError::Client(error) => context.explain(error),
        FlowError::Bad { .. } => {
            Failure::failed(text, "mend the pipeline, or go on with --on-error skip or --on-error dlq=TOPIC")
        }
        FlowError::DeadLetter { topic, .. } => {
            Failure::failed(text, format!("give {topic} a larger max.message.bytes"))
        }
        FlowError::NoTopic(_) | FlowError::NoMatch => {
            Failure::missing(text, "list what there is with: klog topic list")
        }
        FlowError::LongLine { .. } => {
            Failure::failed(text, "records are lines: is there a line end in the input?")
        }
        FlowError::Stream { doing, error } => Failure::failed(format!("can't {doing}: {}", plain(error)), ""),
        FlowError::NotCommitted(_) => {
            Failure::failed(text, "run it again: what was carried since the last commit is carried once more")
        }
        FlowError::Thread(_) | FlowError::Worker => Failure::failed(text, ""),
    }
}

/// What the flow says, on a terminal.
struct Terminal<'c> {
    context: &'c Context,
    progress: Progress,
}

impl Host for Terminal<'_> {
    fn notice(&mut self, text: &str) {
        self.progress.aside(|| output::notice(self.context, text));
    }

    fn detail(&mut self, text: &str) {
        self.progress.aside(|| output::detail(self.context, text));
    }

    fn progress(&mut self, counts: &Counts) {
        self.progress.with(counts.read, counts.read_bytes, || {
            let bad = if counts.bad > 0 { format!(", {} bad", counts.bad) } else { String::new() };
            format!(", {} written{bad}, lag {}", counts.written, counts.lag)
        });
    }
}

impl Lines for Sink {
    fn buffer(&mut self) -> &mut Vec<u8> {
        Self::buffer(self)
    }

    fn push(&mut self) -> io::Result<()> {
        Self::push(self)
    }

    fn waiting(&self) -> usize {
        Self::waiting(self)
    }

    fn end(&self) -> u64 {
        Self::end(self)
    }

    fn delivered(&self) -> u64 {
        Self::delivered(self)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    async fn writable(&self) -> io::Result<()> {
        Self::writable(self).await
    }

    async fn hung_up(&self) {
        Self::hung_up(self).await;
    }
}
