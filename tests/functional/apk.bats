#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vapk, with a script in place of apk that replays recorded output (tests/lib/fake-apk): what the
# engine makes of it. No real apk is run.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq
  if [ ! -e "$BATS_FILE_TMPDIR/tools" ]; then
    make_tools_template "$BATS_FILE_TMPDIR/tools"
    mkdir -p "$BATS_FILE_TMPDIR"/tools/{lib/apk/db,etc/apk,sbin,usr/lib,var/cache/apk}
    cp "$TESTS_DIR/lib/fake-apk" "$BATS_FILE_TMPDIR/tools/sbin/apk"
    echo pcre >"$BATS_FILE_TMPDIR/tools/etc/apk/world"
    echo "library of r0" >"$BATS_FILE_TMPDIR/tools/usr/lib/ld-musl"
    printf '%s\n' P:musl V:1.2.4-r0 I:634880 '' P:busybox V:1.36.1-r0 \
      >"$BATS_FILE_TMPDIR/tools/lib/apk/db/installed"
  fi
  make_tools_guests 'web[1-3]'
}

@test "replayed apk: an upgrade is planned once, done in all, shared, and then there is nothing to do" {
  run --separate-stderr vapk --json 'web[1-3]' -- upgrade
  assert_status 0
  [ "$(json .refreshes)" = 1 ]
  [ "$(json .plans)" = 1 ]
  for guest in web1 web2 web3; do
    [ "$(row "$guest" result)" = "done" ]
    [ "$(row "$guest" 'plan[0] | [.action, .name, .old, .new] | join(" ")')" = \
      "upgrade musl 1.2.4-r0 1.2.4-r1" ]
    [ "$(row "$guest" 'changes[] | [.action, .name, .old, .new] | join(" ")')" = \
      "upgrade busybox 1.36.1-r0 1.36.1-r2
upgrade musl 1.2.4-r0 1.2.4-r1" ]
    [ "$(row "$guest" conffiles[])" = /etc/busybox.conf.apk-new ]
  done
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/usr/lib/ld-musl
  run vapk 'web[1-3]' -- upgrade
  assert_status 4
  check_root
}

@test "replayed apk: a script that fails is a failure, whatever the exit status, and the guest is as it was" {
  echo script | vguest -q web2 exec -- sh -c 'cat >/etc/fake'
  bits web2 >"$T/before"
  run --separate-stderr vapk --json 'web[1-3]' -- upgrade
  assert_status 3
  bits web2 >"$T/after"
  cmp "$T/before" "$T/after"
  [ "$(row web1 result)" = "done" ]
  [ "$(row web2 result)" = failed ]
  [ "$(row web2 exit_status)" = 0 ]
  [ "$(row web2 reason)" = \
    "ERROR: busybox-1.36.1-r2.post-upgrade: script exited with error 1" ]
  [ "$(row web3 result)" = "done" ]
  check_root
}

@test "replayed apk: repositories that cannot be reached are a failure, and tried again" {
  echo network | vguest -q web1 exec -- sh -c 'cat >/etc/fake'
  bits web1 >"$T/before"
  run --separate-stderr vapk --json --retries 1 web1 -- upgrade
  assert_status 3
  assert_contains "$(row web1 reason)" "DNS lookup error"
  assert_contains "$(cat "$(row web1 log)")" "trying again"
  bits web1 >"$T/after"
  cmp "$T/before" "$T/after"
}

@test "replayed apk: packages are added and removed, and queries print" {
  run --separate-stderr vapk --json web1 -- add pcre
  assert_status 0
  [ "$(row web1 'changes[0] | [.action, .name, .new] | join(" ")')" = "install pcre 8.45-r3" ]
  run vapk web1 -- add pcre
  assert_status 4
  run vapk --check web1 -- del pcre
  assert_status 100
  run vapk web1 -- del pcre
  assert_status 0
  run vapk 'web[1-2]' -- search pcre
  assert_status 0
  [ "$output" = "web1: pcre-8.45-r3
web2: pcre-8.45-r3" ]
  run vapk web1 -- nosuch
  assert_status 3
  assert_contains "$output" "is not an apk command"
}

@test "replayed apk: vpkg finds it, also where /lib is a part of /usr" {
  vguest -q web1 exec -- sh -c 'mkdir -p /usr/lib/apk && mv /lib/apk/db /usr/lib/apk/db &&
    rm -r /lib/apk && ln -s ../usr/lib/apk /lib/apk'
  run --separate-stderr vpkg --json 'web[1-2]' -- list-upgrades
  assert_status 100
  [ "$(row web1 manager)" = apk ]
  run --separate-stderr vpkg --json 'web[1-2]' -- upgrade
  assert_status 0
  [ "$(row web1 packages_changed)" = 2 ]
  [ "$(row web2 packages_changed)" = 2 ]
  run vpkg web1 -- conffiles
  assert_contains "$output" /etc/busybox.conf.apk-new
}
