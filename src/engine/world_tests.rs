//! What is known of a machine, action by action.

#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::host::{Algorithm, Run};

fn install(path: &str, text: &str) -> Action {
    Action::new(
        ActionKind::Install(Install {
            path: path.into(),
            content: Content::text(text),
            mode: 0o644,
            owner: Some("root".into()),
            group: Some("root".into()),
            replaces: false,
            backup: None,
            validate: None,
            unsafe_writes: false,
        }),
        "install",
    )
}

fn state(world: &World, path: &str) -> Option<PathState> {
    match world.held(&Question::path(path)) {
        Held::Known(Answer::Path(state)) => Some(state),
        _ => None,
    }
}

#[test]
fn a_write_of_known_bytes_is_predicted_however_it_is_asked() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/x"), Answer::Path(PathState::absent()), None);
    world.act(&install("/x", "abc"), &WhoAmI::root());
    assert_eq!(state(&world, "/x").unwrap().kind, PathKind::File);
    let asked = Question::Path { path: "/x".into(), follow: true, digest: Some(Algorithm::Sha1) };
    let Held::Known(Answer::Path(answer)) = world.held(&asked) else { panic!() };
    assert_eq!(answer.digest.unwrap(), digest(Algorithm::Sha1, b"abc"));
    assert_eq!(world.entry(&Question::path("/x")).unwrap().2, Standing::Predicted);
    let content = world.held(&Question::Content { path: "/x".into() });
    assert_eq!(content, Held::Known(Answer::Content(Some(Arc::from(&b"abc"[..])))));
}

#[test]
fn a_command_leaves_only_assumptions() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/x"), Answer::Path(PathState::absent()), None);
    world.act(&Action::run(Run::argv(["true"]), "run"), &WhoAmI::root());
    assert_eq!(world.entry(&Question::path("/x")).unwrap().2, Standing::Assumed);
    world.confirm(&[Question::path("/x")]);
    assert_eq!(world.entry(&Question::path("/x")).unwrap().2, Standing::Known);
    let mut plain = World::new(Memory::None);
    plain.learn(Question::path("/x"), Answer::Path(PathState::absent()), None);
    plain.act(&Action::run(Run::argv(["true"]), "run"), &WhoAmI::root());
    assert_eq!(state(&plain, "/x"), None);
}

#[test]
fn a_probe_of_what_is_written_is_forgotten() {
    let mut world = World::new(Memory::Assume);
    let probe = Question::Probe(crate::host::Probe::new("cat \"$1\"", &["/x"], vec![Key::path("/x")]));
    world.learn(probe.clone(), Answer::Refused("no".into()), None);
    world.act(&install("/y", "abc"), &WhoAmI::root());
    assert!(world.entry(&probe).is_some());
    world.act(&install("/x", "abc"), &WhoAmI::root());
    assert!(world.entry(&probe).is_none());
}

#[test]
fn a_command_puts_predictions_in_doubt_until_a_guard_holds() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/x"), Answer::Path(PathState::absent()), None);
    world.act(&install("/x", "abc"), &WhoAmI::root());
    let question = Question::path("/x");
    assert_eq!(world.entry(&question).unwrap().2, Standing::Predicted);
    world.act(&Action::run(Run::argv(["rm", "/x"]), "run"), &WhoAmI::root());
    assert_eq!(world.entry(&question).unwrap().2, Standing::Assumed);
    world.confirm(std::slice::from_ref(&question));
    assert_eq!(world.entry(&question).unwrap().2, Standing::Known);
    world.forget(std::slice::from_ref(&question));
    assert_eq!(world.entry(&question), None);
}

#[test]
fn what_is_removed_takes_along_what_is_below() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/d"), Answer::Path(PathState::of(PathKind::Directory, 0o755)), None);
    world.learn(Question::path("/d/x"), Answer::Path(PathState::of(PathKind::File, 0o644)), None);
    let remove = Action::new(ActionKind::Remove { path: "/d".into(), recursive: true }, "remove");
    world.act(&remove, &WhoAmI::root());
    assert!(!state(&world, "/d/x").unwrap().exists());
    assert!(!state(&world, "/d/y/z").unwrap().exists());
    assert_eq!(state(&world, "/e"), None);
}

