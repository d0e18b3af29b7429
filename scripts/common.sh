# Sourced by the other scripts: telling what happens, and installing what is missing.
# shellcheck shell=bash

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
# Whether a program is there, also where the PATH of users lacks the folders of root's.
has() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

# as_root COMMAND…: by sudo where it asks for no password; fails where neither is to be had.
as_root() {
    if is_root; then "$@"; elif has sudo && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

# Installs Debian packages, without starting any service that they bring.
install_packages() {
    say "Installing the Debian packages that are missing: $*"
    # A first boot, or unattended upgrades, may hold the lock. Lists that are missing or too old are fetched then only.
    as_root sh -c '
        set -eu
        export DEBIAN_FRONTEND=noninteractive
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap "exit 1" INT TERM
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod 755 "$policy"
        fi
        install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" 2>&1; }
        install "$@" >/dev/null || { apt-get update -q >/dev/null; said=$(install "$@"); } || { echo "$said" | tail -n 20 >&2; exit 1; }
    ' install "$@"
}

# need PACKAGE=PROGRAM…: the packages whose program is missing are installed; a program may be a path.
need() {
    local pair missing=()
    for pair in "$@"; do
        if has "${pair#*=}" || [ -e "${pair#*=}" ]; then continue; fi
        missing+=("${pair%%=*}")
    done
    [ ${#missing[@]} = 0 ] && return
    has apt-get || die "these are missing, and this machine has no apt-get to install them: ${missing[*]}"
    is_root || { has sudo && sudo -n true 2>/dev/null; } ||
        die "these Debian packages are missing: as root, run: apt-get install ${missing[*]}"
    install_packages "${missing[@]}"
}

# Rust comes from its own installer: Debian 12's package is too old.
need_cargo() {
    local wanted found
    [ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    has cargo || die "cargo is missing: install Rust $wanted or newer, from https://rustup.rs"
    found=$(cargo --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
        die "cargo $found is too old: install Rust $wanted or newer, from https://rustup.rs (\`rustup update\`)"
}
