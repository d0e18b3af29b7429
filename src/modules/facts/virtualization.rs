//! What a host runs on.

use super::{Sections, put};
use crate::values::{Map, Value};

/// The facts that it always gathers.
pub(super) const NAMES: [&str; 4] =
    ["virtualization_type", "virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"];

/// The facts in what `virtual.sh` said.
pub(super) fn parse(said: &Sections<'_>) -> Map {
    let (mut guest, mut host): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut is = |name| {
        if !guest.contains(&name) {
            guest.push(name);
        }
    };
    let container = said.first("container").unwrap_or_default();
    let environ = said.first("environ").unwrap_or_default();
    let environ = environ.strip_prefix("container=").unwrap_or(&environ);
    let cgroup = said.text("cgroup");
    if said.first("dockerenv").is_some() || container == "docker" || cgroup.contains("/docker") {
        is("docker");
        is("container");
    }
    if container == "podman" || environ == "podman" || said.first("containerenv").is_some() {
        is("podman");
        is("container");
    }
    if container.starts_with("lxc") || environ.starts_with("lxc") || cgroup.contains("/lxc/") {
        is("lxc");
        is("container");
    }
    match container.as_str() {
        "openvz" => is("openvz"),
        "wsl" => is("wsl"),
        "" | "none" if environ.is_empty() => {}
        "" | "none" | "docker" | "podman" | "lxc" | "lxc-libvirt" => {
            if !environ.is_empty() {
                is("container");
            }
        }
        // Of systemd-nspawn and others Ansible knows only that they are containers.
        _ => is("container"),
    }
    let machine = match said.first("vm").as_deref() {
        Some("kvm" | "qemu" | "amazon" | "google") => Some("kvm"),
        Some("vmware") => Some("VMware"),
        Some("oracle") => Some("virtualbox"),
        Some("microsoft") => Some("VirtualPC"),
        Some("xen") => Some("xen"),
        Some("parallels") => Some("parallels"),
        Some("bhyve") => Some("bhyve"),
        Some("zvm") => Some("PR/SM"),
        Some("powervm") => Some("powervm_lx86"),
        _ => by_product(said),
    };
    let xen_host = said.text("xen").contains("control_d");
    if let Some(machine) = machine.filter(|m| !(xen_host && *m == "xen")) {
        is(machine);
    }
    if xen_host {
        host.push("xen");
    }
    let modules = said.text("modules");
    if said.first("kvm").is_some() || modules.lines().any(|l| l.starts_with("kvm ")) {
        host.push("kvm");
    }
    if modules.lines().any(|l| l.starts_with("vboxdrv ")) {
        host.push("virtualbox");
    }
    let (kind, role) = match (guest.first(), host.first()) {
        (Some(kind), _) => (*kind, "guest"),
        (None, Some(kind)) => (*kind, "host"),
        (None, None) => ("NA", "NA"),
    };
    let mut facts = Map::new();
    put(&mut facts, "virtualization_type", kind);
    put(&mut facts, "virtualization_role", role);
    put(&mut facts, "virtualization_tech_guest", Value::from(guest));
    put(&mut facts, "virtualization_tech_host", Value::from(host));
    facts
}

/// Where no `systemd-detect-virt` could say.
fn by_product(said: &Sections<'_>) -> Option<&'static str> {
    let product = said.first("product").unwrap_or_default();
    let vendor = said.first("vendor").unwrap_or_default();
    let known = [
        ("KVM", "kvm"),
        ("Standard PC", "kvm"),
        ("OpenStack", "openstack"),
        ("VMware", "VMware"),
        ("VirtualBox", "virtualbox"),
        ("HVM domU", "xen"),
        ("Parallels", "parallels"),
        ("BHYVE", "bhyve"),
    ];
    if let Some((_, name)) = known.iter().find(|(word, _)| product.contains(word)) {
        return Some(name);
    }
    let makers = [
        ("QEMU", "kvm"),
        ("Amazon EC2", "kvm"),
        ("DigitalOcean", "kvm"),
        ("Hetzner", "kvm"),
        ("Google", "kvm"),
        ("oVirt", "oVirt"),
        ("VMware", "VMware"),
    ];
    if let Some((_, name)) = makers.iter().find(|(word, _)| vendor.contains(word)) {
        return Some(name);
    }
    said.first("flags").map(|_| "kvm").filter(|_| said.text("modules").contains("virtio"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(said: &str) -> (String, String) {
        let facts = parse(&Sections::read(said.replace('@', "\x1e").as_bytes()));
        (facts["virtualization_type"].to_string(), facts["virtualization_role"].to_string())
    }

    fn is(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn guests_hosts_and_iron() {
        assert_eq!(kind("@vm\nkvm\n"), is("kvm", "guest"));
        assert_eq!(kind("@vm\noracle\n@kvm\n"), is("virtualbox", "guest"));
        assert_eq!(kind("@container\ndocker\n@vm\nkvm\n@dockerenv\nyes\n"), is("docker", "guest"));
        assert_eq!(kind("@container\nsystemd-nspawn\n@environ\ncontainer=systemd-nspawn\n"), is("container", "guest"));
        assert_eq!(kind("@container\nnone\n@vm\nnone\n@modules\nkvm 1 2\n"), is("kvm", "host"));
        assert_eq!(kind("@container\nnone\n@vm\nnone\n"), is("NA", "NA"));
        assert_eq!(kind("@product\nStandard PC (Q35)\n"), is("kvm", "guest"));
    }
}
