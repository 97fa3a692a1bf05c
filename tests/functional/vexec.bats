#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vexec: a command in many guests, running and stopped, and what becomes of its output.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq
  make_tools_guests 'a,web1,web10'
}

@test "stopped guests: output in order with names, and changes are kept" {
  run vexec --all -- sh -c 'sleep 0.$((RANDOM % 3)); echo "in $(hostname)"; echo hello >/etc/motd'
  assert_status 0
  [ "$output" = "a    : in a
web1 : in web1
web10: in web10" ]
  for guest in a web1 web10; do
    grep -q hello "$VGUEST_ROOT/guests/$guest"/*/etc/motd
  done
  check_root
}

@test "stdout and stderr stay apart, and the last line is ended" {
  run --separate-stderr vexec 'web*' -- sh -c 'printf out; printf err >&2'
  assert_status 0
  [ "$output" = "web1 : out
web10: out" ]
  # shellcheck disable=SC2154
  [ "$stderr" = "web1 : err
web10: err" ]
  run --separate-stderr vexec 'web*' --no-prefix -- sh -c 'printf out; printf err >&2'
  [ "$output" = "outout" ]
  [ "$stderr" = "errerr" ]
  run --separate-stderr vexec 'web*' --no-output -- sh -c 'printf out; printf err >&2'
  [ "$output$stderr" = "" ]
}

@test "running and stopped guests side by side; --running" {
  vguest -q 'web1,web10' start
  run vexec --all -- sh -c 'echo "$(cat /etc/hostname) $X"; touch /run/here'
  assert_status 0
  [ "$(wc -l <<<"$output")" = 3 ]
  run vexec --all --running -e X=y -C /etc -u 0 -- sh -c 'ls /run/here; cat hostname; echo "$X"'
  assert_status 0
  [ "$output" = "web1 : /run/here
web1 : web1
web1 : y
web10: /run/here
web10: web10
web10: y" ]
  vguest -q --all stop
  run vexec --all --running -- true
  assert_status 4
  assert_no_guests_left
}

@test "failures stay in their guest and are told" {
  vguest -q web1 start
  run --separate-stderr vexec --all -- sh -c 'echo x; [ "$(cat /etc/hostname)" = a ]'
  assert_status 3
  [ "$output" = "a    : x
web1 : x
web10: x" ]
  assert_contains "$stderr" "vexec: web1: exit status 1"
  assert_contains "$stderr" "vexec: web10: exit status 1"
  assert_contains "$stderr" "vexec: 2 of 3 guests failed"
  run vexec --all -- /no/such/command
  assert_status 3
  assert_contains "$output" "web10: exit status 127"
  run vexec --all
  assert_status 2
  run vexec nobody -- true
  assert_status 5
  run vexec -j 0 --all -- true
  assert_status 2
}

@test "equal outputs once, and JSON" {
  run vexec --all --group -- sh -c 'echo same'
  assert_status 0
  [ "$output" = "---- a,web1,web10
same" ]
  run --separate-stderr vexec --all --group -- sh -c 'h=$(cat /etc/hostname); [ $h = a ] || exit 2'
  assert_status 3
  [ "$output" = "---- a
---- web1,web10 (exit status 2)" ]
  run --separate-stderr vexec --all --json -- sh -c 'printf "a\377"; echo e >&2; exit 3'
  assert_status 3
  [ "$(json '[.failed, (.guests | length)] | @json')" = "[3,3]" ]
  [ "$(json '.guests[2] | [.name, .result, .exit_status, .error, .stdout, .stderr] | @json')" = \
    '["web10","failed",3,null,"a�","e\n"]' ]
  run vexec a --json --no-output -- true
  [ "$(json '.guests[0] | has("stdout")')" = false ]
}

@test "much output of guests that have to wait goes by way of a file" {
  run bash -c 'vexec --all -j 3 -- sh -c "[ \$(cat /etc/hostname) != a ] || sleep 0.5
    i=0; while [ \$i -lt 20000 ]; do echo line \$i; i=\$((i + 1)); done" | sort | uniq -c |
    awk "{ print \$1, \$2 }" | sort | uniq -c'
  assert_status 0
  [ "$(awk '{ print $1, $2, $3 }' <<<"$output")" = "20000 1 a
20000 1 web1
20000 1 web10:" ]
}

@test "a signal ends all of them" {
  vguest -q web1 start
  local nap=9$RANDOM pid
  vexec --all -j 3 -- sleep "$nap" 2>"$T/stderr" 3>&- &
  pid=$!
  wait_for eval '[ "$(pgrep -c -x -f "sleep $nap")" = 3 ]'
  kill -TERM "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" = 130 ]
  grep -q 'web1: exit status 143' "$T/stderr"
  refute pgrep -x -f "sleep $nap"
  # A reader that goes away.
  run bash -c 'vexec --all -- sh -c "while echo y; do :; done" | head -n 1'
  assert_status 0
  vguest -q web1 stop
  assert_no_guests_left
}
