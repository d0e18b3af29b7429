//! Debian packages made on a host, and a repository there that offers them: for what real packages do not do on demand.

#![allow(dead_code)]

use super::lab::LabHost;

/// A package without files.
pub struct Deb<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Further lines of its control file, such as `Depends: a`.
    pub control: &'a str,
    /// A shell script that runs when it is configured.
    pub postinst: &'a str,
}

/// A package that does nothing.
pub const fn deb<'a>(name: &'a str, version: &'a str) -> Deb<'a> {
    Deb { name, version, control: "", postinst: "" }
}

/// Makes `/srv/debs/NAME_VERSION.deb` of each, and offers them, and only them, as the repository `/srv/debs`. The lists
/// of packages are not refreshed.
pub fn offer(host: &LabHost, debs: &[Deb<'_>]) {
    let mut script = "set -e; mkdir -p /etc/apt/other; mv -n /etc/apt/sources.list* /etc/apt/other
         mkdir -p /etc/apt/sources.list.d; rm -rf /srv/debs /tmp/debs; mkdir -p /srv/debs /tmp/debs; cd /srv/debs\n"
        .to_owned();
    for Deb { name, version, control, postinst } in debs {
        script.push_str(&format!(
            "d=/tmp/debs/{name}_{version}; mkdir -p $d/DEBIAN
             cat >$d/DEBIAN/control <<'E'\nPackage: {name}\nVersion: {version}\nArchitecture: all\n\
             Maintainer: Nobody <nobody@example.org>\nDescription: for tests\n{control}{}E\n",
            if control.is_empty() { "" } else { "\n" }
        ));
        if !postinst.is_empty() {
            script.push_str(&format!(
                "cat >$d/DEBIAN/postinst <<'E'\n#!/bin/sh\n{postinst}\nE\nchmod 755 $d/DEBIAN/postinst\n"
            ));
        }
        script.push_str("dpkg-deb --root-owner-group -b $d . >/dev/null\n");
    }
    script.push_str(
        "for f in *.deb; do dpkg-deb -f $f; echo \"Filename: ./$f\"; stat -c 'Size: %s' $f
           echo \"SHA256: $(sha256sum <$f | cut -d' ' -f1)\"; echo; done >Packages
         for f in *_*_all.deb; do mv $f ${f%_all.deb}.deb; done; sed -i 's/_all.deb$/.deb/' Packages
         echo 'deb [trusted=yes] file:/srv/debs ./' >/etc/apt/sources.list.d/debs.list",
    );
    host.sh(&script);
}
