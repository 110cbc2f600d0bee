//! `klog cluster`: the brokers of a cluster and what they speak; changes nothing.

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::output;
use super::output::rows::{Format, Output, Rows};

/// The flags of `klog cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the brokers: node ids, addresses, which one is the controller
    Describe(DescribeArgs),
    /// Show which APIs the broker speaks, in which versions, and which version klog uses
    ApiVersions(ApiVersionsArgs),
}

#[derive(Debug, clap::Args)]
struct DescribeArgs {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct ApiVersionsArgs {
    #[command(flatten)]
    output: Output,
}

/// Runs `klog cluster`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Describe(args) => block_on(describe(context, args)),
        Command::ApiVersions(args) => block_on(api_versions(context, args)),
    }
}

async fn describe(context: &Context, args: DescribeArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let (cluster, controller, nodes) =
        client.describe_cluster().await.map_err(|error| context.explain(&error))?;
    let mut rows = Rows::new(&["node", "host", "port", "rack", "controller", "cluster"]);
    for node in &nodes {
        rows.push(vec![
            node.id.into(),
            node.host.as_str().into(),
            node.port.into(),
            node.rack.clone().into(),
            (node.id == controller).into(),
            cluster.clone().into(),
        ]);
    }
    let format = args.output.output;
    if format == Format::Table {
        let id = cluster.unwrap_or_else(|| "without an id".to_owned());
        let count = if nodes.len() == 1 { "1 node".to_owned() } else { format!("{} nodes", nodes.len()) };
        output::data(format!("cluster {id}, {count}\n\n").as_bytes())?;
        rows = rows.only(&["node", "host", "port", "rack", "controller"]);
    }
    rows.write(format)
}

async fn api_versions(context: &Context, args: ApiVersionsArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let ranges = client.api_versions().await.map_err(|error| context.explain(&error))?;
    let mut rows = Rows::new(&["api", "key", "min", "max", "used"]);
    for range in &ranges {
        let name = range.name.map_or_else(|| format!("api-{}", range.key), str::to_owned);
        rows.push(vec![name.into(), range.key.into(), range.min.into(), range.max.into(), range.used.into()]);
    }
    rows.write(args.output.output)
}
