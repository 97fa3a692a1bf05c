#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What package managers did, in the history of guests: it is undone to the bit, and what one left
# that failed can be looked at.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

# The guest "base" has version 1 of vgtest and versions 2 and 3 to come, which fail in a guest with
# /etc/fail-here, and never end in one with /etc/sleep-here.
setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  G=$VGUEST_ROOT/guests
  skip_unless_runtime
  skip_unless_program jq dpkg-deb tar
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_base_guest
    publish base \
      'test ! -e /etc/fail-here || exit 1; test ! -e /etc/sleep-here || sleep 1000' 2.0 3.0
    vapt-get -q base -- update
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  vguest -q web1,web2 build -m clone -- -s base
}

teardown () {
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q --all --exclude base stop || true
    vguest -q --all --exclude base delete --yes || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

@test "the package manager's work is undone to the bit" {
  # Nothing is cloned of it.
  [ ! -e "$G/web1/history" ]
  vapt-get -q web1 -- update
  rm -f "$G"/web1/log/*
  before=$(bits web1)
  run --separate-stderr vapt-get --json web1 -- upgrade
  assert_status 0
  [ "$(version web1)" = 3.0 ]
  [ "$(json '.guests[0].transaction')" = "$(entries web1 .id | jq 'max')" ]
  [ "$(entries web1 'select(.command == "apt-get upgrade") |
    [.mode, .packages, .packages_changed, .undo, .result]')" = \
    '[["stopped",[{"name":"vgtest:all","old":"1.0","new":"3.0"}],1,true,"done"]]' ]
  log=$(entries web1 'select(.command == "apt-get upgrade") | .log' | jq -r '.[0]')
  [ -s "$log" ]
  vguest -q web1 rollback --yes
  [ "$(bits web1)" = "$before" ]
  [ "$(version web1)" = 1.0 ]
  vguest web1 exec -- dpkg --verify
  same_inode "$G"/web[12]/tree/usr/lib/vgtest/data
  check_root

  # One that fails is told.
  vguest -q web1 exec -- touch /etc/fail-here
  run vapt-get web1 -- upgrade
  assert_status 3
  [ "$(entries web1 '[.command, .result, .undo]' | jq -c 'last')" = '["apt-get upgrade","failed",false]' ]
  vguest -q web1 rollback --yes
  run vapt-get web1 -- upgrade
  assert_status 0
}

@test "a run in place cannot be undone, one offline can, but for what the guest did since" {
  run_plain web1 'sleep 1000'
  run_plain web2 'sleep 1000'
  vguest -q web1,web2 start
  vapt-get -q web1 -- upgrade
  vapt-get -q --offline web2 -- upgrade
  vguest -q web2 exec -- sh -c 'echo since >/srv/since'
  [ "$(entries web1 '[.mode, .undo]')" = '[["running",false]]' ]
  [ "$(entries web2 '[.mode, .undo, .pending]')" = '[["offline",true,true]]' ]
  run vguest web2 history
  assert_contains "$output" "when stopped"
  vguest -q web1,web2 stop
  run vguest web1 rollback --yes
  assert_status 4
  [ "$(version web2)" = 3.0 ]
  [ "$(entries web2 '[.mode, .undo, .pending]')" = '[["offline",true,false]]' ]
  vguest -q web2 rollback --yes
  [ "$(version web2)" = 1.0 ]
  [ "$(vguest web2 exec -- cat /srv/since)" = since ]
  check_root
}

@test "two upgrades are undone one after the other" {
  vguest -q web1 set keep_transactions=2
  bits web1 >"$T/1"
  view web1 >"$T/view-1"
  vapt-get -q web1 -- install vgtest=2.0
  bits web1 >"$T/2"
  vapt-get -q web1 -- install vgtest
  [ "$(version web1)" = 3.0 ]
  run vguest web1 rollback --yes
  assert_status 0
  assert_contains "$output" "undone: 2 (apt-get install vgtest)"
  [ "$(version web1)" = 2.0 ]
  [ "$(bits web1)" = "$(cat "$T/2")" ]
  vguest -q web1 rollback 1 --yes
  [ "$(version web1)" = 1.0 ]
  diff "$T/view-1" <(view web1)
  [ "$(bits web1)" = "$(cat "$T/1")" ]
  check_root

  # Forth again, through the rollbacks.
  vguest -q web1 rollback --yes
  [ "$(version web1)" = 2.0 ]
  [ "$(bits web1)" = "$(cat "$T/2")" ]
  vguest web1 exec -- sh -c 'dpkg --audit && dpkg --verify vgtest'
}

@test "a run after which no package is another takes nothing away" {
  vapt-get -q web1 -- upgrade
  vapt-get -q web1 -- update
  [ "$(entries web1 '[.command, .undo]')" = '[["apt-get upgrade",true],["apt-get update",false]]' ]
  run vapt-get web1 -- upgrade
  assert_status 4
  run vguest web1 rollback 2 --yes
  assert_status 2
  assert_contains "$output" "changed nothing that could be undone"
  run vguest web1 rollback --yes
  assert_status 0
  assert_contains "$output" "undone: 1 (apt-get upgrade)"
  [ "$(version web1)" = 1.0 ]
  vguest web1 exec -- sh -c 'dpkg --audit && dpkg --verify vgtest'
  check_root
}

@test "what a failed run left can be looked at, and the guest is as before" {
  local before
  vguest -q web1 exec -- touch /etc/fail-here
  vguest -q web2 exec -- touch /etc/sleep-here
  before="$(bits web1) $(bits web2)"
  run --separate-stderr vapt-get --json --keep-failed --timeout 12 'web[1-2]' -- upgrade
  assert_status 3
  [ "$(json '[.guests[] | [.result, .kept_failed, .transaction != null]] | @json')" = \
    '[["failed",true,true],["failed",true,true]]' ]
  [ "$(bits web1) $(bits web2)" = "$before" ]
  check_root
  for guest in web1 web2; do
    [ "$(entries $guest '[.command, .result, .undo]' | jq -c last)" = \
      '["apt-get upgrade","failed",false]' ]
    # With the package that the run was given, and its state in the middle.
    run vguest $guest enter --failed -- sh -c \
      'vgtest; dpkg-query -W -f "\${db:Status-Status}" vgtest; ls /var/cache/apt/archives'
    assert_status 0
    [ "${lines[0]}" = 3.0 ]
    assert_contains "$output" half-configured
    assert_contains "$output" vgtest_3.0_all.deb
    [ "$(vguest $guest exec --discard -- vgtest)" = 1.0 ]
  done
  run vguest web1 history
  assert_contains "$output" "is kept: apt-get upgrade. See vguest web1 enter --failed."
  [ "$(bits web1) $(bits web2)" = "$before" ]

  # One that comes to nothing keeps none; the next that fails takes the place of the last.
  run vapt-get web1 -- upgrade
  assert_status 3
  [ "$(vguest web1 enter --failed -- vgtest)" = 3.0 ]
  run vapt-get --keep-failed web1 -- install vgtest=2.0
  assert_status 3
  assert_contains "$output" "what was done is kept for a look: vguest web1 enter --failed"
  [ "$(vguest web1 enter --failed -- vgtest)" = 2.0 ]
  # A clone has none, and it goes with the next transaction.
  vguest -q web3 build -m clone -- -s web1
  [ ! -e "$G/web3/failed" ]
  vguest -q web1 exec -- rm /etc/fail-here
  [ ! -e "$G/web1/failed" ]
  vapt-get -q --keep-failed web1 -- upgrade
  [ ! -e "$G/web1/failed" ]
  check_root
}

@test "a guest that does not come up with --offline leaves its layer for a look" {
  local before
  run_plain web1 'test "$(vgtest)" = 1.0 && sleep 1000'
  vguest -q web1 set health_timeout=5
  vguest -q web1 start
  run --separate-stderr vapt-get --json --keep-failed --offline web1 -- upgrade
  assert_status 3
  [ "$(json '.guests[0] | [.mode, .kept_failed] | @json')" = '["offline",true]' ]
  [ "$(vguest web1 exec -- vgtest)" = 1.0 ]
  [ "$(entries web1 '[.mode, .result, .undo]')" = '[["offline","failed",false]]' ]
  vguest -q web1 stop
  [ "$(vguest web1 enter --failed -- vgtest)" = 3.0 ]
  check_root
}

@test "a real upgrade of the distribution is undone" {
  make_debian_template real
  vguest -q real1 build -m clone -- -s real
  vapt-get -q real1 -- update
  view real1 >"$T/before"
  vapt-get -q real1 -- upgrade
  [ "$(entries real1 'select(.undo) | .packages_changed > 5')" = '[true]' ]
  refute diff -q "$T/before" <(view real1)
  check_root
  vguest -q real1 rollback --yes
  diff "$T/before" <(view real1)
  vguest real1 exec -- dpkg --audit
  check_root
  vtemplate -q delete real --yes
}
