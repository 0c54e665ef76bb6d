//! `ncp-envelope keys activities`.

use crate::command::keys::open::open;
use crate::options::Common;
use crate::status::Failure;
use crate::{output, records};
use clap::Args;
use ncp_envelope::kms::{ActivityQuery, Timestamp};

#[derive(Args)]
pub(crate) struct ActivitiesArgs {
    /// Only entries with this text.
    #[arg(long)]
    keyword: Option<String>,
    /// Only entries from this time on, in milliseconds since 1970 [default: a day ago].
    #[arg(long, value_name = "MILLIS")]
    from: Option<u64>,
    /// Only entries up to this time, in milliseconds since 1970 [default: now].
    #[arg(long, value_name = "MILLIS")]
    to: Option<u64>,
    /// Show at most this many.
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(args: ActivitiesArgs) -> Result<(), Failure> {
    let mut query = ActivityQuery::new();
    if let Some(keyword) = args.keyword {
        query = query.keyword(keyword);
    }
    if let Some(from) = args.from {
        query = query.from(Timestamp::from_millis(from));
    }
    if let Some(to) = args.to {
        query = query.to(Timestamp::from_millis(to));
    }
    let connection = open(&args.common).await?;
    let mut pages = connection.key()?.admin().activities(&query);
    let mut all = Vec::new();
    while all.len() < args.limit
        && let Some(page) = pages.next().await.map_err(Failure::writing)?
    {
        all.extend(page.items.into_iter().take(args.limit - all.len()).map(records::activity));
    }
    output::list(args.common.json, &records::ACTIVITY_COLUMNS, all)
}
