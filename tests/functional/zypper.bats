#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vzypper: zypper in several guests, on packages of our own.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/packages
load ../lib/guests
load ../lib/rpm

@test "vzypper: an upgrade, planned, done in all, shared by all, and then there is nothing to do" {
  run vzypper --check 'web[1-3]' -- update
  assert_status 100
  assert_contains "$output" "web[1-3] (3 guests): 1 package: vgtest"
  [ "$(version web1)" = 1.0 ]

  run --separate-stderr vzypper --json 'web[1-3]' -- update
  assert_status 0
  [ "$(json .refreshes)" = 1 ]
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 2.0 ]
    [ "$(row "$guest" manager)" = zypper ]
    [ "$(row "$guest" 'changes[0] | [.action, .name, .old, .new] | join(" ")')" = \
      "upgrade vgtest.noarch 1.0-1 2.0-1" ]
    is_intact "$guest"
  done
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/vgtest/data
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest-cap
  [ "$(version base)" = 1.0 ]
  run vzypper 'web[1-3]' -- update
  assert_status 4
  run vzypper --check 'web[1-3]' -- update
  assert_status 0
  check_root
}

@test "vzypper: install and remove, with what is needed for them" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm "$T/repo" vglib 1.0
  make_rpm "$T/repo" vgapp 1.0 '' 'Requires: vglib'
  publish_rpms web1 "$T/repo"
  publish_rpms web2 "$T/repo"
  run --separate-stderr vzypper --json 'web[1-2]' -- install vgapp
  assert_status 0
  for guest in web1 web2; do
    [ "$(row "$guest" 'changes | map(.action + " " + .name) | sort | join(", ")')" = \
      "install vgapp.noarch, install vglib.noarch" ]
    [ -e "$(guest_file "$guest" usr/bin/vgapp)" ]
  done
  run vzypper 'web[1-2]' -- install vgapp
  assert_status 4
  run --separate-stderr vzypper --json 'web[1-2]' -- remove vgapp
  assert_status 0
  [ -z "$(guest_file web1 usr/bin/vgapp)" ]
  is_intact web1
  # 104: zypper does not know it.
  run --separate-stderr vzypper --json 'web[1-3]' -- install nosuch
  assert_status 3
  assert_contains "$(row web1 reason)" "nosuch"
  check_root
}

@test "vzypper: scriptlets that fail leave that guest bit for bit what it was" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm "$T/repo" vgbad 1.0 '%post
test ! -e /etc/fail-here'
  publish_rpms web1 "$T/repo"
  publish_rpms web2 "$T/repo"
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  run --separate-stderr vzypper --json 'web[1-2]' -- update
  assert_status 3
  [ "$(version web1)" = 2.0 ]
  [ "$(row web2 result)" = failed ]
  assert_contains "$(row web2 reason)" "scriptlet failed"
  # Of this one rpm only warns, and zypper ends with 107.
  run --separate-stderr vzypper --json 'web[1-2]' -- install vgbad
  assert_status 3
  [ "$(row web1 result)" = "done" ]
  assert_contains "$(row web2 reason)" "%post(vgbad-1.0-1.noarch) scriptlet failed"
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  is_intact web2
  check_root
}

@test "vzypper: a set-id file, a capability and changed configuration" {
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf; echo mine >/etc/vgtest.site'
  run --separate-stderr vzypper --json web1 -- update
  assert_status 0
  [ "$(cat "$(guest_file web1 usr/bin/vgtest-cap)")" = "capable 2.0" ]
  for guest in web2 web3 base; do
    [ "$(cat "$(guest_file "$guest" usr/bin/vgtest-cap)")" = "capable 1.0" ]
  done
  for guest in web1 web2 web3 base; do
    [ "$(stat -c %a "$(guest_file "$guest" usr/bin/vgtest)")" = 4755 ]
    [ "$(capability "$guest" usr/bin/vgtest-cap)" = cap_net_raw=ep ]
    is_intact "$guest"
  done
  [ "$(cat "$(guest_file web1 etc/vgtest.conf)")" = mine ]
  [ "$(row web1 'conffiles | sort | join(" ")')" = \
    "/etc/vgtest.conf.rpmnew /etc/vgtest.site.rpmsave" ]
}

@test "vzypper: metadata and packages are fetched once for all" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm_index "$T/repo"
  serve_rpms "$T/repo" web1 web2 web3
  run --separate-stderr vzypper --json 'web[1-3]' -- update
  assert_status 0
  [ "$(json .refreshes)" = 1 ]
  [ "$(requests vgtest-2.0)" = 1 ]
  [ "$(requests primary.xml)" = 1 ]
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 2.0 ]
  done
  [ -z "$(find "$VGUEST_ROOT"/guests/web[1-3] -path '*/var/cache/*.rpm')" ]
  check_root
}

@test "vzypper: a package that one guest has put into the cache is not taken from it by another one" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm_index "$T/repo"
  serve_rpms "$T/repo" web1 web2
  make_evil web1 zypper
  run --separate-stderr vzypper --json 'web[1-2]' -- update
  [ "$(row web2 result)" = "done" ]
  [ "$(version web2)" = 2.0 ]
  [ -z "$(guest_file web2 etc/owned)" ]
  # It had that package, and has not downloaded for itself in advance.
  refute grep -i 'download only\|only download' "$(row web2 log)"
  is_intact web2
}

@test "vzypper: a repository that cannot be reached, and queries" {
  set_repository web1 http://127.0.0.1:1/
  bits web1 >"$T/before"
  run --separate-stderr vzypper --json --retries 0 web1 -- update
  assert_status 3
  [ -n "$(row web1 reason)" ]
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
  run vzypper 'web[2-3]' -- --no-refresh search --installed-only
  assert_status 0
  run vzypper web2 -- -q list-updates
  assert_status 0
  assert_contains "$output" vgtest
  run vzypper web2
  assert_status 2
}
