//! Processors, memory, devices, mounted file systems.

use super::{Sections, grepped, put};
use crate::values::{Map, Value};
use std::collections::BTreeSet;

/// The facts that it always gathers.
pub(super) const NAMES: [&str; 36] = [
    "processor",
    "processor_count",
    "processor_cores",
    "processor_threads_per_core",
    "processor_vcpus",
    "processor_nproc",
    "memtotal_mb",
    "memfree_mb",
    "swaptotal_mb",
    "swapfree_mb",
    "memory_mb",
    "uptime_seconds",
    "bios_date",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "form_factor",
    "product_name",
    "product_serial",
    "product_uuid",
    "product_version",
    "system_vendor",
    "devices",
    "device_links",
    "mounts",
    "flags",
    "lvm",
    "fibre_channel_wwn",
];

/// The facts in what `hardware.sh` said.
pub(super) fn parse(said: &Sections<'_>) -> Map {
    let mut facts = Map::new();
    let f = &mut facts;
    processors(said, f);
    memory(said, f);
    let uptime = said.first("uptime").and_then(|u| u.split(['.', ' ']).next().and_then(|s| s.parse::<i64>().ok()));
    put(f, "uptime_seconds", uptime);
    dmi(said, f);
    devices(said, f);
    put(f, "mounts", mounts(said));
    put(f, "lvm", "N/A");
    put(f, "fibre_channel_wwn", Vec::<Value>::new());
    facts
}

fn processors(said: &Sections<'_>, f: &mut Map) {
    let mut list: Vec<Value> = Vec::new();
    let (mut count, mut sockets) = (0i64, BTreeSet::new());
    let (mut cores, mut siblings, mut flags) = (1i64, 1i64, Vec::<Value>::new());
    for line in said.lines("cpuinfo") {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "model name" | "Processor" | "vendor_id" | "cpu" | "Vendor" | "processor" => {
                if key == "processor" {
                    count += 1;
                }
                list.push(value.into());
            }
            "physical id" => {
                sockets.insert(value.to_owned());
            }
            "cpu cores" => cores = value.parse().unwrap_or(1),
            "siblings" => siblings = value.parse().unwrap_or(1),
            "flags" | "Features" if flags.is_empty() => flags = value.split_whitespace().map(Into::into).collect(),
            _ => {}
        }
    }
    let nproc = said.first("nproc").and_then(|n| n.parse::<i64>().ok()).unwrap_or(count.max(1));
    let (sockets, threads) = if sockets.is_empty() {
        // Machines that do not say which core is on which chip (ARM).
        (count.max(1), 1)
    } else {
        (sockets.len() as i64, (siblings / cores.max(1)).max(1))
    };
    put(f, "processor", Value::list(list));
    put(f, "processor_count", sockets);
    put(f, "processor_cores", cores);
    put(f, "processor_threads_per_core", threads);
    put(f, "processor_vcpus", sockets * cores * threads);
    put(f, "processor_nproc", nproc);
    put(f, "flags", Value::list(flags));
}

fn memory(said: &Sections<'_>, f: &mut Map) {
    let lines = said.lines("meminfo");
    let mb = |name: &str| {
        let text = lines.iter().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        text.and_then(|t| t.split_whitespace().next()?.parse::<i64>().ok()).unwrap_or(0) / 1024
    };
    let (total, free, cached, buffers) = (mb("MemTotal"), mb("MemFree"), mb("Cached"), mb("Buffers"));
    let (swap, swap_free) = (mb("SwapTotal"), mb("SwapFree"));
    put(f, "memtotal_mb", total);
    put(f, "memfree_mb", free);
    put(f, "swaptotal_mb", swap);
    put(f, "swapfree_mb", swap_free);
    let pairs = |a: &[(&str, i64)]| Value::map(a.iter().map(|(k, v)| ((*k).into(), Value::from(*v))).collect());
    let nocache = free + cached + buffers;
    put(
        f,
        "memory_mb",
        Value::from_pairs([
            ("real", pairs(&[("total", total), ("used", total - free), ("free", free)])),
            ("nocache", pairs(&[("free", nocache), ("used", total - nocache)])),
            (
                "swap",
                pairs(&[
                    ("total", swap),
                    ("free", swap_free),
                    ("used", swap - swap_free),
                    ("cached", mb("SwapCached")),
                ]),
            ),
        ]),
    );
}

