//! Migrations that wait for the switch, where the deploy ends before they are applied.

use crate::app::{App, Migration};
use crate::killed::{Watch, named};
use crate::rig::{Rig, everything};

#[test]
fn what_was_deferred_and_cut_is_told_and_applied_by_the_next_deploy() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = "unsafe_migrations: defer".to_owned();
    let two = App::new().version("2").migration(Migration::Drops);
    let column = "su postgres -c \"psql -Atc \\\"SELECT count(*) FROM information_schema.columns WHERE table_name = 'pages_note' AND column_name = 'remark'\\\" deployable\"";
    let (drain, before) = (named("drain"), rig.serving(0));
    let watch = Watch::begin(&rig, &drain);
    let (mut child, _) = rig.begin_deploy(&two, &[]);
    watch.wait("drain");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(rig.serving(0), before);
    assert_eq!(rig.db.sh(column), "1", "the column is gone: nothing was deferred, or nothing was cut");

    let told = rig.windlass(&["deploy", "deploy.yml"]);
    told.ends(0).says(&[
        "brought to its end",
        "that waited for the switch are not applied: pages.0002_drops",
        "--again",
    ]);
    assert_eq!(rig.db.sh(column), "1");
    rig.windlass(&["deploy", "deploy.yml", "--again"]).ends(0);
    assert_eq!(rig.db.sh(column), "0");
    rig.assert_serves("2");
}
