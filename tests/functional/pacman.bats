#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpacman: pacman in several guests, on packages of our own in a repository on the host.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages
load ../lib/pacman

# One root for all tests of this file, with a guest "base" that has version 1 installed and version
# 2 to come. Each test gets clones of it.
setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_runtime
  skip_unless_program python3 bsdtar setcap getcap jq tar
  serve_repository
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_pacman_base
    cp -a "$REPO" "$BATS_FILE_TMPDIR/first"
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  vguest -q 'web[1-3]' build -m clone -- -s base
  : >"$REPO_LOG"
}

teardown () {
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q 'web[1-3]' delete --yes || true
    rm -rf "$REPO" && cp -a "$BATS_FILE_TMPDIR/first" "$REPO"
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  stop_repository
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

# spoil FILE: other bytes, as many.
spoil () {
  printf 'spoilt' | dd of="$1" bs=1 seek=500 conv=notrunc status=none
}

@test "an upgrade: done in all, fetched once, shared by all, and then there is nothing to do" {
  store_sums >"$T/sums"
  run --separate-stderr vpacman --json 'web[1-3]' -- -Syu
  assert_status 0
  for guest in web1 web2 web3; do
    [ "$(pacman_version "$guest")" = 2.0-1 ]
    [ "$(row "$guest" result)" = "done" ]
    [ "$(row "$guest" packages_changed)" = 1 ]
    [ "$(row "$guest" exit_status)" = 0 ]
  done
  [ "$(json .refreshes)" = 1 ]
  [ "$(json .plans)" = 1 ]
  [ "$(requests 'GET /test.db')" = 1 ]
  [ "$(requests 'GET /vgtest-2.0-1-any.pkg')" = 1 ]
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/vgtest/data
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  # What the others use is as it was.
  [ "$(pacman_version base)" = 1.0-1 ]
  store_sums >"$T/sums2"
  [ -z "$(comm -23 <(sort "$T/sums") <(sort "$T/sums2"))" ]
  run vguest 'web[1-3]' exec --discard -- pacman -Qkk
  assert_status 0
  assert_contains "$output" "0 altered files"

  run vpacman 'web[1-3]' -- -Syu
  assert_status 4
  assert_contains "$output" "nothing to do"
  check_root
}

@test "guests that were upgraded side by side are in the same state the next time" {
  run vpacman 'web[1-3]' -- -Syu
  assert_status 0
  publish_pacman 3.0-1
  : >"$REPO_LOG"
  run --separate-stderr vpacman --json 'web[1-3]' -- -Syu
  assert_status 0
  [ "$(pacman_version web3)" = 3.0-1 ]
  [ "$(json .plans)" = 1 ]
  [ "$(requests 'GET /test.db')" = 1 ]
  [ "$(requests 'GET /vgtest-3.0-1-any.pkg')" = 1 ]
  # With a package more it is another one.
  make_pacman_package "$REPO" vgmore 1-1
  publish_pacman 4.0-1
  vpacman -q web1 -- -Syu vgmore
  run --separate-stderr vpacman --json --check 'web[1-3]' -- -Syu
  assert_status 100
  [ "$(json .plans)" = 2 ]
}

@test "an install script that fails is a failure, and stays in its guest, which is as it was" {
  vguest -q web2 exec -- touch /etc/fail-here
  bits web2 >"$T/before"
  run --separate-stderr vpacman --json 'web[1-3]' -- -Syu
  assert_status 3
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  [ "$(pacman_version web1)" = 2.0-1 ]
  [ "$(pacman_version web2)" = 1.0-1 ]
  [ "$(pacman_version web3)" = 2.0-1 ]
  [ "$(row web2 result)" = failed ]
  [ "$(row web2 bytes_written)" = 0 ]
  [ "$(row web2 reason)" = "upgrading vgtest... error: command failed to execute correctly" ]
  assert_contains "$(cat "$(row web2 log)")" "command failed to execute correctly"
  check_root

  vguest -q web2 exec -- rm /etc/fail-here
  run vpacman web2 -- -Syu
  assert_status 0
  [ "$(pacman_version web2)" = 2.0-1 ]
  check_root
}

@test "a set-id file and a capability: right in the upgraded guest, unharmed in the others" {
  local guest file capable
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/bin/vgtest
  run vpacman web1 -- -Syu
  assert_status 0
  for guest in web1 web2 web3 base; do
    file=$VGUEST_ROOT/guests/$guest/tree/usr/bin/vgtest
    capable=$VGUEST_ROOT/guests/$guest/tree/usr/bin/vgtest-net
    [ "$(stat -c %a "$file")" = 4755 ]
    [ "$(getcap -n "$capable")" = "$capable cap_net_raw=ep" ]
    [ "$guest" = web1 ] || [ "$(pacman_version "$guest")" = 1.0-1 ]
  done
  [ "$(pacman_version web1)" = 2.0-1 ]
  run vpacman web2 -- -R vgtest
  assert_status 0
  [ ! -e "$VGUEST_ROOT/guests/web2/tree/usr/bin/vgtest" ]
  for guest in web3 base; do
    [ "$(stat -c %a "$VGUEST_ROOT/guests/$guest/tree/usr/bin/vgtest")" = 4755 ]
    capable=$VGUEST_ROOT/guests/$guest/tree/usr/bin/vgtest-net
    [ "$(getcap -n "$capable")" = "$capable cap_net_raw=ep" ]
  done
  check_root
}

@test "a changed configuration file is kept, and the new one beside it is told" {
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf'
  run --separate-stderr vpacman --json 'web[1-2]' -- -Syu
  assert_status 0
  [ "$(cat "$(guest_file web1 etc/vgtest.conf)")" = mine ]
  [ "$(cat "$(guest_file web1 etc/vgtest.conf.pacnew)")" = "configuration of 2.0-1" ]
  [ "$(cat "$(guest_file web2 etc/vgtest.conf)")" = "configuration of 2.0-1" ]
  [ "$(row web1 conffiles[])" = /etc/vgtest.conf.pacnew ]
  [ -z "$(row web2 conffiles[])" ]
  run --separate-stderr vpacman --json web1 -- -R vgtest
  assert_status 0
  [ "$(row web1 conffiles[])" = /etc/vgtest.conf.pacsave ]
}

@test "packages are installed with what they need, and removed again" {
  make_pacman_package "$REPO" vgneeded 1:1.0-1
  make_pacman_package "$REPO" vgother 1.0-1 '' 'depend = vgneeded'
  publish_pacman 1.0-1
  vpacman -q 'web[1-2]' -- -Sy
  : >"$REPO_LOG"
  run --separate-stderr vpacman --json 'web[1-2]' -- -S --needed vgother vgtest
  assert_status 0
  [ "$(row web1 packages_changed)" = 2 ]
  [ "$(requests 'GET /vgneeded')" = 1 ]
  [ "$(requests 'GET /test.db')" = 0 ]
  [ "$("$(guest_file web2 usr/bin/vgneeded)")" = 1:1.0-1 ]
  run --separate-stderr vpacman --json 'web[1-2]' -- -S --needed vgother
  assert_status 4
  run --separate-stderr vpacman --json 'web[1-2]' -- -Rs vgother
  assert_status 0
  [ "$(row web2 packages_changed)" = 2 ]
  [ -z "$(guest_file web2 usr/bin/vgneeded)" ]
  # What others need is not removed, and it is said why.
  vpacman -q web1 -- -S vgother
  run --separate-stderr vpacman --json web1 -- -R vgneeded
  assert_status 3
  assert_contains "$(row web1 reason)" "removing vgneeded breaks dependency"
  check_root
}

@test "what would change is told, and nothing is changed by asking" {
  bits web1 >"$T/before"
  run --separate-stderr vpacman --json --check 'web[1-2]' -- -Syu
  assert_status 100
  [ "$(json '.guests[0].plan[0] | [.action, .name, .old, .new] | join(" ")')" = \
    "upgrade vgtest 1.0-1 2.0-1" ]
  [ "$(requests 'GET /test.db')" = 1 ]
  # As its databases say: they are those of before.
  run vpacman --check web1 -- -Su
  assert_status 0
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "queries print and change nothing" {
  bits web1 >"$T/before"
  run --separate-stderr vpacman 'web[1-2]' -- -Q
  assert_status 0
  [ "$output" = "web1: vgtest 1.0-1
web2: vgtest 1.0-1" ]
  run --separate-stderr vpacman --no-prefix web1 -- -Qi vgtest
  assert_status 0
  assert_contains "$output" "Version         : 1.0-1"
  run --separate-stderr vpacman web1 -- -Ss vgtest
  assert_status 0
  assert_contains "$output" "test/vgtest 1.0-1 [installed]"
  run vpacman web1 -- -Dk
  assert_status 0
  run -127 vpacman web1 -- -T nosuch
  [ "$output" = nosuch ]
  run vpacman 'web[1-2]' -- -Q nosuch
  assert_status 3
  assert_contains "$output" "package 'nosuch' was not found"
  # pacman exits with 1 where nothing is outdated.
  run --separate-stderr vpacman web1 -- -Qu
  [ -z "$output" ]
  [ "$status" != 3 ]
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "no partial upgrades, whatever is asked for" {
  bits web1 >"$T/before"
  run vpacman web1 -- -Sy vgtest
  assert_status 2
  assert_contains "$output" "-Syu"
  run vpacman --refresh web1 -- -S vgtest
  assert_status 3
  assert_contains "$output" "partial upgrade"
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
  # A guest without databases gets none for an installation; for an upgrade it does.
  vguest -q web1 exec -- sh -c 'rm /var/lib/pacman/sync/*'
  : >"$REPO_LOG"
  run vpacman web1 -- -S vgtest
  assert_status 3
  assert_contains "$output" "partial upgrade"
  [ "$(requests 'GET /test.db')" = 0 ]
  run vpacman web1 -- -Su
  assert_status 0
  [ "$(pacman_version web1)" = 2.0-1 ]
  # Who says it by itself means it.
  run vpacman web2 -- -Sy
  assert_status 0
  [ "$(pacman_version web2)" = 1.0-1 ]
  run vpacman --check web2 -- -Su
  assert_status 100
}

@test "a lock that a killed pacman left is told at once, with what to do" {
  vguest -q web2 exec -- touch /var/lib/pacman/db.lck
  run --separate-stderr timeout 60 vpacman --json 'web[1-3]' -- -Syu
  assert_status 3
  [ "$(row web1 result)" = "done" ]
  [ "$(row web2 result)" = failed ]
  [ "$(row web3 result)" = "done" ]
  assert_contains "$(row web2 reason)" "vguest web2 exec -- rm /var/lib/pacman/db.lck"
  run vpacman web2 -- -Dk
  assert_status 0
  vguest -q web2 exec -- rm /var/lib/pacman/db.lck
  run vpacman web2 -- -Syu
  assert_status 0
}

@test "a damaged database is found before anything is done; missing packages are no damage" {
  vguest -q web1 exec -- rm /var/lib/pacman/local/vgtest-1.0-1/desc
  run --separate-stderr vpacman --json web1 -- -Syu
  assert_status 3
  assert_contains "$(row web1 reason)" "'vgtest-1.0-1': description file is missing"
  make_pacman_package "$REPO" vgneeded 1-1
  publish_pacman 3.0-1 '' 'depend = vgneeded'
  vpacman -q web2 -- -Syu
  vpacman -q web2 -- -Rdd vgneeded
  publish_pacman 4.0-1
  run vpacman web2 -- -Syu
  assert_status 0
  [ "$(pacman_version web2)" = 4.0-1 ]
}

@test "what is not the file of the repository is not installed" {
  spoil "$REPO/vgtest-2.0-1-any.pkg.tar.gz"
  bits web1 >"$T/before"
  run --separate-stderr vpacman --json 'web[1-2]' -- -Syu
  assert_status 3
  assert_contains "$(row web1 reason)" "invalid or corrupted package"
  [ "$(pacman_version web2)" = 1.0-1 ]
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "a bad file in one guest's cache is nothing to the others" {
  # What is written there is dropped behind the transaction: this one came with a template.
  local cache=$VGUEST_ROOT/guests/web1/tree/var/cache/pacman/pkg
  cp "$REPO/vgtest-2.0-1-any.pkg.tar.gz" "$cache"
  spoil "$cache/vgtest-2.0-1-any.pkg.tar.gz"
  run --separate-stderr vpacman --json 'web[1-3]' -- -Syu
  assert_status 0
  [ "$(pacman_version web1)" = 2.0-1 ]
  [ "$(pacman_version web3)" = 2.0-1 ]
}

@test "a server that does not answer is tried again, and then the guest is as it was" {
  vguest -q web1 exec -- sed -i 's/127.0.0.1:.*/127.0.0.1:1/' /etc/pacman.conf
  bits web1 >"$T/before"
  run --separate-stderr vpacman --json --retries 1 'web[1-2]' -- -Syu
  assert_status 3
  [ "$(row web1 result)" = failed ]
  [ "$(row web2 result)" = "done" ]
  assert_contains "$(row web1 reason)" "failed retrieving file 'test.db' from 127.0.0.1:1"
  assert_contains "$(cat "$(row web1 log)")" "trying again"
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "a running guest is upgraded in place, when nobody else has the lock" {
  tar -C "$REPO" -c . | vguest -q web1 exec -- sh -c 'mkdir /srv/repo && tar -C /srv/repo -x &&
    sed -i "s|^Server.*|Server = file:///srv/repo|" /etc/pacman.conf'
  run_plain web1 'sleep 600'
  vguest -q web1 start
  inside web1 touch /var/lib/pacman/db.lck
  run --separate-stderr vpacman --json --retries 1 web1 -- -Syu
  assert_status 3
  assert_contains "$(row web1 reason)" "unable to lock database"
  assert_contains "$(cat "$(row web1 log)")" "trying again"
  inside web1 rm /var/lib/pacman/db.lck
  # A check does not leave it with databases that are newer than the rest of it.
  run --separate-stderr vpacman --check web1 -- -Syu
  assert_status 0
  # shellcheck disable=SC2154
  assert_contains "$stderr" "nothing is fetched"
  [ -z "$(inside web1 pacman -Qu)" ]
  run --separate-stderr vpacman --json 'web[1-2]' -- -Syu
  assert_status 0
  [ "$(row web1 mode)" = running ]
  [ "$(row web1 packages_changed)" = 1 ]
  [ "$(inside web1 vgtest)" = 2.0-1 ]
  [ "$(pacman_version web2)" = 2.0-1 ]
  vguest -q web1 stop --timeout 0
  [ "$(pacman_version web1)" = 2.0-1 ]
  check_root
}

@test "vpkg finds pacman, and upgrades with what it installs" {
  vguest -q 'web[1-2]' exec -- rm -r /var/lib/dpkg
  make_pacman_package "$REPO" vgmore 1-1
  index_repository
  run --separate-stderr vpkg --json 'web[1-2]' -- list-upgrades
  assert_status 100
  [ "$(json '.guests[1].plan[0].new')" = 2.0-1 ]
  run --separate-stderr vpkg --json 'web[1-2]' -- refresh
  assert_status 0
  run --separate-stderr vpkg --json 'web[1-2]' -- install vgmore
  assert_status 0
  [ "$(row web2 packages_changed)" = 2 ]
  [ "$(pacman_version web2)" = 2.0-1 ]
  run --separate-stderr vpkg web1 -- search vgmore
  assert_status 0
  assert_contains "$output" "test/vgmore 1-1 [installed]"
  run vpkg 'web[1-2]' -- remove vgmore
  assert_status 0
  run vpkg 'web[1-2]' -- verify
  assert_status 0
  vguest -q web1 exec -- sh -c 'echo changed >/usr/lib/libvgtest.so.1'
  run vpkg 'web[1-2]' -- verify
  assert_status 3
  run vpkg 'web[1-2]' -- upgrade
  assert_status 4
}
