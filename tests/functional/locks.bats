#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Locks: who holds one is told, waiting ends when it shall, and who only reads never waits.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,web2 build -m clone -- -s small
  GUESTS=$VGUEST_ROOT/guests
}

teardown () {
  [ -z "${HOLDER:-}" ] || kill -KILL "$HOLDER" 2>/dev/null || true
  common_teardown
}

# hold LOCK…: a process takes them, and is stopped.
hold () {
  rm -f "$T/held"
  python3 -c '
import fcntl, os, signal, sys
for name in sys.argv[2:]:
    fcntl.flock(os.open(name, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
open(sys.argv[1], "w")
os.kill(os.getpid(), signal.SIGSTOP)' "$T/held" "$@" 3>&- &
  HOLDER=$!
  wait_for test -e "$T/held"
}

@test "readers never wait, whatever is locked by whoever is stopped" {
  skip_unless_program python3
  vguest web1 set memory=64M
  hold "$VGUEST_ROOT/lock" "$VGUEST_ROOT/gc-lock" "$GUESTS"/web[12]/lock \
    "$VGUEST_ROOT/templates/small/lock" "$VGUEST_ROOT/templates/small/updating"
  local command words
  for command in vguest-stat "vguest-stat --disk" "vguest-stat --worst-case" "vtemplate list" \
    "vtemplate info small" "vguest-info" "vguest-info web1" "vguest web1 history" \
    "vguest --all get memory" "vguest-autostart list" "vstore gc -n" "vguest --complete guests"; do
    read -ra words <<<"$command"
    run timeout 10 "${words[@]}"
    [ "$status" = 0 ] || {
      echo "$command: $status: $output"
      return 1
    }
  done
  # They do not run: that is status 3.
  run timeout 10 vguest web1 status
  assert_status 3
}

@test "waiting tells who holds it: pid, command, since when" {
  local pid
  skip_unless_program python3
  hold "$GUESTS/web2/lock"
  vguest web2 set notes=x 2>"$T/err" 3>&- &
  pid=$!
  wait_for grep -q "waiting for guest web2, locked by $HOLDER python3" "$T/err"
  kill -KILL "$HOLDER"
  wait "$pid"
  [ "$(vguest web2 get notes)" = x ]
}

@test "the record of one who is gone is not taken for the holder" {
  skip_unless_program python3
  echo "1 init since 2001-01-01T00:00:00Z" >"$GUESTS/web1/lock"
  hold "$GUESTS/web1/lock"
  run vguest --no-wait web1 set notes=x
  assert_status 7
  assert_contains "$output" "guest web1 is locked by $HOLDER python3, running since 20"
}

@test "--wait SECONDS ends with status 7, --no-wait at once" {
  skip_unless_program python3
  hold "$GUESTS/web1/lock"
  local start=$SECONDS
  run vguest --wait 1 web1 set notes=x
  assert_status 7
  assert_contains "$output" "guest web1 is still locked after 1 s, by $HOLDER python3"
  [ $((SECONDS - start)) -lt 5 ]
  run vguest web1 set --wait 0 notes=x
  assert_status 7
  run vguest --wait soon web1 set notes=x
  assert_status 2
  run vhashify --no-wait web1
  assert_status 7
  run vhashify --no-wait web1,web2
  assert_status 3
  assert_contains "$output" "guest web1 is locked by $HOLDER python3"
  # One that is given back in time is got.
  vguest --wait 20 web1 set notes=late 2>/dev/null 3>&- &
  local pid=$!
  sleep 0.3
  kill -KILL "$HOLDER"
  wait "$pid"
  [ "$(vguest web1 get notes)" = late ]
}

@test "templates and the package cache tell as well" {
  skip_unless_program python3
  hold "$VGUEST_ROOT/templates/small/lock"
  run vtemplate --wait 1 delete --yes small
  assert_status 7
  assert_contains "$output" "template small is still locked after 1 s, by $HOLDER python3"
  run vguest --no-wait x build -m clone -- -s small
  assert_status 7
}

@test "a signal ends waiting" {
  skip_unless_program python3
  local signal
  hold "$GUESTS/web1/lock"
  for signal in INT TERM HUP; do
    env --default-signal="$signal" vguest web1 set notes=x 2>"$T/err" 3>&- &
    local pid=$!
    wait_for grep -q "waiting for guest web1" "$T/err"
    sleep 0.1
    kill "-$signal" "$pid"
    wait "$pid" && status=0 || status=$?
    assert_status 130
    assert_contains "$(cat "$T/err")" "interrupted by signal"
  done
}
