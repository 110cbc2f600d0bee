//! `klog user`: who may log in by SCRAM; a password leaves this process only salted and hashed.

use super::context::{Context, block_on};
use super::exit::{Exit, Failure, plain};
use super::output::rows::{Format, Output, Rows};
use super::topic::worse;
use super::{lists, output, password};
use crate::client::admin::{
    DEFAULT_ITERATIONS, MAX_ITERATIONS, MIN_ITERATIONS, SALT_BYTES, ScramChange, ScramMechanism,
    UserCredentials,
};
use crate::client::{Client, ClientError, ErrorKind};

/// The flags of `klog user`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List users and the mechanisms they may log in by
    List(ListArgs),
    /// Add a user, or give one a new password (read from stdin, or asked for on a terminal)
    Add(AddArgs),
    /// Remove users, or some of their mechanisms
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog user add alice                     asks for the password\n  \
    pass show kafka | klog user add alice   takes the first line of stdin")]
struct AddArgs {
    /// The user's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The mechanism to log in by (repeatable) [default: both]
    #[arg(long, value_enum, value_name = "MECHANISM")]
    mechanism: Vec<Mechanism>,
    /// Rounds of hashing: more make guessing slower, and logging in
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ITERATIONS,
          value_parser = clap::value_parser!(i32).range(i64::from(MIN_ITERATIONS)..=i64::from(MAX_ITERATIONS)))]
    iterations: i32,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Names of the users
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// This mechanism only (repeatable) [default: all]
    #[arg(long, value_enum, value_name = "MECHANISM")]
    mechanism: Vec<Mechanism>,
    /// Users that are not there are no error
    #[arg(long)]
    if_exists: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// A mechanism as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mechanism {
    #[value(name = "scram-sha-256")]
    Sha256,
    #[value(name = "scram-sha-512")]
    Sha512,
}

impl From<Mechanism> for ScramMechanism {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Sha256 => Self::Sha256,
            Mechanism::Sha512 => Self::Sha512,
        }
    }
}

/// Runs `klog user`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => block_on(list(context, args)),
        Command::Add(args) => add(context, &args),
        Command::Remove(args) => remove(context, &args),
    }
}

/// The name alone: `User:` may stand before it.
fn bare(name: &str) -> String {
    name.strip_prefix("User:").unwrap_or(name).to_owned()
}

/// The mechanisms named, or all of them.
fn mechanisms(named: &[Mechanism]) -> Vec<ScramMechanism> {
    let of_all = ScramMechanism::ALL.into_iter();
    let chosen = |one: &ScramMechanism| named.is_empty() || named.iter().any(|name| *one == (*name).into());
    of_all.filter(chosen).collect()
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let names: Vec<String> = args.names.iter().map(|name| bare(name)).collect();
    let mut found = Vec::new();
    let mut exit = Exit::Done;
    for outcome in client.describe_users(&names).await.map_err(|error| explain(context, &error))? {
        match outcome {
            Ok(mut user) => {
                user.credentials.sort_unstable();
                found.push(user);
            }
            Err(error) => exit = worse(exit, output::failure(&explain(context, &error))),
        }
    }
    found.sort_by(|a, b| a.user.cmp(&b.user));
    if args.output.output == Format::Name {
        let text: String = found.iter().map(|user| format!("{}\n", user.user)).collect();
        output::data(text.as_bytes())?;
        return Ok(exit);
    }
    let mut rows = Rows::new(&["user", "mechanism", "iterations"]);
    for user in &found {
        for &(mechanism, iterations) in &user.credentials {
            let name = ScramMechanism::from_code(mechanism).map(ScramMechanism::name);
            rows.push(vec![user.user.as_str().into(), name.into(), iterations.into()]);
        }
    }
    rows.write(args.output.output)?;
    Ok(exit)
}

