//! `apt_key`: not supported, and says what to do instead.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, View};

crate::module_args! {
    /// What Ansible's `apt_key` takes.
    pub struct AptKeyArgs {
        /// The key's id.
        id: Option<String>;
        /// Where the key is.
        url: Option<String>;
        /// The key.
        data: Option<String>;
        /// A file with the key, on the host.
        file: Option<String>;
        /// The keyring's file.
        keyring: Option<String>;
        /// A server of keys.
        keyserver: Option<String>;
        /// Whether the key is there.
        state: Option<String>;
        /// Check the certificate of `url`.
        validate_certs: Option<bool>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["apt_key", "ansible.builtin.apt_key", "ansible.legacy.apt_key"],
    doc: "Not supported: put keys into /etc/apt/keyrings, and name them in the source.",
    args: AptKeyArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Controller,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| Vec::new(),
};

fn plan(args: &AptKeyArgs, _: &View<'_>) -> Result<Decision, Stop> {
    let get = match (&args.url, &args.data, &args.file) {
        (Some(url), ..) => format!("`get_url: url={url} dest=/etc/apt/keyrings/NAME.asc`"),
        (_, Some(_), _) => "`copy: content=… dest=/etc/apt/keyrings/NAME.asc`".to_owned(),
        (.., Some(file)) => format!("`copy: remote_src=true src={file} dest=/etc/apt/keyrings/NAME.asc`"),
        _ => "`copy` or `get_url` with `dest: /etc/apt/keyrings/NAME.asc`".to_owned(),
    };
    Err(Stop::fail(format!(
        "apt-key is gone from Debian and Ubuntu, since its keys are trusted for every source: put the key there with {get}, and write `[signed-by=/etc/apt/keyrings/NAME.asc]` into the source of `apt_repository`"
    )))
}

#[cfg(test)]
mod tests {
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn it_says_what_to_do_instead() {
        let message = Fake::new().fails("apt_key", json!({"url": "https://x/y.asc", "state": "present"}));
        assert!(message.contains("get_url: url=https://x/y.asc") && message.contains("signed-by"));
    }
}