fn dmi(said: &Sections<'_>, f: &mut Map) {
    let found = grepped(&said.text("dmi"), "/sys/class/dmi/id/");
    let get =
        |name: &str| found.iter().find(|(p, _)| p[..] == [name]).map(|(_, v)| v.clone()).filter(|v| !v.is_empty());
    for name in [
        "bios_date",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_name",
        "product_serial",
        "product_uuid",
        "product_version",
    ] {
        put(f, name, get(name).unwrap_or_else(|| "NA".into()));
    }
    put(f, "system_vendor", get("sys_vendor").unwrap_or_else(|| "NA".into()));
    let form = get("chassis_type").and_then(|t| t.parse::<usize>().ok()).map(|t| FORMS.get(t).copied().unwrap_or("NA"));
    put(f, "form_factor", form.unwrap_or("NA"));
}

/// Chassis types of the System Management BIOS specification, 7.4.1.
const FORMS: [&str; 37] = [
    "Unknown",
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosure",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

fn human(bytes: u64) -> String {
    let units = [("YB", 80), ("ZB", 70), ("EB", 60), ("PB", 50), ("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    for (unit, power) in units {
        let size = 2f64.powi(power);
        if bytes as f64 >= size {
            return format!("{:.2} {unit}", bytes as f64 / size);
        }
    }
    format!("{bytes}.00 Bytes")
}

fn devices(said: &Sections<'_>, f: &mut Map) {
    let found = grepped(&said.text("block"), "/sys/block/");
    let holders: Vec<Vec<String>> = said
        .lines("holders")
        .iter()
        .filter_map(|l| l.strip_prefix("/sys/block/").map(|p| p.split('/').map(str::to_owned).collect()))
        .collect();
    let links: Vec<(String, String, String)> = said
        .lines("links")
        .iter()
        .filter_map(|l| {
            let mut words = l.splitn(3, ' ');
            let (kind, target, name) = (words.next()?, words.next()?, words.next()?);
            Some((kind.to_owned(), target.rsplit('/').next()?.to_owned(), name.to_owned()))
        })
        .collect();
    let links_of = |device: &str| {
        let of = |kind: &str| {
            let mut names: Vec<_> =
                links.iter().filter(|l| l.0 == kind && l.1 == device).map(|l| l.2.clone()).collect();
            names.sort();
            Value::from(names)
        };
        let masters: BTreeSet<_> = holders
            .iter()
            .filter(|h| h.len() >= 3 && h[h.len() - 3] == device)
            .filter_map(|h| h.last().cloned())
            .collect();
        let masters = Value::from(masters.into_iter().collect::<Vec<_>>());
        Value::from_pairs([("ids", of("id")), ("uuids", of("uuid")), ("labels", of("label")), ("masters", masters)])
    };
    let mut devices = Map::new();
    for line in said.lines("virtual") {
        let Some((name, _)) = line.split_once(' ') else { continue };
        let get = |path: &str| {
            found
                .iter()
                .find(|(p, _)| p.first().is_some_and(|n| n == name) && p[1..].join("/") == path)
                .map(|(_, v)| v.clone())
        };
        let number = |path: &str| get(path).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let mut one = Map::new();
        // Ansible says 1 of every device that sysfs shows as a link, and today it shows all of them so.
        put(&mut one, "virtual", 1);
        put(&mut one, "links", links_of(name));
        put(&mut one, "vendor", get("device/vendor"));
        put(&mut one, "model", get("device/model"));
        if let Some(serial) = get("device/serial") {
            put(&mut one, "serial", serial);
        }
        put(&mut one, "sas_address", Value::Null);
        put(&mut one, "sas_device_handle", Value::Null);
        put(&mut one, "removable", get("removable"));
        put(&mut one, "rotational", get("queue/rotational"));
        put(&mut one, "support_discard", get("queue/discard_granularity"));
        let scheduler = get("queue/scheduler").unwrap_or_default();
        let scheduler = scheduler.split(['[', ']']).nth(1).unwrap_or(&scheduler).to_owned();
        put(&mut one, "scheduler_mode", scheduler);
        put(&mut one, "sectors", number("size"));
        put(&mut one, "sectorsize", get("queue/logical_block_size").unwrap_or_else(|| "512".into()));
        // The kernel counts in sectors of 512 bytes, whatever the device's own are.
        put(&mut one, "size", human(number("size") * 512));
        put(&mut one, "host", "");
        let held = holders.iter().filter(|h| h.len() == 3 && h[0] == name).filter_map(|h| h.last().cloned());
        put(&mut one, "holders", held.collect::<Vec<_>>());
        let mut partitions = Map::new();
        for (path, _) in found.iter().filter(|(p, _)| p.len() == 3 && p[0] == name && p[2] == "partition") {
            let partition = &path[1];
            let mut part = Map::new();
            let sectors = number(&format!("{partition}/size"));
            let links = links_of(partition);
            let uuid = links.get("uuids").and_then(Value::as_list).and_then(|u| u.first().cloned());
            put(&mut part, "links", links);
            put(&mut part, "start", get(&format!("{partition}/start")).unwrap_or_else(|| "0".into()));
            put(&mut part, "sectors", sectors);
            put(&mut part, "sectorsize", 512);
            put(&mut part, "size", human(sectors * 512));
            put(&mut part, "uuid", uuid);
            let held = holders.iter().filter(|h| h.len() == 4 && h[0] == name && h[1] == *partition);
            put(&mut part, "holders", held.filter_map(|h| h.last().cloned()).collect::<Vec<_>>());
            put(&mut partitions, partition, Value::map(part));
        }
        put(&mut one, "partitions", Value::map(partitions));
        put(&mut devices, name, Value::map(one));
    }
    put(f, "devices", Value::map(devices));
    let mut all = Map::new();
    for (plural, kind) in [("ids", "id"), ("uuids", "uuid"), ("labels", "label")] {
        let mut by_device = Map::new();
        for (_, device, name) in links.iter().filter(|l| l.0 == kind) {
            let mut names = by_device.get(device.as_str()).and_then(Value::as_list).unwrap_or_default().to_vec();
            names.push(Value::from(name));
            put(&mut by_device, device, Value::list(names));
        }
        put(&mut all, plural, Value::map(by_device));
    }
    let mut masters = Map::new();
    for holder in holders.iter().filter(|h| h.len() >= 3) {
        let device = &holder[holder.len() - 3];
        let mut names = masters.get(device.as_str()).and_then(Value::as_list).unwrap_or_default().to_vec();
        names.extend(holder.last().map(Value::from));
        put(&mut masters, device, Value::list(names));
    }
    put(&mut all, "masters", Value::map(masters));
    put(f, "device_links", Value::map(all));
}

/// `\040` and the like stand for blanks in the kernel's tables.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let octal =
            bytes.get(i + 1..i + 4).filter(|d| bytes[i] == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0')) as u8);
                i += 4;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn mounts(said: &Sections<'_>) -> Value {
    let links = said.lines("links");
    let uuid = |device: &str| {
        let name = device.rsplit('/').next().unwrap_or(device);
        links.iter().find_map(|l| {
            let mut words = l.splitn(3, ' ');
            let (kind, target, uuid) = (words.next()?, words.next()?, words.next()?);
            (kind == "uuid" && target.rsplit('/').next() == Some(name)).then(|| uuid.to_owned())
        })
    };
    // A bind mount shows a folder of its file system as its root.
    let binds: Vec<String> = said
        .lines("mountinfo")
        .iter()
        .filter_map(|l| {
            let words: Vec<_> = l.split(' ').collect();
            (words.len() > 4 && words[3] != "/").then(|| words[4].to_owned())
        })
        .collect();
    let mut out = Vec::new();
    for line in said.lines("mounts") {
        let Some((entry, sizes)) = line.rsplit_once('|') else { continue };
        let words: Vec<_> = entry.split(' ').collect();
        let [device, place, kind, options, dump, pass] = words[..] else { continue };
        let mut one = Map::new();
        put(&mut one, "mount", unescape(place));
        put(&mut one, "device", unescape(device));
        put(&mut one, "fstype", kind);
        let bind = binds.iter().any(|b| b == place) && !options.split(',').any(|o| o == "bind");
        put(&mut one, "options", if bind { format!("{options},bind") } else { options.to_owned() });
        put(&mut one, "dump", dump.parse::<i64>().unwrap_or(0));
        put(&mut one, "passno", pass.parse::<i64>().unwrap_or(0));
        let numbers: Vec<u64> = sizes.split(' ').filter_map(|n| n.parse().ok()).collect();
        if let [size, blocks, available, inodes, inodes_free, ..] = numbers[..] {
            put(&mut one, "size_total", size * blocks);
            put(&mut one, "size_available", size * available);
            put(&mut one, "block_size", numbers.get(5).copied().unwrap_or(size));
            put(&mut one, "block_total", blocks);
            put(&mut one, "block_available", available);
            put(&mut one, "block_used", blocks.saturating_sub(available));
            put(&mut one, "inode_total", inodes);
            put(&mut one, "inode_available", inodes_free);
            put(&mut one, "inode_used", inodes.saturating_sub(inodes_free));
        }
        put(&mut one, "uuid", uuid(device).unwrap_or_else(|| "N/A".into()));
        out.push(Value::map(one));
    }
    Value::list(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(said: &str) -> Map {
        parse(&Sections::read(said.replace('@', "\x1e").as_bytes()))
    }

    #[test]
    fn processors_are_counted() {
        let two = "processor\t: 0\nvendor_id\t: A\nmodel name\t: M\nphysical id\t: 0\nsiblings\t: 4\ncpu cores\t: 2\nflags\t: fpu vme\n\n";
        let f = facts(&format!("@cpuinfo\n{two}{}@nproc\n4\n", two.replace("processor\t: 0", "processor\t: 1")));
        assert_eq!(f["processor_count"], Value::from(1));
        assert_eq!(f["processor_cores"], Value::from(2));
        assert_eq!(f["processor_threads_per_core"], Value::from(2));
        assert_eq!(f["processor_vcpus"], Value::from(4));
        assert_eq!(f["processor_nproc"], Value::from(4));
        assert_eq!(f["processor"].to_string(), "['0', 'A', 'M', '1', 'A', 'M']");
        let arm = facts("@cpuinfo\nprocessor : 0\nBogoMIPS : 1\n\nprocessor : 1\n");
        assert_eq!(arm["processor_vcpus"], Value::from(2));
    }

    #[test]
    fn memory_and_firmware() {
        let f = facts(
            "@meminfo\nMemTotal: 2048000 kB\nMemFree: 1024000 kB\nCached: 102400 kB\nSwapTotal: 0 kB\n@dmi\n/sys/class/dmi/id/sys_vendor:QEMU: x\n/sys/class/dmi/id/chassis_type:1\n@uptime\n55.2 1\n",
        );
        assert_eq!(f["memtotal_mb"], Value::from(2000));
        assert_eq!(
            f["memory_mb"].get("nocache").map(ToString::to_string).as_deref(),
            Some("{'free': 1100, 'used': 900}")
        );
        assert_eq!(f["system_vendor"].to_string(), "QEMU: x");
        assert_eq!(f["form_factor"].to_string(), "Other");
        assert_eq!(f["product_name"].to_string(), "NA");
        assert_eq!(f["uptime_seconds"], Value::from(55));
        for name in NAMES {
            assert!(f.contains_key(name), "{name}");
        }
    }

    #[test]
    fn disks_and_mounts() {
        let f = facts(
            "@block\n/sys/block/sda/size:41943040\n/sys/block/sda/queue/scheduler:none [mq-deadline]\n/sys/block/sda/sda1/partition:1\n/sys/block/sda/sda1/start:2048\n/sys/block/sda/sda1/size:2097152\n@virtual\nsda ../devices/pci/x\n@links\nuuid ../../sda1 1234-ABCD\n@mounts\n/dev/sda1 /mnt/a\\040b ext4 rw 0 0|4096 100 40 10 4 4096\n/dev/sdb / ext4 rw 0 1|\n",
        );
        let sda = f["devices"].get("sda").cloned().unwrap_or_default();
        assert_eq!(sda.get("size"), Some(&Value::from("20.00 GB")));
        assert_eq!(sda.get("scheduler_mode"), Some(&Value::from("mq-deadline")));
        let part = sda.get("partitions").and_then(|p| p.get("sda1")).cloned().unwrap_or_default();
        assert_eq!(part.get("uuid"), Some(&Value::from("1234-ABCD")));
        assert_eq!(part.get("size"), Some(&Value::from("1.00 GB")));
        let mounts = f["mounts"].as_list().unwrap_or_default().to_vec();
        assert_eq!(mounts[0].get("mount"), Some(&Value::from("/mnt/a b")));
        assert_eq!(mounts[0].get("size_available"), Some(&Value::from(163_840)));
        assert_eq!(mounts[0].get("block_used"), Some(&Value::from(60)));
        assert_eq!(mounts[1].get("size_total"), None);
    }
}
