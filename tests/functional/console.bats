#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a guest's init writes: logs, console, start --console.

# Guests' scripts are in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  make_tools_guests web1
}

teardown () {
  tmux -L "vguest-$BATS_TEST_NUMBER" kill-server 2>/dev/null || true
  vguest -q --all stop --timeout 0 || true
  common_teardown
}

start_terminal () {
  skip_unless_program tmux
  env -u TMUX TERM=xterm-256color SHELL=/bin/sh PS1='host> ' \
    tmux -L "vguest-$BATS_TEST_NUMBER" -f /dev/null new-session -d -x 97 -y 31 "sh" 3>&- 4>&-
  shows 'host>'
}

press () {
  tmux -L "vguest-$BATS_TEST_NUMBER" send-keys "$@"
}

screen_has () {
  tmux -L "vguest-$BATS_TEST_NUMBER" capture-pane -p | grep -q -- "$1"
}

shows () {
  wait_for screen_has "$1" || {
    tmux -L "vguest-$BATS_TEST_NUMBER" capture-pane -p
    return 1
  }
}

# The log without times, and without vguest's own lines.
plain_log () {
  sed -E 's/^[0-9-]+T[0-9:]+[+-][0-9]{4} //; /^---/d'
}

@test "logs: lines with their time, of several runs, the last ones only" {
  run vguest web1 logs
  assert_status 0
  [ -z "$output" ]
  run_plain web1 'echo one; echo two >&2; printf "\0333[31mred\033[0m\n"'
  vguest web1 start
  wait_for in_state web1 stopped
  run vguest web1 logs
  assert_status 0
  grep -qE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[+-][0-9]{4} one$' <<<"$output"
  [ "$(plain_log <<<"$output" | head -n 2)" = "one
two" ]
  run_plain web1 'echo again'
  vguest web1 start
  wait_for in_state web1 stopped
  [ "$(vguest web1 logs | plain_log | grep -c .)" = 4 ]
  [ "$(vguest web1 logs -n 500 | plain_log | tail -n 1)" = again ]
  [ "$(vguest web1 logs | tail -n 2)" = "$(vguest web1 logs -n 2)" ]
  run vguest web1 logs -n x
  assert_status 2
  run vguest nosuch logs
  assert_status 5
}

@test "the log is bounded, and its parts are in order" {
  run_plain web1 'seq 700000; echo finished; sleep 100'
  vguest web1 start
  wait_for logged web1 finished
  local size
  size=$(cat "$VGUEST_ROOT"/guests/web1/log/console.log* | wc -c)
  [ "$size" -le $((4 * 1024 * 1024)) ]
  [ "$size" -gt $((3 * 1024 * 1024)) ]
  [ "$(find "$VGUEST_ROOT/guests/web1/log" -name 'console.log*' | wc -l)" = 4 ]
  # From some number on, without a gap.
  vguest web1 logs -n 60000 | plain_log | grep -E '^[0-9]+$' >"$T/numbers"
  cmp "$T/numbers" <(seq "$(head -n 1 "$T/numbers")" 700000)
}

@test "logs -f follows over parts, and ends with the guest" {
  run_plain web1 'while [ ! -e /go ]; do sleep 0.05; done; seq 100000; echo finished; sleep 0.3'
  vguest web1 start
  timeout 60 vguest web1 logs -f >"$T/out" 3>&- &
  local pid=$!
  vguest web1 exec -- touch /go
  status=0
  wait "$pid" || status=$?
  assert_status 0
  plain_log <"$T/out" | grep -E '^[0-9]+$' | cmp - <(seq 100000)
  grep -q finished "$T/out"
  # Of a guest that does not run it is all there is.
  run timeout 20 vguest web1 logs -f -n 2
  assert_status 0
}

@test "a terminal gets text and colours of the log, and no other sequences" {
  run_plain web1 'printf "a\033[31mred\033[0m\033]0;title\007b\033[2Jc\033[6n\n"'
  vguest web1 start
  wait_for in_state web1 stopped
  skip_unless_program script
  run script -qec 'vguest web1 logs' /dev/null
  assert_status 0
  assert_contains "$output" $'a\e[31mred\e[0mbc'
  refute grep -q title <<<"$output"
}

@test "a full disk loses the log and not the guest" {
  skip_unless_program mkfs.ext4
  truncate -s 2M "$T/image"
  mkfs.ext4 -q -O ^has_journal "$T/image"
  mount -o loop "$T/image" "$VGUEST_ROOT/guests/web1/log" || skip "needs loop devices"
  run_plain web1 'seq 300000; echo finished >/done; while [ ! -e /go ]; do sleep 0.05; done
    echo finished; sleep 100'
  vguest web1 start
  wait_for vguest web1 exec -- ls /done
  rm "$VGUEST_ROOT"/guests/web1/log/console.log.*
  vguest web1 exec -- touch /go
  wait_for logged web1 finished
  assert_contains "$(vguest web1 logs | tail -n 5)" "bytes were lost here: No space left on device"
  vguest -q web1 stop --timeout 0
  umount "$VGUEST_ROOT/guests/web1/log"
}

@test "console: what was, what comes, and who is slow" {
  run_plain web1 'echo early; while [ ! -e /go ]; do sleep 0.05; done; echo late; sleep 0.2'
  vguest web1 start
  wait_for logged web1 early
  timeout 60 vguest web1 console >"$T/out" 2>"$T/err" </dev/null 3>&- &
  local pid=$!
  # One that reads nothing.
  # shellcheck disable=SC2216
  vguest web1 console </dev/null 2>/dev/null 3>&- | sleep 1 &
  wait_for grep -q early "$T/out"
  vguest web1 exec -- touch /go
  status=0
  wait "$pid" || status=$?
  assert_status 0
  assert_contains "$(cat "$T/out")" "early
late"
  assert_contains "$(cat "$T/err")" "closed the console"
  wait_for in_state web1 stopped
  run vguest web1 console
  assert_status 1
  assert_contains "$output" "start it with"
}

@test "start --console misses nothing" {
  run_plain web1 'seq 1000; sleep 0.2'
  run timeout 60 vguest web1 start --console </dev/null
  assert_status 0
  [ "$(grep -cE '^[0-9]+$' <<<"$output")" = 1000 ]
  make_tools_guests web2
  run vguest web1,web2 start --console
  assert_status 2
  refute vguest web1 running
}

@test "console on a terminal: Ctrl-] three times detaches, Ctrl-C where there is none" {
  run_plain web1 'echo begun; while :; do sleep 0.05; done'
  vguest web1 start
  start_terminal
  press "stty -g >$T/before" Enter
  wait_for test -s "$T/before"
  press 'vguest web1 console; echo status=$?' Enter
  shows '^begun'
  press C-] x C-] C-]
  sleep 0.2
  refute screen_has 'status=0'
  press C-]
  shows 'Detached from'
  shows 'status=0'
  # What is on the screen must be of the second one.
  press clear Enter
  wait_for refute screen_has begun
  press 'vguest web1 console; echo second=$?' Enter
  shows 'begun'
  press C-c
  shows 'second=0'
  press "stty -g >$T/after" Enter
  wait_for test -s "$T/after"
  diff "$T/before" "$T/after"
  run vguest web1 running
  assert_status 0
}
