//! The table of effects: what writing one key means for another.
//!
//! Its default is "may change it"; every narrowing below has a test.

use super::key::{Key, is_below};

/// Folders whose files the account tools, the package manager and the service manager read.
const ACCOUNT_FILES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];
const PACKAGE_FOLDERS: [&str; 3] = ["/etc/apt", "/var/lib/dpkg", "/var/lib/apt"];
const UNIT_FOLDERS: [&str; 5] =
    ["/etc/systemd", "/lib/systemd", "/usr/lib/systemd", "/run/systemd", "/usr/local/lib/systemd"];

/// Whether an answer about `read` may be different after `written` was written.
pub fn affects(written: &Key, read: &Key) -> bool {
    use Key::{Accounts, Anything, Below, Named, Packages, Path, Units, Volatile};
    match (written, read) {
        (Anything, _) | (_, Anything | Volatile) => true,
        // A package brings files, users, units and whatever its scripts do; a unit that starts does what it likes.
        (Packages | Units, _) => true,
        (Path(w), Path(r)) => is_below(r, w),
        (Path(w), Below(r)) => is_below(r, w) || is_below(w, r),
        (Below(w), Path(r)) => is_below(r, w),
        (Below(w), Below(r)) => is_below(r, w) || is_below(w, r),
        (Path(w) | Below(w), Accounts) => ACCOUNT_FILES.iter().any(|f| is_below(f, w) || is_below(w, f)),
        (Path(w) | Below(w), Packages) => PACKAGE_FOLDERS.iter().any(|f| is_below(f, w) || is_below(w, f)),
        (Path(w) | Below(w), Units) => UNIT_FOLDERS.iter().any(|f| is_below(f, w) || is_below(w, f)),
        (Path(_) | Below(_), Named(..)) => true,
        (Accounts, Accounts) => true,
        // Account tools write their own files, homes and mail spools; they are named as keys of their own when made.
        (Accounts, Path(r) | Below(r)) => ACCOUNT_FILES.iter().any(|f| is_below(f, r)),
        (Accounts, Packages | Units) => false,
        (Accounts, Named(..)) => true,
        (Named(w, _), Named(r, _)) => w == r,
        (Named(..), Path(_) | Below(_) | Packages | Units | Accounts) => false,
        (Volatile, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_concerns_itself_and_what_is_below() {
        let w = Key::path("/srv/app");
        assert!(affects(&w, &Key::path("/srv/app")));
        assert!(affects(&w, &Key::path("/srv/app/x")));
        assert!(affects(&w, &Key::below("/srv")));
        assert!(!affects(&w, &Key::path("/srv")));
        assert!(!affects(&w, &Key::path("/srv/app2")));
    }

    #[test]
    fn configuration_files_concern_their_managers() {
        assert!(affects(&Key::path("/etc/systemd/system/x.service"), &Key::Units));
        assert!(affects(&Key::path("/etc/apt/sources.list"), &Key::Packages));
        assert!(affects(&Key::path("/etc/passwd"), &Key::Accounts));
        assert!(!affects(&Key::path("/srv/x"), &Key::Units));
        assert!(!affects(&Key::path("/srv/x"), &Key::Packages));
        assert!(!affects(&Key::path("/srv/x"), &Key::Accounts));
    }

    #[test]
    fn packages_and_units_may_do_anything() {
        for read in [Key::path("/etc/nginx/nginx.conf"), Key::Accounts, Key::Units, Key::Named("cron", "x".into())] {
            assert!(affects(&Key::Packages, &read));
            assert!(affects(&Key::Units, &read));
            assert!(affects(&Key::Anything, &read));
        }
    }

    #[test]
    fn accounts_and_named_things_keep_to_themselves() {
        assert!(!affects(&Key::Accounts, &Key::path("/srv/x")));
        assert!(affects(&Key::Accounts, &Key::path("/etc/passwd")));
        assert!(!affects(&Key::Accounts, &Key::Packages));
        let (a, b) = (Key::Named("cron", "a".into()), Key::Named("postgresql", "b".into()));
        assert!(!affects(&a, &b));
        assert!(affects(&a, &Key::Named("cron", "b".into())));
        assert!(!affects(&a, &Key::path("/etc/crontab")));
    }

    #[test]
    fn volatile_state_is_never_kept() {
        assert!(affects(&Key::path("/srv/x"), &Key::Volatile));
    }
}
