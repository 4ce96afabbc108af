//! What time it is, on machines whose clock may be wrong.

use farrier_protocol::UnixTime;

/// The time to judge expiry by: never before the agent was built, never before the last accepted assignment was issued.
///
/// The clock's own time enters only here and is never stored: a clock that was once a year ahead locks nobody out.
#[must_use]
pub fn trusted_now(clock: UnixTime, built_at: UnixTime, last_accepted: UnixTime) -> UnixTime {
    clock.max(built_at).max(last_accepted)
}

/// The last accepted time once an assignment issued at `issued_at` was taken under an index that expires at `expires`.
///
/// The index is signed by the repository's key, the assignment by nothing but its connection: it may not claim a time
/// at which that index would be void.
#[must_use]
pub fn last_accepted(before: UnixTime, issued_at: UnixTime, expires: UnixTime) -> UnixTime {
    before.max(issued_at.min(expires.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_lost_its_battery_is_not_believed() {
        assert_eq!(trusted_now(0, 1_000, 500), 1_000);
        assert_eq!(trusted_now(0, 1_000, 2_000), 2_000);
        assert_eq!(trusted_now(3_000, 1_000, 2_000), 3_000);
    }

    #[test]
    fn an_assignment_from_the_far_future_does_not_void_the_index_it_came_with() {
        let accepted = last_accepted(100, i64::MAX, 1_000);
        assert!(trusted_now(200, 0, accepted) < 1_000);
    }

    #[test]
    fn accepted_time_never_goes_back() {
        assert_eq!(last_accepted(500, 400, 1_000), 500);
    }
}
