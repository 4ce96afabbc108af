//! Deployments, from the administrator's command to what dpkg says is installed, in roots with the real dpkg.

mod broken;
mod fleet;
mod killed;
mod upstream;
mod whole;

use libtest_mimic::{Completion, Failed, Trial};

/// Everything that a scenario needs it makes itself.
type Scenario = fn() -> anyhow::Result<()>;

/// The scenarios.
pub(crate) fn trials() -> Vec<Trial> {
    let scenarios: [(&str, Scenario); 8] = [
        ("a_required_update_is_installed_and_proved_by_a_scan", whole::required),
        ("an_available_update_waits_for_a_user", whole::available),
        ("a_paused_or_cancelled_deployment_installs_nothing", whole::paused_and_cancelled),
        ("a_package_that_fails_stops_the_roll_out", broken::stops_the_roll_out),
        ("a_failed_installation_is_rolled_back", broken::rolled_back),
        ("a_mirror_that_dies_in_the_middle_costs_time_and_nothing_else", upstream::dies_in_the_middle),
        ("a_killed_agent_installs_everything_once", killed::agent),
        ("a_killed_site_loses_nothing", killed::site),
    ];
    let trial = |(name, scenario): (&str, Scenario)| {
        Trial::ignorable_test(format!("deployment::{name}"), move || match farrier_tests::DebianRoot::obstacle() {
            Some(obstacle) => Ok(Completion::ignored_with(obstacle)),
            None => scenario().map(|()| Completion::Completed).map_err(|error| Failed::from(format!("{error:#}"))),
        })
    };
    scenarios.into_iter().map(trial).collect()
}
