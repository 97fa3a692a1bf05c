#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vapt-get: apt-get in several guests, on packages of our own in a repository inside the guests.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

# One root for all tests of this file, with a guest "base" that has version 1 installed and version
# 2 to come. Each test gets clones of it.
setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_runtime
  skip_unless_program python3 dpkg-deb jq tar
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_base_guest
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  vguest -q 'web[1-3]' build -m clone -- -s base
}

teardown () {
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q 'web[1-3]' delete --yes || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

@test "an upgrade: done in all, shared by all, and then there is nothing to do" {
  store_sums >"$T/sums"
  run --separate-stderr vapt-get --json 'web[1-3]' -- upgrade
  assert_status 0
  for guest in web1 web2 web3; do
    [ "$(version "$guest")" = 2.0 ]
    [ "$(row "$guest" result)" = "done" ]
    [ "$(row "$guest" packages_changed)" = 1 ]
    [ "$(row "$guest" exit_status)" = 0 ]
    [ "$(row "$guest" bytes_written)" -gt 50000 ]
    [ -s "$(row "$guest" log)" ]
  done
  # Who came second and third gave back what the first one brought.
  [ "$(json '[.guests[].bytes_shared] | add')" -ge 100000 ]
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/vgtest/data
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  # What the others use is as it was.
  [ "$(version base)" = 1.0 ]
  store_sums >"$T/sums2"
  [ -z "$(comm -23 <(sort "$T/sums") <(sort "$T/sums2"))" ]
  run vguest 'web[1-3]' exec --discard -- dpkg --verify
  assert_status 0

  run vapt-get 'web[1-3]' -- upgrade
  assert_status 4
  assert_contains "$output" "unchanged"
  check_root
}

@test "a failure stays in its guest, which is bit for bit what it was" {
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  run --separate-stderr vapt-get --verbose --all --exclude base -- upgrade
  assert_status 3
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  [ "$(version web1)" = 2.0 ]
  [ "$(version web2)" = 1.0 ]
  [ "$(version web3)" = 2.0 ]
  assert_contains "$output" "dpkg: error processing package vgtest (--configure):"
  log=$(grep '^web2 ' <<<"$output" | grep -o '/[^ ]*$')
  assert_contains "$(cat "$log")" "dpkg: error processing package vgtest"
  assert_contains "$(cat "$log")" "the guest is as before"
  # shellcheck disable=SC2154
  assert_contains "$stderr" "web2: | "
  check_root

  run --separate-stderr vapt-get --json web2 -- upgrade
  assert_status 3
  [ "$(row web2 result)" = failed ]
  [ "$(row web2 exit_status)" = 100 ]
  [ "$(row web2 bytes_written)" = 0 ]
  assert_contains "$(row web2 reason)" "error processing package vgtest"

  vguest -q web2 exec -- rm /etc/fail-here
  run vapt-get web2 -- upgrade
  assert_status 0
  [ "$(version web2)" = 2.0 ]
  check_root
}

@test "dpkg's chmod of a set-id file does not reach the other guests" {
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  run vapt-get web1 -- upgrade
  assert_status 0
  [ "$(version web1)" = 2.0 ]
  for guest in web2 web3 base; do
    [ "$(stat -c %a "$VGUEST_ROOT/guests/$guest/tree/usr/bin/vgtest")" = 4755 ]
    [ "$(version "$guest")" = 1.0 ]
  done
  [ "$(stat -c %a "$VGUEST_ROOT/guests/web1/tree/usr/bin/vgtest")" = 4755 ]
  # By hand as well: in place, through every kind of change.
  run vguest web2 exec -- sh -c \
    'chmod 0600 /usr/bin/vgtest; chown 1:1 /usr/lib/vgtest/data; echo x >>/usr/lib/vgtest/data'
  assert_status 0
  [ "$(stat -c %a "$VGUEST_ROOT/guests/web3/tree/usr/bin/vgtest")" = 4755 ]
  [ "$(stat -c %u:%s "$VGUEST_ROOT/guests/web3/tree/usr/lib/vgtest/data")" = 0:50000 ]
  check_root
}

@test "a changed configuration file keeps the guest's version, and nobody is asked" {
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf'
  run timeout 60 vapt-get 'web[1-2]' -- upgrade
  assert_status 0
  [ "$(cat "$(guest_file web1 etc/vgtest.conf)")" = mine ]
  [ "$(cat "$(guest_file web2 etc/vgtest.conf)")" = "configuration of 2.0" ]
}

@test "apt's caches and downloaded packages do not stay" {
  run vapt-get web1 -- install vgtest
  assert_status 0
  [ -z "$(guest_file web1 var/cache/apt/pkgcache.bin)" ]
  [ -z "$(guest_file web1 var/cache/apt/srcpkgcache.bin)" ]
  [ -z "$(find "$VGUEST_ROOT"/guests/web1/{tree,private}/var/cache/apt -name '*.deb' 2>/dev/null)" ]
}

@test "a guest without package lists gets them first" {
  vguest -q web1 exec -- sh -c 'rm -rf /var/lib/apt/lists/*'
  run vapt-get --no-refresh web1 -- install vgtest
  assert_status 4
  run --separate-stderr vapt-get web1 -- upgrade
  assert_status 0
  assert_contains "$stderr" "without package lists"
  [ "$(version web1)" = 2.0 ]
  # Lists that have not changed are not fetched again unless it is asked for.
  publish web2 'exit 0' 3.0
  run vapt-get --no-refresh web2 -- upgrade
  [ "$(version web2)" != 3.0 ]
  run vapt-get --refresh web2 -- upgrade
  assert_status 0
  [ "$(version web2)" = 3.0 ]
}

@test "an update that fails is a failure" {
  vguest -q web1 exec -- rm /srv/repo/Packages
  bits web1 >"$T/before"
  run vapt-get web1 -- update
  assert_status 3
  assert_contains "$output" "E: "
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "read-only commands print and change nothing" {
  bits web1 >"$T/before"
  run --separate-stderr vapt-get web1 -- -s upgrade
  assert_status 0
  assert_contains "$output" "Inst vgtest [1.0]"
  run --separate-stderr vapt-get web1 web2 -- -s upgrade
  assert_status 0
  assert_contains "$output" "web1: Inst vgtest [1.0]"
  assert_contains "$output" "web2: Inst vgtest [1.0]"
  run --separate-stderr vapt-get --json web1 -- --version
  assert_status 0
  assert_contains "$(row web1 output)" "apt "
  run vapt-get web1 -- nosuchverb
  assert_status 3
  assert_contains "$output" "Invalid operation nosuchverb"
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "wrong usage is refused before anything is done" {
  run vapt-get web1 upgrade
  assert_status 2
  run vapt-get web1 --
  assert_status 2
  run vapt-get -- upgrade
  assert_status 2
  run vapt-get --refresh --no-refresh web1 -- upgrade
  assert_status 2
  run vapt-get web1 -- upgrade -o
  assert_status 2
  run vapt-get web9 -- upgrade
  assert_status 5
  assert_contains "$output" "web"
  [ -z "$(ls "$VGUEST_ROOT/guests/web1/log")" ]
}

@test "only the last 20 logs are kept" {
  for i in {10..35}; do
    echo old >"$VGUEST_ROOT/guests/web1/log/202001${i}T000000Z-apt-get.log"
  done
  run --separate-stderr vapt-get --json web1 -- update
  assert_status 0
  [ "$(find "$VGUEST_ROOT/guests/web1/log" -type f | wc -l)" = 20 ]
  [ -e "$(row web1 log)" ]
  [ ! -e "$VGUEST_ROOT/guests/web1/log/20200110T000000Z-apt-get.log" ]
}

@test "a locked guest is left alone with --no-wait" {
  vguest web2 exec -- sleep 300 >/dev/null 2>&1 3>&- &
  local pid=$!
  wait_for refute flock --nonblock "$VGUEST_ROOT/guests/web2/lock" true
  run --separate-stderr vapt-get --no-wait --json web2 -- upgrade
  assert_status 7
  [ "$(row web2 result)" = locked ]
  run --separate-stderr vapt-get --no-wait --json web1 web2 -- upgrade
  assert_status 7
  [ "$(row web1 result)" = "done" ]
  kill "$pid"
  wait "$pid" || true
}

@test "SIGTERM: the guest at work is as before, the rest is not begun" {
  local pid status=0
  publish web2 'sleep 300' 2.5
  vapt-get -q web2 -- update
  bits web2 >"$T/before"
  vapt-get --json -j 1 'web[1-3]' -- upgrade >"$T/out" 2>"$T/err" 3>&- &
  pid=$!
  for _ in {1..200}; do
    [ "$(version web1)" = 2.0 ] && grep -qs "Setting up vgtest" "$VGUEST_ROOT"/guests/web2/log/* && break
    sleep 0.1
  done
  kill -TERM "$pid"
  wait "$pid" || status=$?
  output=$(cat "$T/out")
  assert_status 130
  [ "$(row web1 result)" = "done" ]
  [ "$(row web2 result)" = interrupted ]
  [ "$(row web3 result)" = skipped ]
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  assert_nothing_left
  check_root
}

@test "kill -9 at random moments: the next command repairs, and the guest is old or new" {
  local i pid id
  id=$(sed -n 's/.*"id": *"\([0-9a-f]\{8\}\).*/\1/p' "$VGUEST_ROOT/root.json")
  publish web1 'exit 0' 1.0 2.0
  vapt-get -q web1 -- update
  for i in {1..20}; do
    vapt-get -q web1 -- install --allow-downgrades vgtest="$((i % 2 + 1)).0" >/dev/null 2>&1 3>&- &
    pid=$!
    sleep "$((RANDOM % 2)).$(printf '%03d' $((RANDOM % 1000)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" || true
    # It may say that it waits for the lock, which the supervisor holds until all is cleaned up.
    run --separate-stderr timeout 60 vguest web1 exec --discard -- sh -c \
      'dpkg --audit && dpkg --verify vgtest && vgtest'
    assert_status 0
    if [ "$output" != 1.0 ] && [ "$output" != 2.0 ]; then
      echo "neither old nor new: $output"
      return 1
    fi
    [ -z "$(find /sys/fs/cgroup -name "*-$id" 2>/dev/null)" ]
    [ -z "$(ls -A "$VGUEST_ROOT/guests/web1/txn")" ]
    assert_nothing_left
  done
  check_root
}
