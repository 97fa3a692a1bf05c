#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vapt-get in guests that run: in place, and offline with a way back.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_runtime
  skip_unless_program python3 dpkg-deb jq tar
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_base_guest
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  vguest -q 'web[1-2]' build -m clone -- -s base
  run_plain web1 'exec sleep 1000'
  run_plain web2 'exec sleep 1000'
}

teardown () {
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q 'web[1-2]' stop --timeout 0 || true
    vguest -q 'web[1-2]' delete --yes || true
  fi
  if [ -e "$T/xfs/root" ]; then
    vguest -q --root "$T/xfs/root" 'web[1-2]' stop --timeout 0 || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

# inside GUEST COMMAND…: in the running guest.
inside () {
  local guest=$1
  shift
  vguest -q "$guest" exec -- "$@"
}

state_of () {
  vguest "$1" status --json | jq -r '.guests[0].state'
}

init_pid () {
  vguest "$1" status --json | jq -r '.guests[0].init_pid'
}

# Stops both and looks whether what they upgraded is one inode.
assert_shared_when_stopped () {
  vguest -q web1,web2 stop
  same_inode "$VGUEST_ROOT"/guests/web[12]/tree/usr/lib/vgtest/data
  check_root
}

@test "a running guest is upgraded in place, and shares with the others when it stops" {
  vguest -q web1,web2 start
  before=$(init_pid web1)
  run --separate-stderr vapt-get --json web1,web2 -- upgrade
  assert_status 0
  for guest in web1 web2; do
    [ "$(row $guest result)" = "done" ]
    [ "$(row $guest mode)" = running ]
    [ "$(row $guest packages_changed)" = 1 ]
    [ "$(row $guest files_waiting)" -gt 3 ]
    [ "$(row $guest bytes_waiting)" -ge 50000 ]
    [ "$(inside $guest vgtest)" = 2.0 ]
  done
  [ "$(init_pid web1)" = "$before" ]

  run vapt-get web1 -- upgrade
  assert_status 4
  assert_shared_when_stopped
}

@test "a failure in a running guest is told, and not called undone" {
  vguest -q web1 start
  inside web1 touch /etc/fail-here
  run --separate-stderr vapt-get web1 -- upgrade
  assert_status 3
  assert_contains "$output" failed
  refute grep -q 'as before' "$VGUEST_ROOT"/guests/web1/log/*apt-get*
  [ "$(state_of web1)" = running ]
  inside web1 rm /etc/fail-here
  inside web1 dpkg --configure -a
  [ "$(inside web1 vgtest)" = 2.0 ]
}

@test "read-only commands in a running guest print what apt-get prints" {
  vguest -q web1 start
  run --separate-stderr vapt-get web1 -- -s upgrade
  assert_status 0
  assert_contains "$output" "Inst vgtest [1.0] (2.0"
  [ "$(inside web1 vgtest)" = 1.0 ]
}

@test "offline: stopped, upgraded, started again" {
  vguest -q web1,web2 start
  before=$(init_pid web1)
  run --separate-stderr vapt-get --json --offline web1,web2 -- upgrade
  assert_status 0
  [ "$(row web1 mode)" = offline ]
  [ "$(row web1 result)" = "done" ]
  [ "$(row web1 packages_changed)" = 1 ]
  [ "$(state_of web1)" = running ]
  [ "$(init_pid web1)" != "$before" ]
  [ "$(inside web1 vgtest)" = 2.0 ]

  # What it writes now is its own, also when it is killed.
  inside web1 sh -c 'echo kept >/srv/file'
  kill -9 "$(vguest web1 status --json | jq .guests[0].monitor_pid)"
  wait_for in_state web1 stopped
  [ "$(vguest -q web1 exec -- cat /srv/file)" = kept ]
  assert_shared_when_stopped
  [ "$(version web1)" = 2.0 ]
}

@test "offline: a failing upgrade leaves the guest as before, and running" {
  vguest -q web1 exec -- touch /etc/fail-here
  bits=$(bits web1)
  vguest -q web1 start
  run --separate-stderr vapt-get --json --offline web1 -- upgrade
  assert_status 3
  [ "$(row web1 result)" = failed ]
  [ "$(state_of web1)" = running ]
  [ "$(inside web1 vgtest)" = 1.0 ]
  vguest -q web1 stop
  [ "$(bits web1)" = "$bits" ]
}

@test "offline: a guest that is not healthy on the new version goes back to the old one" {
  configure web1 '. + {health: ["sh", "-c", "test \"$(vgtest)\" = 1.0 || { echo it hurts; exit 9; }"],
    health_timeout: 1}'
  bits=$(bits web1)
  vguest -q web1 start
  run --separate-stderr vapt-get --json --offline web1 -- upgrade
  assert_status 3
  [ "$(row web1 result)" = failed ]
  assert_contains "$(row web1 reason)" "it hurts"
  [ "$(state_of web1)" = running ]
  [ "$(inside web1 vgtest)" = 1.0 ]
  vguest -q web1 stop
  [ "$(bits web1)" = "$bits" ]
}

@test "offline: a guest whose init dies on the new version goes back to the old one" {
  run_plain web1 'test "$(vgtest)" = 1.0 && exec sleep 1000'
  vguest -q web1 start
  run --separate-stderr vapt-get --json --offline web1 -- upgrade
  assert_status 3
  assert_contains "$(row web1 reason)" "stopped again"
  [ "$(state_of web1)" = running ]
  [ "$(inside web1 vgtest)" = 1.0 ]
}

@test "offline: an interrupt rolls back and starts the guest again" {
  configure web1 '. + {health: ["false"], health_timeout: 60}'
  vguest -q web1 start
  env --default-signal=INT vapt-get --offline web1 -- upgrade >"$T/out" 2>&1 3>&- &
  pid=$!
  wait_for grep -q 'health' "$T/out"
  kill -INT $pid
  status=0
  wait $pid || status=$?
  assert_status 130
  [ "$(state_of web1)" = running ]
  [ "$(inside web1 vgtest)" = 1.0 ]
}

@test "offline: vapt-get killed while the guest is tried: it goes back to the old one" {
  configure web1 '. + {health: ["false"], health_timeout: 60}'
  vguest -q web1 start
  vapt-get --offline web1 -- upgrade >"$T/out" 2>&1 3>&- &
  pid=$!
  wait_for grep -q 'health' "$T/out"
  kill -9 $pid
  wait $pid || true
  # The lock is had when that is done.
  vapt-get -q web1 -- --version >/dev/null
  [ "$(state_of web1)" = running ]
  [ "$(inside web1 vgtest)" = 1.0 ]
  vguest -q web1 stop
  [ "$(version web1)" = 1.0 ]
  check_root
}

@test "on XFS running guests share the blocks of an upgrade at once" {
  skip_unless_program mkfs.xfs xfs_io
  truncate -s 2G "$T/image"
  mkfs.xfs -q "$T/image"
  mkdir "$T/xfs"
  mount -o loop "$T/image" "$T/xfs" || skip "needs to mount XFS"
  # Everything of "base" but its links.
  tar -C "$VGUEST_ROOT/guests/base" --xattrs --xattrs-include='*' -cf "$T/base.tar" tree private
  mkdir "$T/merged"
  tar -C "$T/merged" --strip-components=1 --xattrs --xattrs-include='*' -xf "$T/base.tar" tree
  tar -C "$T/merged" --strip-components=1 --xattrs --xattrs-include='*' -xf "$T/base.tar" private
  old_root=$VGUEST_ROOT
  VGUEST_ROOT=$T/xfs/root
  vtemplate -q import base "$T/merged"
  vguest -q 'web[1-2]' build -m clone -- -s base
  run_plain web1 'exec sleep 1000'
  run_plain web2 'exec sleep 1000'
  vguest -q 'web[1-2]' start
  run --separate-stderr vapt-get --json -j 1 web1,web2 -- upgrade
  assert_status 0
  [ "$(row web2 bytes_shared)" -ge 50000 ]
  extent () {
    xfs_io -r -c fiemap "$VGUEST_ROOT/guests/$1/private/usr/lib/vgtest/data" | awk 'NR == 2 { print $3 }'
  }
  [ -n "$(extent web1)" ]
  [ "$(extent web1)" = "$(extent web2)" ]
  [ "$(inside web2 sh -c 'md5sum </usr/lib/vgtest/data')" = \
    "$(inside web1 sh -c 'md5sum </usr/lib/vgtest/data')" ]
  assert_shared_when_stopped
  VGUEST_ROOT=$old_root
  umount "$T/xfs"
}
