# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Debian packages of our own, for the functional tests: `load ../lib/packages` behind common.

# make_package DIR NAME VERSION POSTINST: a package with a library, a set-id program and a
# configuration file that carry the version.
make_package () {
  local dir=$1 name=$2 version=$3 postinst=$4 build=$1/build
  mkdir -p "$build/DEBIAN" "$build/usr/lib/$name" "$build/usr/bin" "$build/etc"
  cat >"$build/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a test
CONTROL
  printf '#!/bin/sh\n%s\n' "$postinst" >"$build/DEBIAN/postinst"
  chmod 755 "$build/DEBIAN/postinst"
  echo "/etc/$name.conf" >"$build/DEBIAN/conffiles"
  echo "configuration of $version" >"$build/etc/$name.conf"
  head -c 50000 /dev/zero | tr '\0' "${version:0:1}" >"$build/usr/lib/$name/data"
  printf '#!/bin/sh\necho %s\n' "$version" >"$build/usr/bin/$name"
  chmod 4755 "$build/usr/bin/$name"
  find "$build" -exec touch -d '2024-01-01 00:00:00' {} +
  dpkg-deb --root-owner-group --build "$build" "$dir/${name}_${version}_all.deb" >/dev/null
  rm -r "$build"
}

# The index of a flat repository.
make_index () {
  local dir=$1 deb
  for deb in "$dir"/*.deb; do
    dpkg-deb --field "$deb"
    echo "Filename: ./${deb##*/}"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)"
    echo
  done >"$dir/Packages"
}

# serve_dir DIR: a loopback HTTP server; its port is in $port, and requests in $T/access. It needs
# lib/guests.
serve_dir () {
  mkfifo "$T/in"
  sleep 1000 >"$T/in" 3>&- &
  "$TESTS_DIR/lib/http-server" "$1" "$T/access" <"$T/in" >"$T/ports" 2>/dev/null 3>&- &
  wait_for grep -q http= "$T/ports"
  # shellcheck disable=SC2034 # is for the caller
  port=$(sed -n 's/.*\bhttp=\([0-9]*\).*/\1/p' "$T/ports")
}

# end_jobs: what a test has begun in the background: servers, and runs that a failed one left, which
# hold guests' locks.
end_jobs () {
  local pid
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
}

# publish GUEST POSTINST VERSION…: the repository of a guest has these versions of vgtest.
publish () {
  local guest=$1 postinst=$2 dir version
  shift 2
  dir=$(mktemp -d "$T/repo.XXXXXX")
  for version; do
    make_package "$dir" vgtest "$version" "$postinst"
  done
  make_index "$dir"
  tar -C "$dir" -c . | vguest -q "$guest" exec -- sh -c \
    'rm -rf /srv/repo && mkdir -p /srv/repo && tar -C /srv/repo -x'
}

# make_base_guest: the guest "base" has version 1 of vgtest installed, and version 2 to come, whose
# postinst fails where the file /etc/fail-here is.
make_base_guest () {
  make_debian_template debian
  vguest base build -m clone -- -s debian
  vguest base exec -- sh -c \
    'echo "deb [trusted=yes] copy:///srv/repo ./" >/etc/apt/sources.list; rm -rf /var/lib/apt/lists/*'
  publish base 'exit 0' 1.0
  vapt-get -q base -- update
  vapt-get -q base -- install vgtest
  publish base 'test ! -e /etc/fail-here' 2.0
  vapt-get -q base -- update
}

guest_file () {
  local layer
  for layer in private tree; do
    if [ -e "$VGUEST_ROOT/guests/$1/$layer/$2" ]; then
      echo "$VGUEST_ROOT/guests/$1/$layer/$2"
      return
    fi
  done
}

version () {
  "$(guest_file "$1" usr/bin/vgtest)"
}

# Every bit of a guest's layers. Not ctime, which changes when others link to the same inode, and
# not the origin and impure that the kernel notes on private directories, which say nothing without
# a mount.
bits () {
  tar -C "$VGUEST_ROOT/guests/$1" --sort=name --xattrs --xattrs-include='*' \
    --xattrs-exclude='trusted.overlay.origin' --xattrs-exclude='trusted.overlay.impure' --acls --numeric-owner \
    --pax-option=delete=atime,delete=ctime -cf - tree private | sha256sum
}

row () {
  json ".guests[] | select(.name == \"$1\") | .$2"
}