fn add(context: &Context, args: &AddArgs) -> Result<Exit, Failure> {
    let user = bare(&args.name);
    if user.is_empty() {
        return Err(Failure::usage("the user's name is empty", "such as: klog user add alice"));
    }
    let password = password::read(&user)?;
    let mut changes = Vec::new();
    for mechanism in mechanisms(&args.mechanism) {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| {
            Failure::failed(format!("can't draw a salt: {}", plain(&std::io::Error::other(error))), "")
        })?;
        changes.push(ScramChange::Set {
            user: user.clone(),
            mechanism: mechanism.code(),
            iterations: args.iterations,
            salted_password: mechanism.salted_password(&password, &salt, args.iterations),
            salt: salt.to_vec(),
        });
    }
    drop(password);
    block_on(async {
        let client = context.client().await?;
        let outcomes = client.alter_users(&changes).await.map_err(|error| explain(context, &error))?;
        let mut exit = Exit::Done;
        for (name, outcome) in outcomes {
            match outcome {
                Ok(()) => output::notice(context, &format!("user {name} may log in with this password")),
                Err(error) => exit = worse(exit, output::failure(&explain(context, &error))),
            }
        }
        Ok(exit)
    })
}

fn remove(context: &Context, args: &RemoveArgs) -> Result<Exit, Failure> {
    let names = lists::once(args.names.iter().map(|name| bare(name)).collect());
    let shown = names.join(", ");
    if !args.yes && !output::confirm(&format!("Remove {shown}?"), true) {
        return Err(Failure::failed(format!("nothing removed: {shown}"), "answer y, or give -y"));
    }
    let wanted = mechanisms(&args.mechanism);
    block_on(async {
        let client = context.client().await?;
        let mut exit = Exit::Done;
        for name in &names {
            let removed = match remove_one(&client, name, &wanted).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                other => other,
            };
            match removed {
                Ok(true) => output::notice(context, &format!("removed user {name}{}", only(args))),
                Ok(false) if args.if_exists => {
                    output::notice(context, &format!("there is no user {name}{}", only(args)));
                }
                Ok(false) => {
                    exit = worse(exit, output::failure(&no_user(&format!("user {name}{}", only(args)))))
                }
                Err(error) => exit = worse(exit, output::failure(&explain(context, &error))),
            }
        }
        Ok(exit)
    })
}

/// ` (SCRAM-SHA-256)` where not all of a user is meant.
fn only(args: &RemoveArgs) -> String {
    let names: Vec<_> = mechanisms(&args.mechanism).iter().map(|one| one.name()).collect();
    if args.mechanism.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// A broker refuses to remove what is not there, so it is asked first; whether there was anything.
async fn remove_one(client: &Client, name: &str, wanted: &[ScramMechanism]) -> Result<bool, ClientError> {
    let found = client.describe_users(&[name.to_owned()]).await?;
    let UserCredentials { credentials, .. } = found.into_iter().next().unwrap_or(Err(ClientError::Closed))?;
    let has = |mechanism: &&ScramMechanism| credentials.iter().any(|(has, _)| *has == mechanism.code());
    let delete = |mechanism: &ScramMechanism| ScramChange::Delete {
        user: name.to_owned(),
        mechanism: mechanism.code(),
    };
    let changes: Vec<_> = wanted.iter().filter(has).map(delete).collect();
    if changes.is_empty() {
        return Ok(false);
    }
    client.alter_users(&changes).await?.into_iter().try_for_each(|(_, outcome)| outcome)?;
    Ok(true)
}

fn no_user(what: &str) -> Failure {
    Failure::missing(format!("there is no {what}"), "list the users with: klog user list")
}

/// A failure about users, with the next thing to do.
fn explain(context: &Context, error: &ClientError) -> Failure {
    let failure = context.explain(error);
    let next = match error.kind() {
        ErrorKind::NotFound => {
            let what = match error {
                ClientError::Broker { what, .. } => what.as_str(),
                _ => "such user",
            };
            return no_user(what);
        }
        ErrorKind::NotAllowed if error.code().is_some() => {
            "it needs a rule that allows alter (list: describe) of the cluster; on klog's own socket, run it as the \
             daemon's user"
        }
        _ => return failure,
    };
    Failure { next: next.to_owned(), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_named_or_all() {
        assert_eq!(mechanisms(&[]), ScramMechanism::ALL);
        assert_eq!(mechanisms(&[Mechanism::Sha512, Mechanism::Sha512]), [ScramMechanism::Sha512]);
        assert_eq!((bare("User:a").as_str(), bare("b").as_str()), ("a", "b"));
    }
}