#[test]
fn a_folder_by_its_other_name_is_the_same_folder() {
    let mut world = World::new(Memory::Assume);
    let aliased = PathState { real: Some("/run/x".into()), ..PathState::absent() };
    world.learn(Question::path("/var/run/x"), Answer::Path(aliased.clone()), None);
    world.learn(Question::path("/run/x"), Answer::Path(aliased), None);
    world.act(&install("/var/run/x", "abc"), &WhoAmI::root());
    assert_eq!(state(&world, "/run/x"), None, "void: it must be asked again");
}

#[test]
fn another_identity_knows_what_was_done_and_not_what_was_seen() {
    let mut world = World::new(Memory::Plan);
    world.learn(Question::path("/y"), Answer::Path(PathState::absent()), None);
    world.learn(Question::path("/x"), Answer::Path(PathState::absent()), None);
    world.act(&install("/x", "abc"), &WhoAmI::root());
    let mut other = world.beside();
    assert_eq!(state(&other, "/x").unwrap().kind, PathKind::File);
    assert_eq!(state(&other, "/y"), None);
    let below = Question::path("/x/z");
    other.learn(below.clone(), Answer::Path(PathState::absent()), None);
    assert_eq!(other.entry(&below).unwrap().2, Standing::Assumed, "the host does not know of /x yet");
}

#[test]
fn attributes_keep_the_content() {
    let mut world = World::new(Memory::Assume);
    let question = Question::Path { path: "/x".into(), follow: false, digest: Some(Algorithm::Sha256) };
    let mut there = PathState::of(PathKind::File, 0o600);
    there.digest = Some("d".into());
    world.learn(question.clone(), Answer::Path(there), None);
    let change =
        ActionKind::Attributes { path: "/x".into(), follow: false, mode: Some(0o644), owner: None, group: None };
    world.act(&Action::new(change, "change"), &WhoAmI::root());
    let Held::Known(Answer::Path(state)) = world.held(&question) else { panic!() };
    assert_eq!((state.mode, state.digest.as_deref()), (0o644, Some("d")));
}

fn folder(path: &str) -> Action {
    let kind = ActionKind::Directory { path: path.into(), mode: None, owner: None, group: None };
    Action::new(kind, "make a folder")
}

fn absent_at(path: &str) -> Answer {
    Answer::Path(PathState { real: Some(path.into()), ..PathState::absent() })
}

#[test]
fn in_a_folder_that_was_made_there_is_nothing_but_what_was_put_there() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/d"), absent_at("/d"), None);
    world.act(&folder("/d"), &WhoAmI::root());
    assert_eq!(state(&world, "/d/x").unwrap().kind, PathKind::Absent);
    // A folder in it is as empty.
    world.act(&folder("/d/e"), &WhoAmI::root());
    assert_eq!(state(&world, "/d/e/x/y").unwrap().kind, PathKind::Absent);
    world.act(&install("/d/x", "abc"), &WhoAmI::root());
    assert_eq!(state(&world, "/d/x").unwrap().kind, PathKind::File);
    assert_eq!(state(&world, "/d/y").unwrap().kind, PathKind::Absent);
    // What unpacks into it is not known.
    let unpack = Action::run(Run::argv(["tar"]), "unpack").writing(vec![Key::below("/d/e")]);
    world.act(&unpack, &WhoAmI::root());
    assert_eq!(state(&world, "/d/e/x"), None);
    assert_eq!(state(&world, "/d/y"), None);
}

#[test]
fn a_folder_behind_a_link_may_be_filled_by_its_other_name() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/l/d"), absent_at("/real/d"), None);
    world.act(&folder("/l/d"), &WhoAmI::root());
    assert_eq!(state(&world, "/l/d/x"), None);
}

#[test]
fn a_command_puts_an_empty_folder_in_doubt() {
    let mut world = World::new(Memory::Assume);
    world.learn(Question::path("/d"), absent_at("/d"), None);
    world.act(&folder("/d"), &WhoAmI::root());
    world.act(&Action::run(Run::argv(["true"]), "run"), &WhoAmI::root());
    assert_eq!(world.entry(&Question::path("/d/x")).unwrap().2, Standing::Assumed);
    world.forget(&[Question::path("/d/x")]);
    assert_eq!(state(&world, "/d/x"), None);
}
