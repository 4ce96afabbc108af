//! Claim: a disk that is full costs nothing but the news, wherever it becomes full; with room again they are taken.
//!
//! What makes it so: a policy is followed only once everything in it is on the disk, in one transaction, and floors rise
//! after it.

use crate::disk::SmallDisk;
use crate::scene::{Scene, assert_says, attempt, follows, online};
use crate::tools::Tool;
use farrier_tests::copy_of;

/// What the system says of a full disk. A site that heard more than the disk took asks for everything again, which is right.
const FULL: &str = "No space left on device";
/// More pages than news need.
const MAX_PAGES: u64 = 256;

#[test]
fn a_disk_that_fills_up_anywhere_keeps_the_policy() {
    if Tool::Mount.is_missing() {
        return;
    }
    let scene = Scene::new();
    scene.publish_news();
    let data = scene.agent.data();
    let state = copy_of(&data).unwrap();
    let before = scene.before().clone();
    let after = {
        let _large = SmallDisk::in_place_of(&data, &state, MAX_PAGES);
        online(&scene.agent);
        follows(&scene.agent)
    };
    assert_ne!(before, after);

    let enough = (0..MAX_PAGES).find(|free_pages| {
        let disk = SmallDisk::in_place_of(&data, &state, *free_pages);
        // What a scan found cannot always be noted, either.
        let said = match attempt(&mut scene.agent.command(&["scan", "--json"])) {
            Ok(small) if !small.said.contains(FULL) => {
                assert_eq!(small.updates, after.updates);
                return true;
            }
            Ok(small) => small.said,
            Err(said) => said,
        };
        assert_says(&said, &[FULL]);
        disk.grow();
        let kept = follows(&scene.agent);
        assert!(kept == before || kept == after, "{free_pages} pages: {kept:?}");
        let large = online(&scene.agent);
        assert_eq!(large.updates, after.updates, "{free_pages} pages: {}", large.said);
        assert!(!large.said.contains(FULL), "{free_pages} pages: {}", large.said);
        false
    });
    assert!(enough.is_some_and(|pages| pages > 0), "{enough:?}");
    // The site has heard of more than this state knows, and asks for everything again.
    online(&scene.agent);
    scene.recovers();
}
