//! What the reasons for a source's state mean, and what to do about them.

use crate::domain::Reason;

/// What a reason means, and what to do about it; `NAME` is replaced by the source's name.
pub(crate) fn advice(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::UsersMissing => (
            "users who signed up recently have no row: their webhooks were lost",
            "check the webhook's URL and secret at the provider; `usersync backfill NAME --restart` imports the missing users",
        ),
        Reason::CountDiffers => (
            "the provider's number of users differs from the number of rows",
            "`usersync reconcile NAME` lists the differences; `usersync backfill NAME` imports existing users",
        ),
        Reason::ReconcileDiffers => (
            "the last comparison with the provider's list found differences",
            "`usersync reconcile NAME` lists them, `--repair` and `--delete` remove them",
        ),
        Reason::NotChecked => ("the provider was not checked recently", "start `usersync serve`"),
        Reason::ApiUnauthorized => (
            "the provider does not accept the credentials, so differences are not detected",
            "check them under [sources.api]; they may have been revoked",
        ),
        Reason::ApiForbidden => (
            "the credentials lack a permission, so differences are not detected",
            "give them the permissions that docs/watch.md lists",
        ),
        Reason::ApiMisconfigured => (
            "the API's address cannot be used, so differences are not detected",
            "check `base_url` under [sources.api]: https, and no redirect",
        ),
        Reason::ApiUnavailable => (
            "the provider did not answer, so differences are not detected",
            "if the provider has an outage, wait; otherwise check the network",
        ),
        Reason::UnexpectedAnswer => (
            "the answer is not from the provider's API",
            "check `base_url` under [sources.api], and any proxy in between",
        ),
        Reason::WrongInstance => (
            "the key is for another instance than the webhooks or the tokens, so their users cannot be compared",
            "under [sources.api], use the key for the instance that sends the webhooks and signs the tokens",
        ),
        Reason::ReconcileRefused => (
            "the last comparison could not determine which users were deleted",
            "`usersync reconcile NAME` shows why",
        ),
        Reason::EventLogForbidden => (
            "the credentials may not read the event log, so changes whose webhook was lost are not found",
            "give them the permission that docs/watch.md lists",
        ),
        Reason::EventLogUnavailable => (
            "the event log cannot be read, so changes whose webhook was lost are not found",
            "if the provider has an outage, wait; at Auth0, close other connections to the Events API",
        ),
        Reason::EventsLost => (
            "the provider no longer knows the position in its event log: changes may be missing",
            "`usersync reconcile NAME --repair` finds and writes them",
        ),
        Reason::NoDeliveryYet => ("no delivery was ever accepted", "send a test event from the provider"),
        Reason::NoDeliveries => (
            "no delivery has arrived for much longer than usual",
            "check at the provider whether the webhook is enabled, and which answers it gets",
        ),
        Reason::DeliveriesRefused => (
            "deliveries are refused and none is accepted: the secret was probably changed at the provider",
            "`usersync explain webhook` shows which check fails; docs/problems.md explains what to do",
        ),
        Reason::WebhooksMissing => (
            "the event log has changes that no webhook delivered",
            "check at the provider whether the webhook is enabled, and which answers it gets",
        ),
        Reason::EndpointMissing => (
            "the provider has no webhook endpoint whose URL ends with /webhooks/NAME",
            "register it at the provider, as described in docs/providers",
        ),
        Reason::EndpointDisabled => (
            "the webhook's endpoint is disabled at the provider",
            "find out why deliveries failed, and enable it again",
        ),
        Reason::EndpointEventsMissing => (
            "the webhook's endpoint does not receive all events about users",
            "subscribe it to user.created, user.updated and user.deleted",
        ),
        Reason::DeliveriesFailed => (
            "the provider reports that deliveries failed in the last hour",
            "look at its list of failed deliveries, and at this service's log",
        ),
    }
}
