//! Users and groups of a host: the questions that all modules share, so that one who makes an account can foretell
//! what others will be told.

use crate::host::{Answer, Key, Output, Probe, Question, Stop, View};

/// A line of `getent passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Primary group's number.
    pub gid: u32,
    /// The comment (GECOS).
    pub comment: String,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of `getent group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: u32,
    /// Names of its members, beside those whose primary group it is.
    pub members: Vec<String>,
}

const ENTRY: &str = r#"if command -v getent >/dev/null 2>&1; then getent "$1" "$2"; exit 0; fi
while IFS= read -r line; do
  [ "${line%%:*}" = "$2" ] && printf '%s\n' "$line"
done < "/etc/$1"
exit 0
"#;

const LOCAL: &str = r#"while IFS= read -r line; do
  [ "${line%%:*}" = "$2" ] && printf '%s\n' "$line"
done < "/etc/$1"
exit 0
"#;

/// The question for a user, by name or number; `local` asks only the host's own file.
pub fn user_question(name: &str, local: bool) -> Question {
    Question::Probe(Probe::new(if local { LOCAL } else { ENTRY }, &["passwd", name], vec![Key::Accounts]))
}

/// The question for a group, by name or number; `local` asks only the host's own file.
pub fn group_question(name: &str, local: bool) -> Question {
    Question::Probe(Probe::new(if local { LOCAL } else { ENTRY }, &["group", name], vec![Key::Accounts]))
}

/// A user, if there is one.
///
/// # Errors
/// As [`View::ask`].
pub fn user(view: &View<'_>, name: &str, local: bool) -> Result<Option<User>, Stop> {
    Ok(entry(view, user_question(name, local))?.and_then(|line| parse_user(&line)))
}

/// A group, if there is one.
///
/// # Errors
/// As [`View::ask`].
pub fn group(view: &View<'_>, name: &str, local: bool) -> Result<Option<Group>, Stop> {
    Ok(entry(view, group_question(name, local))?.and_then(|line| parse_group(&line)))
}

fn entry(view: &View<'_>, question: Question) -> Result<Option<String>, Stop> {
    match view.ask(question)? {
        Answer::Output(output) => Ok(output.out().lines().next().map(str::to_owned)),
        _ => Err(Stop::fail("internal error: an answer of the wrong kind; please report it")),
    }
}

/// The answer that [`user_question`] will get.
pub fn user_answer(user: Option<&User>) -> Answer {
    Answer::Output(Output::ok(&user.map(|u| format!("{u}\n")).unwrap_or_default()))
}

/// The answer that [`group_question`] will get.
pub fn group_answer(group: Option<&Group>) -> Answer {
    Answer::Output(Output::ok(&group.map(|g| format!("{g}\n")).unwrap_or_default()))
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:x:{}:{}:{}:{}:{}", self.name, self.uid, self.gid, self.comment, self.home, self.shell)
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:x:{}:{}", self.name, self.gid, self.members.join(","))
    }
}

/// A line of `/etc/passwd`.
pub fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, comment, home, shell] = fields[..] else { return None };
    Some(User {
        name: name.into(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        comment: comment.into(),
        home: home.into(),
        shell: shell.into(),
    })
}

/// A line of `/etc/group`.
pub fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return None };
    Some(Group {
        name: name.into(),
        gid: gid.parse().ok()?,
        members: members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_read_and_foretold() {
        let line = "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin";
        let user = parse_user(line).unwrap();
        assert_eq!((user.uid, user.home.as_str()), (33, "/var/www"));
        assert_eq!(user_answer(Some(&user)), Answer::Output(Output::ok(&format!("{line}\n"))));
        let group = parse_group("sudo:x:27:a,b").unwrap();
        assert_eq!(group.members, ["a", "b"]);
        assert_eq!(group.to_string(), "sudo:x:27:a,b");
        assert_eq!(parse_user("broken"), None);
    }
}
