#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vdnf and vyum: dnf in several guests, on packages of our own.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/packages
load ../lib/guests
load ../lib/rpm

@test "an upgrade: planned, done in all, shared by all, and then there is nothing to do" {
  run vdnf --check 'web[1-3]' -- upgrade
  assert_status 100
  assert_contains "$output" "web[1-3] (3 guests): 1 package: vgtest.noarch 1.0-1 → 2.0-1"
  [ "$(version web1)" = 1.0 ]

  store_sums >"$T/sums"
  run --separate-stderr vdnf --json 'web[1-3]' -- -y upgrade
  assert_status 0
  [ "$(json .refreshes)" = 1 ]
  [ "$(json .plans)" = 1 ]
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 2.0 ]
    [ "$(row "$guest" result)" = "done" ]
    [ "$(row "$guest" manager)" = dnf ]
    [ "$(row "$guest" exit_status)" = 0 ]
    [ "$(row "$guest" 'changes[0] | [.action, .name, .old, .new] | join(" ")')" = \
      "upgrade vgtest.noarch 1.0-1 2.0-1" ]
    is_intact "$guest"
  done
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/vgtest/data
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest-cap
  [ "$(version base)" = 1.0 ]
  store_sums >"$T/sums2"
  [ -z "$(comm -23 <(sort "$T/sums") <(sort "$T/sums2"))" ]

  run vdnf 'web[1-3]' -- upgrade
  assert_status 4
  assert_contains "$output" "unchanged"
  run vdnf --check 'web[1-3]' -- upgrade
  assert_status 0
  check_root
}

@test "install and remove, with what is needed for them" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm "$T/repo" vglib 1.0
  make_rpm "$T/repo" vgapp 1.0 '' 'Requires: vglib'
  publish_rpms web1 "$T/repo"
  publish_rpms web2 "$T/repo"

  run --separate-stderr vdnf --json 'web[1-2]' -- install vgapp
  assert_status 0
  for guest in web1 web2; do
    [ "$(row "$guest" 'changes | map(.action + " " + .name) | sort | join(", ")')" = \
      "install vgapp.noarch, install vglib.noarch" ]
    [ "$(row "$guest" 'plan | map(.action + " " + .name) | sort | join(", ")')" = \
      "install vgapp.noarch, install vglib.noarch" ]
    [ -e "$(guest_file "$guest" usr/bin/vgapp)" ]
  done
  run vdnf 'web[1-2]' -- install vgapp
  assert_status 4

  run --separate-stderr vdnf --json 'web[1-2]' -- remove vgapp
  assert_status 0
  [ "$(row web1 'changes | map(.action + " " + .name) | sort | join(", ")')" = \
    "remove vgapp.noarch, remove vglib.noarch" ]
  [ -z "$(guest_file web1 usr/bin/vgapp)" ]
  is_intact web1

  run --separate-stderr vdnf 'web[1-3]' -- install nosuch
  assert_status 3
  assert_contains "$output" "Unable to find a match: nosuch"
  run vdnf --json web1 -- remove nosuch
  assert_status 4
  check_root
}

@test "a %pre that fails: that guest is bit for bit what it was, the others are done" {
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  run --separate-stderr vdnf --json --all --exclude base -- upgrade
  assert_status 3
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  [ "$(version web1)" = 2.0 ]
  [ "$(version web2)" = 1.0 ]
  [ "$(version web3)" = 2.0 ]
  [ "$(row web2 result)" = failed ]
  [ "$(row web2 exit_status)" = 1 ]
  [ "$(row web2 packages_changed)" = 0 ]
  assert_contains "$(row web2 reason)" \
    "error: %prein(vgtest-2.0-1.noarch) scriptlet failed, exit status 1"
  assert_contains "$(cat "$(row web2 log)")" "the guest is as before"
  is_intact web2
  check_root
}

@test "scriptlets of which rpm only warns fail the guest as well" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  for script in post posttrans pretrans; do
    make_rpm "$T/repo" "vgbad-$script" 1.0 "%$script
test ! -e /etc/fail-here"
  done
  make_rpm "$T/repo" vgbad-postun 1.0 '%postun
test ! -e /etc/fail-here'
  publish_rpms web1 "$T/repo"
  publish_rpms web2 "$T/repo"
  vdnf -q 'web[1-2]' -- install vgbad-postun
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  for script in post posttrans pretrans; do
    run --separate-stderr vdnf --json 'web[1-2]' -- install "vgbad-$script"
    assert_status 3
    [ "$(row web1 result)" = "done" ]
    [ "$(row web2 result)" = failed ]
    assert_contains "$(row web2 reason)" "%$script(vgbad-$script-1.0-1.noarch) scriptlet failed"
  done
  run --separate-stderr vdnf --json 'web[1-2]' -- remove vgbad-postun
  assert_status 3
  assert_contains "$(row web2 reason)" "%postun(vgbad-postun-1.0-1.noarch) scriptlet failed"
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  check_root
}

