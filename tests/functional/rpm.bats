#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vrpm: rpm itself in several guests, on packages of our own.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/packages
load ../lib/guests
load ../lib/rpm

# upgrade GUESTS VERSION: with rpm, by the file that each guest has.
upgrade () {
  vrpm --json "$1" -- -U "/srv/repo/vgtest-$2-1.noarch.rpm"
}

@test "vrpm: an upgrade in all, shared by all, and then there is nothing to do" {
  run --separate-stderr upgrade 'web[1-3]' 2.0
  assert_status 0
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 2.0 ]
    [ "$(row "$guest" manager)" = rpm ]
    [ "$(row "$guest" 'changes[0] | [.action, .name, .old, .new] | join(" ")')" = \
      "upgrade vgtest.noarch 1.0-1 2.0-1" ]
    is_intact "$guest"
  done
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/vgtest/data
  [ "$(version base)" = 1.0 ]
  # rpm fails where the same version is there already.
  run --separate-stderr upgrade web1 2.0
  assert_status 3
  assert_contains "$(row web1 reason)" "is already installed"
  run vrpm web1 -- -F /srv/repo/vgtest-1.0-1.noarch.rpm
  assert_status 4
  check_root
}

@test "vrpm: a package is installed, and removed" {
  make_rpm "$T/repo" vgapp 1.0
  put_tree web1 /srv/more "$T/repo"
  run --separate-stderr vrpm --json web1 -- -ivh /srv/more/vgapp-1.0-1.noarch.rpm
  assert_status 0
  [ "$(row web1 'changes[0] | [.action, .name, .new] | join(" ")')" = "install vgapp.noarch 1.0-1" ]
  run --separate-stderr vrpm --json web1 -- -e vgapp
  assert_status 0
  [ "$(row web1 'changes[0] | [.action, .name, .old] | join(" ")')" = "remove vgapp.noarch 1.0-1" ]
  [ -z "$(guest_file web1 usr/bin/vgapp)" ]
  run --separate-stderr vrpm --json 'web[1-2]' -- -e vgapp
  assert_status 3
  assert_contains "$(row web2 reason)" "package vgapp is not installed"
  is_intact web1
  check_root
}

@test "vrpm: a scriptlet that fails leaves that guest bit for bit what it was" {
  make_rpm "$T/repo" vgbad 1.0 '%post
test ! -e /etc/fail-here'
  put_tree web1 /srv/more "$T/repo"
  put_tree web2 /srv/more "$T/repo"
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  run --separate-stderr upgrade 'web[1-2]' 2.0
  assert_status 3
  assert_contains "$(row web2 reason)" "%prein(vgtest-2.0-1.noarch) scriptlet failed"
  # Of this one rpm only warns.
  run --separate-stderr vrpm --json 'web[1-2]' -- -i /srv/more/vgbad-1.0-1.noarch.rpm
  assert_status 3
  [ "$(row web1 result)" = "done" ]
  assert_contains "$(row web2 reason)" "%post(vgbad-1.0-1.noarch) scriptlet failed"
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  [ "$(version web1)" = 2.0 ]
  is_intact web2
  check_root
}

@test "vrpm: a set-id file and a capability: new in one guest, as they were in the others" {
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest-cap
  upgrade web1 2.0 >/dev/null
  [ "$(cat "$(guest_file web1 usr/bin/vgtest-cap)")" = "capable 2.0" ]
  for guest in web2 web3 base; do
    [ "$(cat "$(guest_file "$guest" usr/bin/vgtest-cap)")" = "capable 1.0" ]
  done
  for guest in web1 web2 web3 base; do
    [ "$(stat -c %a "$(guest_file "$guest" usr/bin/vgtest)")" = 4755 ]
    [ "$(capability "$guest" usr/bin/vgtest-cap)" = cap_net_raw=ep ]
  done
  # Removing strips the bits and the capability of what it unlinks.
  vrpm -q web1 -- -e vgtest
  for guest in web2 web3 base; do
    [ "$(stat -c %a "$(guest_file "$guest" usr/bin/vgtest)")" = 4755 ]
    [ "$(capability "$guest" usr/bin/vgtest-cap)" = cap_net_raw=ep ]
    is_intact "$guest"
  done
  check_root
}

@test "vrpm: changed configuration is kept, or kept beside, and reported" {
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf; echo mine >/etc/vgtest.site'
  run --separate-stderr upgrade 'web[1-2]' 2.0
  assert_status 0
  [ "$(cat "$(guest_file web1 etc/vgtest.conf)")" = mine ]
  [ "$(row web1 'conffiles | sort | join(" ")')" = \
    "/etc/vgtest.conf.rpmnew /etc/vgtest.site.rpmsave" ]
  [ "$(row web2 'conffiles | length')" = 0 ]
  run vpkg 'web[1-2]' -- conffiles
  assert_contains "$output" "/etc/vgtest.conf.rpmnew"
}

@test "vrpm: queries through pipes: all lines, with names or without, no transaction and no noise" {
  bits web1 >"$T/before"
  vrpm 'web[1-3]' -- -qa 2>"$T/err" | sort >"$T/out"
  [ ! -s "$T/err" ]
  [ "$(wc -l <"$T/out")" = 6 ]
  [ "$(head -n 2 "$T/out")" = "web1: base-system-1-1.noarch
web1: vgtest-1.0-1.noarch" ]
  [ "$(vrpm --no-prefix 'web[1-3]' -- -qa | sort | uniq -c | tr -s ' ')" = \
    " 3 base-system-1-1.noarch
 3 vgtest-1.0-1.noarch" ]
  [ "$(vrpm web1 -- -q --qf '%{VERSION}\n' vgtest)" = 1.0 ]
  run vrpm web1 -- -q nosuch
  assert_status 1
  [ "$output" = "package nosuch is not installed" ]
  run vrpm 'web[1-2]' -- -V vgtest
  assert_status 0
  # A reader that has enough ends it.
  vrpm 'web[1-3]' -- -ql vgtest | head -n 1 >"$T/first"
  [ -s "$T/first" ]
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
  run vrpm web1
  assert_status 2
}
