# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
#
# What build/quickstart and build/check share: installing packages, being an unprivileged user, and the
# folder that all goes to. Sourced with $top (the checkout), $self (the caller's name) and $run_user set.

die() {
    echo "$self: $*" >&2
    exit 1
}

# The packages of sections of build/packages.
packages_of() {
    local section
    for section in "$@"; do
        sed -n "/^\[$section\]/,/^\[/{/^[a-z0-9]/p}" "$top/build/packages"
    done
}

# Install what is missing of these sections (decisions.md 35). Nothing is started: Debian's packages
# of servers would start theirs, so while apt runs a policy forbids it. A policy that is already
# there is somebody else's, and is left as it is.
install_packages() {
    local missing=() name sudo=() policy=/usr/sbin/policy-rc.d
    for name in $(packages_of "$@"); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "==> installing ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null ||
            die "these packages are missing, and only root can install them: apt-get install --no-install-recommends ${missing[*]}"
        sudo=(sudo -n)
    fi
    "${sudo[@]}" env POLICY="$policy" LOG="${TMPDIR:-/tmp}/orgscale-apt.$$" bash -s -- "${missing[@]}" <<'ROOT' ||
        set -u
        if [ ! -e "$POLICY" ]; then
            printf '#!/bin/sh\nexit 101\n' > "$POLICY" && chmod 755 "$POLICY"
            trap 'rm -f "$POLICY"' EXIT
            trap 'exit 1' HUP INT TERM
        fi
        export DEBIAN_FRONTEND=noninteractive
        get() { apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" >> "$LOG" 2>&1 < /dev/null; }
        { get install "$@" || { get update && get install "$@"; }; } || { tail -n 15 "$LOG" >&2; exit 1; }
        rm -f "$LOG"
ROOT
        die "apt-get could not install: ${missing[*]}"
}

# Run as the demo's or the tests' unprivileged user: PostgreSQL refuses root, and httpd needs none.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid="$(id -u "$run_user")" --regid="$(id -g "$run_user")" --clear-groups -- \
            env HOME="$var" "$@"
    else
        "$@"
    fi
}

# Sets $var: var/, or what it links to. It is where the unprivileged user can be: not in a checkout
# that it can't enter, nor so deep that a socket's path would pass the 107 bytes that the kernel takes.
find_var() {
    if [ ! -d "$top/var" ]; then
        rm -f "$top/var"
        var=$top/var
        if as_user test -x "$top" -a -r "$top" && [ ${#top} -le 70 ]; then
            mkdir -p "$var"
        else
            ln -s "$(mktemp -d "${TMPDIR:-/tmp}/orgscale.XXXXXX")" "$var"
        fi
        chmod 755 "$var/"
        [ "$(id -u)" != 0 ] || chown "$run_user:" "$var/"
    fi
    var=$(readlink -f "$top/var")
    as_user test -w "$var" -a -x "$var" ||
        die "$var is of another user: run $self as that one, or remove $top/var"
}