@test "a set-id file and a capability: new in one guest, as they were in the others" {
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest-cap
  run vdnf web1 -- upgrade
  assert_status 0
  [ "$(version web1)" = 2.0 ]
  [ "$(cat "$(guest_file web1 usr/bin/vgtest-cap)")" = "capable 2.0" ]
  for guest in web2 web3 base; do
    [ "$(version "$guest")" = 1.0 ]
    [ "$(cat "$(guest_file "$guest" usr/bin/vgtest-cap)")" = "capable 1.0" ]
  done
  for guest in web1 web2 web3 base; do
    [ "$(stat -c %a "$(guest_file "$guest" usr/bin/vgtest)")" = 4755 ]
    [ "$(capability "$guest" usr/bin/vgtest-cap)" = cap_net_raw=ep ]
    is_intact "$guest"
  done
  run vdnf web1 -- remove vgtest
  assert_status 0
  for guest in web2 web3 base; do
    [ "$(stat -c %a "$(guest_file "$guest" usr/bin/vgtest)")" = 4755 ]
    [ "$(capability "$guest" usr/bin/vgtest-cap)" = cap_net_raw=ep ]
    is_intact "$guest"
  done
  check_root
}

@test "changed configuration is kept, or kept beside, and reported" {
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf; echo mine >/etc/vgtest.site'
  run --separate-stderr timeout 120 vdnf --json 'web[1-2]' -- upgrade
  assert_status 0
  [ "$(cat "$(guest_file web1 etc/vgtest.conf)")" = mine ]
  [ "$(cat "$(guest_file web1 etc/vgtest.conf.rpmnew)")" = "configuration of 2.0" ]
  [ "$(cat "$(guest_file web1 etc/vgtest.site)")" = "site of 2.0" ]
  [ "$(cat "$(guest_file web1 etc/vgtest.site.rpmsave)")" = mine ]
  [ "$(cat "$(guest_file web2 etc/vgtest.conf)")" = "configuration of 2.0" ]
  [ -z "$(guest_file web2 etc/vgtest.conf.rpmnew)" ]
  [ "$(row web1 'conffiles | sort | join(" ")')" = \
    "/etc/vgtest.conf.rpmnew /etc/vgtest.site.rpmsave" ]
  [ "$(row web2 'conffiles | length')" = 0 ]
  check_root
}

@test "metadata and packages are fetched once for all, also where guests have become different" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm_index "$T/repo"
  serve_rpms "$T/repo" web1 web2 web3
  run --separate-stderr vdnf --json 'web[1-3]' -- upgrade
  assert_status 0
  [ "$(requests repomd.xml)" = 1 ]
  [ "$(requests vgtest-2.0)" = 1 ]
  [ "$(json .refreshes)" = 1 ]

  make_rpm "$T/repo" vgtest 3.0
  make_rpm_index "$T/repo"
  : >"$T/access"
  # Their databases have other times in them now.
  vguest -q web3 exec -- touch /etc/yum.repos.d/more.repo
  run --separate-stderr vdnf --json 'web[1-3]' -- upgrade
  assert_status 0
  [ "$(json .refreshes)" = 2 ]
  [ "$(requests repomd.xml)" = 2 ]
  [ "$(requests vgtest-3.0)" = 1 ]
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 3.0 ]
    is_intact "$guest"
  done
  # Nothing of it stays in the guests.
  [ -z "$(find "$VGUEST_ROOT"/guests/web[1-3] -path '*/var/cache/*.rpm')" ]
  check_root
}

@test "a package that one guest has put into the cache is not taken from it by another one" {
  cp -r "$BATS_FILE_TMPDIR/repo" "$T/repo"
  make_rpm_index "$T/repo"
  serve_rpms "$T/repo" web1 web2
  make_evil web1 dnf
  run --separate-stderr vdnf --json 'web[1-2]' -- upgrade
  [ "$(row web2 result)" = "done" ]
  [ "$(version web2)" = 2.0 ]
  [ -z "$(guest_file web2 etc/owned)" ]
  # It had that package, and has not downloaded for itself in advance.
  refute grep -i 'download only\|only download' "$(row web2 log)"
  is_intact web2
}

