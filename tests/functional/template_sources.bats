#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Trees from other places than archives: bootstraps by the tools of several distributions, rsync,
# guests, nothing at all; and the methods of build that make guests of them.

load ../lib/common
load ../lib/guests
load ../lib/sources
load ../lib/pacman

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program python3 tar jq
  mkdir -p "$T/definitions" "$T/programs" "$T/www"
  export VGUEST_TEMPLATES=$T/definitions
}

teardown () {
  stop_server
  common_teardown
}

# define NAME JSON
define () {
  echo "$2" >"$T/definitions/$1.json"
}

guest_tree () {
  echo "$VGUEST_ROOT/guests/$1/tree"
}

# fake PROGRAM SCRIPT: one of that name, first in PATH.
fake () {
  printf '#!/bin/sh\n%s\n' "$2" >"$T/programs/$1"
  chmod +x "$T/programs/$1"
  PATH=$T/programs:$PATH
}

# make_rpms: packages "base" and "app", which needs it, in the repository $T/www.
make_rpms () {
  local name
  for name in base app; do
    {
      printf 'Name: %s\nVersion: 1\nRelease: 1\nSummary: a test\nLicense: MIT\nBuildArch: noarch\n' \
        "$name"
      [ "$name" = base ] || echo "Requires: base"
      printf '%%description\nA test.\n%%install\nmkdir -p %%{buildroot}/etc %%{buildroot}/usr/share\n'
      printf 'echo %s >%%{buildroot}/etc/%s\n%%files\n/etc/%s\n' "$name" "$name" "$name"
      [ "$name" = app ] || echo "%dir /etc"
    } >"$T/$name.spec"
    rpmbuild --quiet -bb --define "_topdir $T/rpmbuild" --define "_rpmdir $T/www" "$T/$name.spec" \
      >/dev/null 2>&1
  done
  mv "$T"/www/noarch/*.rpm "$T/www"
  rmdir "$T/www/noarch"
  createrepo_c --quiet --simple-md-filenames "$T/www" >/dev/null
  # The server has no directories.
  cp "$T"/www/repodata/* "$T/www"
}

@test "a guest of an archive, unpacked for it alone" {
  make_small_template "$T/source"
  pack "$T/source" "$T/root.tar"
  vguest -q a,b build -m template -- -s "$T/root.tar"
  [ "$(cat "$(guest_tree a)/usr/share/doc/doc01")" = "$(cat "$T/source/usr/share/doc/doc01")" ]
  same_inode "$(guest_tree a)/usr/lib/lib01.so" "$(guest_tree b)/usr/lib/lib01.so"
  [ -z "$(ls -A "$VGUEST_ROOT/templates")" ]
  [ "$(cat "$VGUEST_ROOT/guests/a/private/etc/hostname")" = a ]
  [ ! -e "$(guest_tree a)/etc/ssh/ssh_host_ed25519_key" ]
  assert_nothing_left
  check_root
  run vguest c build -m template -- -s "$T/nothing.tar"
  assert_status 1
  [ ! -e "$VGUEST_ROOT/guests/c" ]
  run vguest a build -m template -- -s "$T/root.tar"
  assert_status 1
  assert_contains "$output" "exists"
}

@test "a copy by rsync, here and from another host, without what is excluded" {
  skip_unless_program rsync
  make_small_template "$T/source"
  vguest -q a build -m rsync -- -s "$T/source" --exclude /home --exclude '*.so'
  [ ! -e "$(guest_tree a)/home" ]
  [ ! -e "$(guest_tree a)/usr/lib/lib01.so" ]
  [ "$(cat "$(guest_tree a)/usr/share/doc/doc01")" = "$(cat "$T/source/usr/share/doc/doc01")" ]
  # shellcheck disable=SC2016
  fake ssh 'while [ "${1#-}" != "$1" ]; do case $1 in -o | -l) shift ;; esac; shift; done
echo "$1" >"${0%/*}/host"; shift; exec "$@"'
  define far '{"source": {"type": "rsync", "from": "root@far.example:'"$T"'/source"}}'
  vtemplate -q build far
  assert_contains "$(cat "$T/programs/host")" far.example
  diff <(tree_list "$T/source") <(tree_list "$(tree_of far)")
  for from in relative rsync://host/module "host::module" "-e x:/y" 'a;b:/c'; do
    define bad "$(jq -n --arg from "$from" '{source: {type: "rsync", from: $from}}')"
    run vtemplate build bad
    assert_status 2
  done
  run vguest b build -m rsync -- -s "$T/nothing"
  assert_status 1
  assert_contains "$output" "rsync failed"
  assert_nothing_left
  check_root
}

@test "an empty tree" {
  vguest -q a build -m skeleton
  [ "$(stat -c %a "$(guest_tree a)/tmp")" = 1777 ]
  [ -d "$(guest_tree a)/var/tmp" ]
  [ -z "$(find "$(guest_tree a)" -type f)" ]
  check_root
}

@test "a stopped guest becomes a template, without what belongs to one host" {
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q a build -m clone -- -s small
  local private=$VGUEST_ROOT/guests/a/private
  mkdir -p "$private/srv/data"
  echo own >"$private/srv/data/file"
  echo key >"$private/srv/key"
  mkdir -p "$private/etc/ssh"
  echo secret >"$private/etc/ssh/ssh_host_rsa_key"
  mknod "$private/usr-gone" c 0 0
  rm "$private/usr-gone"
  vguest -q a set memory=512M
  run vtemplate import frozen guest:a
  assert_status 0
  [ "$(cat "$(tree_of frozen)/srv/data/file")" = own ]
  [ ! -e "$(tree_of frozen)/etc/ssh/ssh_host_rsa_key" ]
  same_inode "$(tree_of frozen)/usr/lib/lib01.so" "$(tree_of small)/usr/lib/lib01.so"
  [ "$(vtemplate info frozen --json | jq -r .guest.memory)" = 512M ] ||
    [ "$(vtemplate info frozen --json | jq -r .guest.memory)" = 536870912 ]
  vguest -q b build -m clone -- -s frozen
  [ "$(cat "$VGUEST_ROOT/guests/b/private/etc/hostname")" = b ]
  # Again, when the guest has changed.
  echo newer >"$private/srv/data/file"
  vtemplate -q update frozen
  [ "$(cat "$VGUEST_ROOT/templates/frozen/2/tree/srv/data/file")" = newer ]
  [ "$(cat "$private/srv/data/file")" = newer ]
  run vtemplate import x guest:nobody
  assert_status 5
  assert_nothing_left
  check_root
}

@test "bootstraps tell what is missing on the host, and which package has it" {
  mkdir "$T/bin"
  for program in sh cat jq ls rm find env sed; do
    ln -s "$(type -P $program)" "$T/bin/$program"
  done
  ln -s "$VGUEST_BIN_DIR/vtemplate" "$T/bin/vtemplate"
  local manager package
  while read -r manager package; do
    define "$manager" "$(jq -n --arg manager "$manager" '{source: {type: "bootstrap",
      manager: $manager, suite: "1", repositories: {main: "http://127.0.0.1:1/"}, include: ["a"]}}
      | if $manager == "apt" then del(.source.repositories) else . end')"
    run env PATH="$T/bin" vtemplate build "$manager"
    assert_status 1
    assert_contains "$output" "installed"
    assert_contains "$output" "$package"
  done <<'END'
apt mmdebstrap
dnf dnf
zypper zypper
pacman pacman-package-manager
apk apk-tools
END
  assert_no_trace
}

@test "a bootstrap by the real pacman" {
  skip_unless_program pacman bsdtar setcap python3
  start_server
  make_pacman_package "$T/www" tool 1-1
  (cd "$T/www" && repo-add test.db.tar.gz ./*.pkg.tar.gz >/dev/null 2>&1) || skip "needs repo-add"
  define arch "$(jq -n --arg url "$HTTP" '{source: {type: "bootstrap", manager: "pacman",
    unsigned: true, repositories: {test: $url}, include: ["tool"]}, packages: "pacman"}')"
  run vtemplate build arch
  assert_status 0
  [ "$(stat -c %a "$(tree_of arch)/usr/bin/tool")" = 4755 ]
  [ -n "$(getcap "$(tree_of arch)/usr/bin/tool-net")" ]
  [ -d "$(tree_of arch)/var/lib/pacman/local/tool-1-1" ]
  [ -z "$(find "$(tree_of arch)/dev" "$(tree_of arch)/proc" -mindepth 1)" ]
  [ -z "$(find "$(tree_of arch)" -name '*.pkg.tar*')" ]
  run vtemplate info arch
  assert_contains "$output" "verified:     nothing"
  assert_nothing_left
  check_root
  # Signatures are asked for, if nobody says otherwise.
  define signed "$(jq 'del(.source.unsigned)' "$T/definitions/arch.json")"
  run vtemplate build signed
  assert_status 1
  assert_contains "$output" "pacman failed"
}

@test "bootstraps by the real dnf and zypper" {
  skip_unless_program rpmbuild createrepo_c
  make_rpms
  local manager
  for manager in dnf zypper; do
    command -v "$manager" >/dev/null || continue
    define "$manager" "$(jq -n --arg url "file://$T/www" --arg manager "$manager" '{source: {
      type: "bootstrap", manager: $manager, suite: "1", unsigned: true,
      repositories: {test: $url}, include: ["app"]}}')"
    run vtemplate build "$manager"
    assert_status 0
    [ "$(cat "$(tree_of "$manager")/etc/app" "$(tree_of "$manager")/etc/base")" = "app
base" ]
    assert_nothing_left
    # Without a key nothing is believed.
    define "$manager-signed" "$(jq 'del(.source.unsigned)' "$T/definitions/$manager.json")"
    run vtemplate build "$manager-signed"
    assert_status 1
  done
  check_root
}

@test "apk is told what to install, from where, and by which keys" {
  # shellcheck disable=SC2016
  fake apk 'printf "%s\n" "$@" >"${0%/*}/arguments"
while [ $# -gt 0 ]; do [ "$1" = --root ] && root=$2; shift; done
cat "$root/etc/apk/repositories" >"${0%/*}/repositories"; mkdir -p "$root/bin"; echo >"$root/bin/sh"'
  define alpine '{"source": {"type": "bootstrap", "manager": "apk", "keyring": "/keys",
    "repositories": {"main": "https://mirror.example/v3/main", "more": "https://mirror.example/x"},
    "include": ["alpine-base", "openrc"]}}'
  vtemplate -q build alpine
  [ "$(grep -v staging "$T/programs/arguments" | xargs)" = \
    "add --root --initdb --no-cache --no-progress --keys-dir /keys -- alpine-base openrc" ]
  [ "$(xargs <"$T/programs/repositories")" = "https://mirror.example/v3/main https://mirror.example/x" ]
  vguest -q a build -m bootstrap -- -s alpine
  [ -e "$(guest_tree a)/bin/sh" ]
  check_root
}

@test "definitions of bootstraps are checked" {
  local source
  while read -r source; do
    define bad "{\"source\": {\"type\": \"bootstrap\", $source}}"
    run vtemplate build bad
    assert_status 2
  done <<'END'
"manager": "apt"
"manager": "yum", "suite": "x"
"suite": "x", "repositories": {"a": "https://b"}
"suite": "x", "sources": ["rm -rf /"]
"suite": "x", "keyring": "../relative"
"suite": "x", "include": ["--option"]
"manager": "dnf", "suite": "9", "include": ["a"]
"manager": "dnf", "suite": "9", "repositories": {"a": "https://b"}
"manager": "dnf", "suite": "9", "repositories": {"a b": "https://b"}, "include": ["a"]
"manager": "dnf", "suite": "9", "repositories": {"a": "https://b\ngpgcheck=0"}, "include": ["a"]
"manager": "apk", "repositories": {"a": "https://b"}, "include": ["a"], "updates": true
END
}
