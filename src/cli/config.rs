//! `klog config show`: each setting in force and where it came from; never shows a secret.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::rows::{Output, Rows};

/// The flags of `klog config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show each setting, its value and where it came from
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    output: Output,
}

/// Runs `klog config`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Command::Show(args) = args.command;
    let settings = &context.settings;
    let mut rows = Rows::new(&["setting", "value", "origin"]);
    let mut say = |name: &str, value: String, origin: String| {
        let value = if is_secret(name) { "(hidden)".to_owned() } else { value };
        rows.push(vec![name.into(), value.into(), origin.into()]);
    };
    say("broker", context.broker_text(), settings.broker.origin.to_string());
    say("data", settings.data.value.display().to_string(), settings.data.origin.to_string());
    say("autostart", settings.autostart.value.to_string(), settings.autostart.origin.to_string());
    if let Some(config) = &settings.config {
        say("config", config.value.display().to_string(), config.origin.to_string());
    }
    if let Some(profile) = &settings.profile {
        say("profile", profile.value.clone(), profile.origin.to_string());
    }
    for (name, setting) in &settings.properties {
        say(name, setting.value.clone(), setting.origin.to_string());
    }
    for (name, setting) in &settings.daemon {
        say(&format!("broker.{name}"), setting.value.clone(), setting.origin.to_string());
    }
    rows.write(args.output.output)
}

/// Kafka's names for what nobody should read over a shoulder.
fn is_secret(name: &str) -> bool {
    name.ends_with("password") || name.ends_with("sasl.jaas.config") || name.ends_with("keystore.key")
}