@test "a repository that cannot be reached: all fail, with the reason, and are as before" {
  set_repository web1 http://127.0.0.1:1/
  set_repository web2 http://127.0.0.1:1/
  bits web1 >"$T/before"
  run --separate-stderr vdnf --json --retries 0 'web[1-2]' -- upgrade
  assert_status 3
  assert_contains "$(row web1 reason)" "Curl error (7)"
  assert_contains "$(row web2 reason)" "Curl error (7)"
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
  run vdnf --no-refresh --retries 0 web1 -- remove vgtest
  assert_status 0
}

@test "a damaged database is found before anything is done" {
  dd if=/dev/urandom of="$(guest_file web2 var/lib/rpm/rpmdb.sqlite)" bs=1 seek=4096 count=300 \
    conv=notrunc status=none
  bits web2 >"$T/before"
  run --separate-stderr vdnf --json 'web[1-2]' -- upgrade
  assert_status 3
  [ "$(row web1 result)" = "done" ]
  [ "$(row web2 result)" = failed ]
  assert_contains "$(row web2 reason)" "package database"
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "queries: no transaction, with names or without, and their exit statuses" {
  run vdnf 'web[1-2]' -- list --installed vgtest
  assert_status 0
  assert_contains "$output" "web1: vgtest.noarch"
  assert_contains "$output" "web2: vgtest.noarch"
  run --separate-stderr vdnf --no-prefix 'web[1-2]' -- -q repoquery vgtest
  assert_status 0
  [ "$(sort -u <<<"$output")" = "vgtest-0:1.0-1.noarch
vgtest-0:2.0-1.noarch" ]
  run vdnf web1 -- check-update
  assert_status 0
  assert_contains "$output" "vgtest.noarch"
  run vdnf web1 -- list nosuch
  assert_status 1
  run vdnf base -- --nosuch-option upgrade
  assert_status 3
  run vdnf web1 -- upgrade --setopt
  assert_status 2
  run vdnf web1
  assert_status 2
  [ "$(version web1)" = 1.0 ]
}

@test "guests that run: changed in place by dnf, zypper and rpm, and shared when they stop" {
  for guest in web1 web2 web3; do
    run_plain "$guest" 'exec sleep 1000'
  done
  vguest -q 'web[1-3]' start
  run --separate-stderr vdnf --json web1,web2 -- upgrade
  assert_status 0
  [ "$(row web1 mode)" = running ]
  [ "$(row web2 changes[0].new)" = 2.0-1 ]
  run --separate-stderr vzypper --json web3 -- update
  assert_status 0
  [ "$(row web3 changes[0].new)" = 2.0-1 ]
  [ "$(vrpm --no-prefix 'web[1-3]' -- -q vgtest | uniq -c | tr -s ' ')" = \
    " 3 vgtest-2.0-1.noarch" ]
  vrpm -q web3 -- -e vgtest
  vguest -q 'web[1-3]' stop
  same_inode "$VGUEST_ROOT"/guests/web[1-2]/tree/usr/lib/vgtest/data
  [ -z "$(guest_file web3 usr/bin/vgtest)" ]
  for guest in web1 web2 web3 base; do
    is_intact "$guest"
  done
  check_root
}

@test "vyum calls yum where the guest has it, else dnf" {
  run --separate-stderr vyum --json web1 -- upgrade
  assert_status 0
  [ "$(version web1)" = 2.0 ]
  vguest -q web2 exec -- ln -s dnf-3 /usr/bin/yum
  run --separate-stderr vyum --json web2 -- update
  assert_status 0
  [ "$(version web2)" = 2.0 ]
  assert_contains "$(head -n 1 "$(row web2 log)")" "yum update"
  assert_contains "$(row web2 log)" "-yum.log"
}

@test "vpkg speaks to dnf" {
  vguest -q 'web[1-2]' exec -- rm /usr/bin/zypper
  run vpkg --check 'web[1-2]' -- upgrade
  assert_status 100
  run --separate-stderr vpkg --json 'web[1-2]' -- upgrade
  assert_status 0
  [ "$(row web1 manager)" = dnf ]
  [ "$(version web2)" = 2.0 ]
  run vpkg 'web[1-2]' -- verify
  assert_status 0
  run vpkg 'web[1-2]' -- remove vgtest
  assert_status 0
  run --separate-stderr vpkg --no-prefix 'web[1-2]' -- search vgtest
  assert_contains "$output" "vgtest.noarch"
  run vpkg 'web[1-2]' -- install vgtest
  assert_status 0
  [ "$(version web1)" = 2.0 ]
  run vpkg 'web[1-2]' -- refresh
  assert_status 0
  run vpkg 'web[1-2]' -- list-upgrades
  assert_status 0
  check_root
}
