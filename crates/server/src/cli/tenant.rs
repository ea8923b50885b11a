//! `portico tenant`: what only who runs the installation does to a tenant.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use model::{TenantId, TenantSlug};
use storage::{Owner, archive};

use super::{Place, counted::counted, keys::must_be_there, on_a_runtime, print};
use crate::{Store, telemetry};

/// How long replicas have to forget the keys before the command names those that have not.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often keys that came back are destroyed again: a request that had begun may have made one.
const TRIES: usize = 3;

/// What to do with a tenant.
#[derive(Debug, Subcommand)]
pub(super) enum Tenant {
    /// Delete a tenant and destroy its keys, so that no copy of its data can be opened again
    ///
    /// Works beside running portico processes, and reports success only when each of them has forgotten the
    /// keys. What backups hold of the tenant stays readable until its keys are removed from them too: name their
    /// keys files. This cannot be undone.
    Shred(Shred),
}

#[derive(Args, Debug)]
pub(super) struct Shred {
    /// The tenant's slug; or its id, ten_…, to finish what was interrupted
    tenant: String,
    #[command(flatten)]
    place: Place,
    /// Do not ask: the tenant's slug (or id) once more
    #[arg(long, value_name = "TENANT")]
    yes: Option<String>,
    /// The keys file of a backup to remove the tenant's keys from; may be given several times
    #[arg(long, value_name = "FILE")]
    keys_backup: Vec<PathBuf>,
}

pub(super) fn run(what: &Tenant) -> anyhow::Result<()> {
    let Tenant::Shred(args) = what;
    let config = args.place.config()?;
    must_be_there(&config)?;
    telemetry::start(&config.log);
    on_a_runtime(async {
        let store = Store::open(&config).await?;
        let done = shred(&store, args, PATIENCE).await;
        store.close().await;
        done
    })
}

async fn shred(store: &Store, args: &Shred, patience: Duration) -> anyhow::Result<()> {
    for file in &args.keys_backup {
        // Before anything is done that cannot be undone.
        std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let (id, name) = find(store, &args.tenant).await?;
    if !confirmed(args, id, &name)? {
        bail!("nothing was done");
    }
    // The name is gone before the work is done.
    print(format_args!("If this is interrupted, finish it by the id: `portico tenant shred {id} --yes {id}`\n"))?;
    // Backups first: until the live keys are gone, everything can be done again by the same name.
    for file in &args.keys_backup {
        let removed = archive::remove_owner(file, Owner::Tenant(id));
        let removed = removed.with_context(|| format!("{} still has the keys of {name}", file.display()))?;
        print(told_of_backup(file, &name, removed))?;
    }
    let again =
        || format!("{name} is not shredded everywhere. Do it again with `portico tenant shred {id} --yes {id}`");
    let existed = store.registry().shred_tenant(id).await.with_context(again)?;
    forgotten_everywhere(store, Owner::Tenant(id), patience).await.with_context(again)?;
    let what = if existed { "is deleted, and its keys are" } else { "was gone; its keys are" };
    print(format_args!("{name} {what} destroyed and forgotten by every replica.\n"))
}

/// What was done to a keys file. None is no failure: a key is made when the first secret is sealed.
fn told_of_backup(file: &Path, name: &str, removed: u64) -> String {
    let file = file.display();
    match removed {
        0 => format!(
            "Nothing to remove from {file}: it has no key of {name}, which had sealed nothing yet when it was written, or \
             its keys were removed before\n"
        ),
        some => format!("Removed {} of {name} from {file}\n", counted(some, "key")),
    }
}

/// The tenant, and what to call it.
async fn find(store: &Store, text: &str) -> anyhow::Result<(TenantId, String)> {
    let registry = store.registry();
    if let Ok(id) = text.parse::<TenantId>() {
        let found = registry.tenant_to_shred_by_id(id).await?;
        if found.is_none() && store.keys.load(Owner::Tenant(id)).await?.is_empty() {
            print(format_args!("{id} is gone, and so are its keys. Making sure that every replica knows.\n"))?;
        }
        return Ok((id, found.map_or(id.to_string(), |tenant| tenant.slug.to_string())));
    }
    let slug: TenantSlug = text.parse().with_context(|| format!("{text} is no slug of a tenant"))?;
    let found = registry.tenant_to_shred(&slug).await?;
    match found {
        Some(tenant) => Ok((tenant.id, tenant.slug.to_string())),
        None if registry.is_tombstone(&slug).await? => bail!(
            "the tenant {slug} was deleted. A shred that was interrupted is finished by the tenant's id, which it said \
             when it began and which is in the log of decisions: `portico tenant shred ten_…`"
        ),
        None => bail!("there is no tenant {slug}"),
    }
}

/// Whether whoever runs this means it.
fn confirmed(args: &Shred, id: TenantId, name: &str) -> anyhow::Result<bool> {
    let means = |text: &str| text == name || text == id.to_string();
    if let Some(yes) = &args.yes {
        return if means(yes) { Ok(true) } else { bail!("--yes says {yes}, and the tenant is {name}") };
    }
    if !io::stdin().is_terminal() {
        bail!("this cannot be undone. To do it without being asked, give --yes {name}");
    }
    let mut out = io::stderr();
    write!(
        out,
        "This deletes the tenant {name} ({id}) with its servers, connections and grants, and destroys its keys: \
         nobody can open its data again, from no copy. It cannot be undone.\nType {name} to go on: "
    )?;
    out.flush()?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).context("standard input cannot be read")?;
    Ok(means(typed.trim()))
}

/// Returns when no replica that is alive can open anything of the owner's, and no key is stored.
async fn forgotten_everywhere(store: &Store, owner: Owner, patience: Duration) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        let sequence = store.repos.changes.data_keys_changed(&[owner]).await?;
        let behind = storage::taken_in_everywhere(&*store.repos.replicas, &*store.clock, sequence, patience).await?;
        if !behind.is_empty() {
            let ids: Vec<String> = behind.iter().map(|replica| replica.id.to_string()).collect();
            bail!(
                "these replicas may still have the keys in memory: {}. Stop them, or wait for them; one that was killed counts \
                 for eleven minutes after its last word",
                ids.join(", ")
            );
        }
        if store.keys.load(owner).await?.is_empty() {
            return Ok(());
        }
        store.sealer.shred(owner).await?;
    }
    bail!("somebody makes new keys for it all the time")
}

#[cfg(test)]
mod tests;
