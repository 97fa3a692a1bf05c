#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Signals: one undoes cleanly, two within a second end at once, and no process stays behind.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_root
  GUESTS=$VGUEST_ROOT/guests
  NAP=30.$RANDOM$RANDOM
}

teardown () {
  pkill -KILL -f "^sleep $NAP" 2>/dev/null || true
  common_teardown
}

ended () {
  wait "$1" && status=0 || status=$?
}

# A source that takes a while: a directory with a fifo's worth of files.
make_slow_source () {
  mkdir "$T/slow"
  (cd "$T/slow" && seq 1500 | split -l 1 -a 4 - f)
}

begun () {
  compgen -G "$VGUEST_ROOT/staging/$1-*" >/dev/null
}

@test "one signal: what was begun is undone, with status 130" {
  local signal pid
  make_slow_source
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  for signal in INT TERM HUP; do
    env --default-signal="$signal" vtemplate -q import slow "$T/slow" 2>"$T/err" 3>&- &
    pid=$!
    wait_for begun import
    kill "-$signal" "$pid"
    ended "$pid"
    assert_status 130
    assert_contains "$(cat "$T/err")" "interrupted by signal"
    [ ! -e "$VGUEST_ROOT/templates/slow" ]
    assert_nothing_left
    [ "$(find "$VGUEST_ROOT/store" ! -type d | wc -l)" -lt 200 ]
    check_root
  done
  vtemplate -q import slow "$T/slow"
  for signal in INT TERM HUP; do
    env --default-signal="$signal" vguest -q 'x[1-9]' build -m clone -- -s slow 2>"$T/err" 3>&- &
    pid=$!
    wait_for begun clone
    kill "-$signal" "$pid"
    ended "$pid"
    assert_status 130
    [ -z "$(ls "$GUESTS")" ]
    assert_nothing_left
  done
  check_root
}

@test "two within a second: it ends at once, and the next command cleans up" {
  local pid signal
  make_slow_source
  for signal in INT TERM; do
    env --default-signal=INT,TERM vtemplate -q import slow "$T/slow" 2>"$T/err" 3>&- &
    pid=$!
    wait_for begun import
    # Stopped, so that both are there when it goes on: one is no second of the other.
    kill -STOP "$pid"
    kill "-$signal" "$pid"
    kill -TERM "$pid"
    kill -INT "$pid"
    kill -CONT "$pid"
    ended "$pid"
    assert_status 130
    # Nothing was undone.
    begun import
    vguest-stat >/dev/null
    vstore -q gc
    assert_nothing_left
    check_root
  done
}

@test "a terminal that goes away sends SIGHUP twice: that is undone cleanly" {
  local pid
  make_slow_source
  vtemplate -q import slow "$T/slow" 2>"$T/err" 3>&- &
  pid=$!
  wait_for begun import
  kill -TERM "$pid"
  sleep 0.02
  kill -HUP "$pid" 2>/dev/null || true
  ended "$pid"
  assert_status 130
  assert_contains "$(cat "$T/err")" "interrupted by signal"
  assert_nothing_left
}

asleep () {
  [ "$(pgrep -c -f "^sleep $NAP")" = "$1" ]
}

@test "children never outlive vguest, however it ends" {
  skip_unless_runtime
  local how pid
  make_tools_guests web1,web2
  for how in "-KILL" "-TERM" twice; do
    vexec -q --all -- sleep "$NAP" >/dev/null 2>&1 3>&- &
    pid=$!
    wait_for asleep 2
    if [ "$how" = twice ]; then
      kill -TERM "$pid"
      sleep 0.1
      kill -TERM "$pid" 2>/dev/null || true
    else
      kill "$how" "$pid"
    fi
    ended "$pid"
    wait_for asleep 0
    vguest -q web1,web2 exec -- true
    check_root
  done
  vguest -q web1 exec -- sleep "$NAP" >/dev/null 2>&1 3>&- &
  pid=$!
  wait_for asleep 1
  kill -KILL "$pid"
  wait_for asleep 0
  vguest -q web1 exec -- true
  assert_no_guests_left
  assert_nothing_left
}
