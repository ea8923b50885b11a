//! `portico audit`: what was decided, for whoever keeps or searches it elsewhere.

use std::{
    io::{self, Write},
    str::FromStr,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use model::{AuditId, TenantId, TenantSlug, Timestamp};
use serde_json::json;
use storage::repo::{AuditEvent, Repos};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Place, keys::must_be_there, on_a_runtime};
use crate::{Store, telemetry};

/// How many events are in memory at a time.
const PAGE: u32 = 500;

/// What to do with the log of decisions.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Print events as JSON, one on a line, the newest first
    ///
    /// Without --tenant: those of the platform, then those of each tenant. Works beside running portico processes,
    /// in little memory, however many there are. No event holds a token, a code or a secret.
    Export(Export),
}

#[derive(Args, Debug)]
pub(super) struct Export {
    /// Only this tenant's, by its slug
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantSlug>,
    /// Only what happened then or later, for example 2026-11-20T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    #[command(flatten)]
    place: Place,
}

/// A moment, as RFC 3339 writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(Timestamp);

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = OffsetDateTime::parse(text, &Rfc3339);
        let at = at.map_err(|_| "use a time with its zone, for example 2026-11-20T08:30:00Z")?;
        Ok(Self(Timestamp::from_seconds(at.unix_timestamp())))
    }
}

pub(super) fn run(what: &Audit) -> anyhow::Result<()> {
    let Audit::Export(args) = what;
    let config = args.place.config()?;
    must_be_there(&config)?;
    telemetry::start(&config.log);
    on_a_runtime(async {
        let store = Store::open(&config).await?;
        let done = export(&store.repos, args, &mut io::stdout().lock()).await;
        store.close().await;
        done
    })
}

async fn export(repos: &Repos, args: &Export, to: &mut impl Write) -> anyhow::Result<()> {
    let since = args.since.map(|since| since.0);
    if let Some(slug) = &args.tenant {
        let tenant = repos.tenants.by_slug(slug).await?.with_context(|| format!("there is no tenant {slug}"))?;
        return of(repos, Some(tenant.id), since, to).await;
    }
    of(repos, None, since, to).await?;
    let mut last = None;
    loop {
        let page = repos.tenants.list(last, PAGE).await?;
        for tenant in &page {
            of(repos, Some(tenant.id), since, to).await?;
        }
        last = page.last().map(|tenant| tenant.id);
        if page.len() < PAGE as usize {
            return Ok(to.flush()?);
        }
    }
}

/// The events of one tenant, or of the platform.
async fn of(
    repos: &Repos,
    tenant: Option<TenantId>,
    since: Option<Timestamp>,
    to: &mut impl Write,
) -> anyhow::Result<()> {
    let mut before: Option<AuditId> = None;
    loop {
        let page = repos.audit.newest(tenant, before, PAGE).await?;
        for event in &page {
            if since.is_some_and(|since| event.at < since) {
                return Ok(());
            }
            writeln!(to, "{}", line(event)).context("standard output cannot be written")?;
        }
        before = page.last().map(|event| event.id);
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}

fn line(event: &AuditEvent) -> serde_json::Value {
    json!({
        "id": event.id.to_string(),
        "at": event.at.to_string(),
        "tenant": event.tenant.map(|tenant| tenant.to_string()),
        "actor": event.actor.to_string(),
        "action": event.action,
        "subject": event.subject,
        "details": event.details,
    })
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc, time::Duration};

    use model::{Clock as _, ManualClock, SeededEntropy};
    use storage::repo::Actor;

    use super::*;
    use crate::config::{Config, Overrides};

    async fn lines(store: &Store, since: Option<Timestamp>) -> Vec<serde_json::Value> {
        let place = Place { data: None, config: None };
        let mut out = Vec::new();
        let args = Export { tenant: None, since: since.map(Since), place };
        export(&store.repos, &args, &mut out).await.unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn every_event_is_a_line_however_many_there_are() {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let overrides = Overrides { data: Some(home.path().join("data")), ..Overrides::default() };
        let config = Config::parse("", Path::new(""), std::iter::empty(), &overrides).unwrap();
        let entropy = Arc::new(SeededEntropy::new(1));
        let store = Store::open_with(&config, clock.clone(), entropy.clone()).await.unwrap();
        let known = lines(&store, None).await.len();
        for number in 0..1100 {
            clock.advance(Duration::from_millis(1));
            let event = AuditEvent::new(&*clock, &*entropy, Actor::System, "test.done", number);
            store.repos.audit.append(&event.with(json!({ "line": "a\nb" }))).await.unwrap();
        }
        let all = lines(&store, None).await;
        assert_eq!(all.len(), known + 1100);
        assert_eq!((&all[0]["subject"], &all[1099]["subject"]), (&json!("1099"), &json!("0")));
        assert_eq!(all[0]["details"]["line"], "a\nb");
        clock.advance(Duration::from_secs(10));
        let later = clock.now();
        assert!(lines(&store, Some(later)).await.is_empty());
        store.close().await;
    }

    #[test]
    fn a_time_has_a_zone() {
        assert!("2026-11-20T00:00:00Z".parse::<Since>().is_ok());
        assert!("2026-11-20".parse::<Since>().is_err());
    }
}
