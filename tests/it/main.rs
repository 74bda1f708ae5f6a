//! The integration tests: one binary, because linking takes most of the time; one file for each behaviour.
#![expect(clippy::disallowed_methods, reason = "tests run beside each other and need names of their own")]
// Always true here. It lets clippy know that all of this is test code, where a failure is a panic.
#![cfg(test)]

#[macro_use]
mod support;

mod architecture;
mod auth0;
mod backfill;
mod binary;
mod browser;
mod caching;
mod command_line;
mod configured_lists;
mod connections;
mod console;
mod console_audit;
mod console_pages;
mod console_requests;
mod console_runs;
mod console_send;
mod convergence;
mod cors;
mod crash;
mod current_user;
mod described_apis;
mod dev;
mod direct_url;
mod directory;
mod doctor;
mod encoding;
mod endpoints;
mod endpoints_command;
mod endpoints_tls;
mod event_feed;
mod event_log;
mod exact_json;
mod examples;
mod explain_token;
mod explain_webhook;
mod export_files;
mod failover;
mod identity_providers;
mod integrations;
mod interrupted_runs;
mod limits;
mod listening;
mod listing;
mod migrations;
mod minted_elsewhere;
mod odd_requests;
mod openapi;
mod openid_provider;
mod operations;
mod packages;
mod peers;
mod plans;
mod pooler;
mod privileges;
mod providers;
mod recipes;
mod reconcile;
mod replay;
mod retention;
mod reverse_proxy;
mod secrets;
mod service_keys;
mod support_works;
mod tls;
mod tokens;
mod traces;
mod watch;
mod webhooks;
mod webhooks_refused;
mod whole_lists;
mod workos_sdk;
