//! The users that the development provider had before `usersync dev` was started, and how they are imported.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use super::development::{Development, SOURCE, write_private};
use super::round_trip::CREATED;
use crate::cli::pulling::puller;
use crate::cli::run_bar::RunProgressBar;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::DevelopmentDirectory;
use crate::providers::Sources;
use crate::pull::BackfillOptions;
use crate::store::{RunCounts, Store};

/// Who was there before.
const BEFORE: [[&str; 2]; 3] = [["Grace", "Hopper"], ["Katherine", "Johnson"], ["Alan", "Turing"]];
const DAY: i64 = 24 * 60 * 60 * 1000;
const FILE: &str = "usersync.toml";

/// The provider's list: the users who existed before, and the sample user as of their creation, so that what webhooks
/// sent since is newer.
pub(super) fn of(development: &Development) -> anyhow::Result<DevelopmentDirectory> {
    let event: Value = serde_json::from_str(CREATED)?;
    let template = &event["data"];
    let created_at = template["created_at"].as_i64().unwrap_or_default();
    let mut users = Vec::new();
    for (name, days) in BEFORE.iter().zip([3, 2, 1]) {
        users.push(user(template, *name, created_at - days * DAY));
    }
    let mut sample = template.clone();
    sample["id"] = json!(development.subject);
    users.push(sample);
    let instance = event["instance_id"].as_str().unwrap_or_default().to_owned();
    Ok(DevelopmentDirectory { secret_key: development.directory_key.clone(), instance, users })
}

fn user(template: &Value, [given_name, family_name]: [&str; 2], created_at: i64) -> Value {
    let nickname = given_name.to_lowercase();
    let mut user = template.clone();
    user["id"] = json!(format!("user_{nickname}"));
    user["first_name"] = json!(given_name);
    user["last_name"] = json!(family_name);
    user["username"] = json!(nickname);
    user["email_addresses"][0]["email_address"] = json!(format!("{nickname}@example.com"));
    user["created_at"] = json!(created_at);
    user["updated_at"] = json!(created_at);
    user
}

/// Reads them in, as `usersync backfill` does.
pub(super) async fn read_in(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    say!("4. The provider has users who signed up before its first webhook came. A backfill reads them in");
    let sources = Arc::new(Sources::new(&config.sources)?);
    let source = sources.get(SOURCE).ok_or_else(|| anyhow!("there is no source {SOURCE}"))?;
    let puller = puller(config, &sources, store, clock.clone())?;
    let options = BackfillOptions { restart: true, ..BackfillOptions::default() };
    let mut progress = RunProgressBar::new(SOURCE);
    let result = Box::pin(puller.backfill(source, &options, &mut progress)).await;
    progress.finish();
    let summary = result.map_err(|(error, _)| error).context("the users cannot be read in")?;
    let RunCounts { seen, applied, unchanged, .. } = summary.counts;
    say!("   usersync backfill -> {seen} users read, {applied} applied, {unchanged} unchanged\n");
    Ok(())
}

/// Writes the settings with which the commands of another terminal read the same list.
pub(super) fn write_settings(
    directory: &Path,
    base: &str,
    development: &Development,
) -> anyhow::Result<PathBuf> {
    let Development { secret, directory_key, .. } = development;
    let text = format!(
        "# The settings of `usersync dev`, for its backfill and reconcile. Written at each start.\n\
         [[sources]]\nname = \"{SOURCE}\"\nprovider = \"clerk\"\nwebhook_secrets = [\"{secret}\"]\n\n\
         [sources.api]\nsecret_key = \"{directory_key}\"\nbase_url = \"{base}/dev/api\"\n"
    );
    let file = directory.join(FILE);
    // A file of an earlier version may be readable by others.
    fs::remove_file(&file).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    write_private(&file, &text)?;
    Ok(file)
}
