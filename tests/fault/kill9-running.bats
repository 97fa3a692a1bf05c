#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 of vguest while it starts and stops a guest, and of the monitor: the next command cleans
# up, and the guest starts again.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

SHOTS=${VGUEST_KILL_SHOTS:-15}

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  make_tools_guests web1
  run_plain web1 'trap "exit 0" TERM; echo x >/etc/made; while :; do sleep 0.05; done'
}

# shoot VERB: kills it at a random moment of its first 0.3 s.
shoot () {
  vguest -q web1 "$1" >/dev/null 2>&1 3>&- &
  sleep "0.$(printf '%03d' $((RANDOM % 300)))"
  kill -9 $! 2>/dev/null || true
  wait $! || true
}

@test "kill -9 of start at random moments" {
  for ((i = 0; i < SHOTS; i++)); do
    shoot start
    run timeout 60 vguest web1 stop
    assert_status 0
    assert_no_guests_left
  done
  vguest web1 start
  vguest web1 stop
  check_root
}

@test "kill -9 of stop at random moments" {
  for ((i = 0; i < SHOTS; i++)); do
    run timeout 60 vguest web1 start
    assert_status 0
    shoot stop
    run timeout 60 vguest web1 stop
    assert_status 0
    assert_no_guests_left
  done
  check_root
}

@test "kill -9 of the monitor: the guest ends with it, the next start cleans up" {
  for _ in 1 2 3; do
    vguest web1 start
    kill -9 "$(vguest web1 status --json | jq '.guests[0].monitor_pid')"
    run timeout 60 vguest web1 restart
    assert_status 0
    in_state web1 running
  done
  kill -9 "$(vguest web1 status --json | jq '.guests[0].monitor_pid')"
  run timeout 60 vguest web1 stop
  assert_status 0
  assert_no_guests_left
  check_root
}

@test "what a reboot of the host left: stale state, wrong pids, an unfolded guest" {
  vguest web1 start
  vguest web1 stop
  touch "$VGUEST_ROOT/guests/web1/ran"
  mkdir -p "$(run_dir)/web1"
  echo '{"state": "running", "init_pid": 1, "monitor_pid": 1}' >"$(run_dir)/web1/state.json"
  echo 1 >"$(run_dir)/web1/pid"
  mkfifo "$(run_dir)/web1/control"
  run vguest web1 status
  assert_status 3
  run timeout 60 vguest web1 start
  assert_status 0
  vguest web1 stop
  assert_no_guests_left
  check_root
}
