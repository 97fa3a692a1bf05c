#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests that run: start, stop, restart, status, running, kill; with a command and with nothing.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  make_tools_guests 'web[1-3]'
  run_plain web1 'trap "echo ended; echo bye >/var/log/bye; exit 0" TERM; echo begun
    while :; do sleep 0.05; done'
}

@test "a command is started, and stopped in its way" {
  run vguest web1 status
  assert_status 3
  assert_contains "$output" "web1: stopped"
  run vguest web1 start
  assert_status 0
  run vguest web1 status
  assert_status 0
  assert_contains "$output" "web1: running since"
  assert_contains "$output" "init plain"
  wait_for logged web1 begun
  run vguest web1 start
  assert_status 0
  assert_contains "$output" "running already"
  run vguest web1 stop
  assert_status 0
  logged web1 ended
  [ "$(cat "$VGUEST_ROOT/guests/web1/private/var/log/bye")" = bye ]
  assert_no_guests_left
  run vguest web1 status
  assert_status 3
  run vguest web1 stop
  assert_status 0
  check_root
}

@test "a command's user, working directory and stop signal" {
  run_plain web1 'trap "echo ended; exit 0" QUIT; trap "" TERM; id; pwd; echo "home $HOME"
    while :; do sleep 0.05; done'
  vguest -q web1 set user=1000:33 working_dir=/usr/lib stop_signal=SIGQUIT
  vguest web1 start
  wait_for logged web1 "home "
  logged web1 "uid=1000"
  logged web1 "gid=33"
  logged web1 /usr/lib
  refute logged web1 "home /root"
  vguest web1 stop
  logged web1 ended
  vguest -q web1 set user=nobody-here
  run vguest web1 start
  assert_status 2
  assert_contains "$output" 'the guest has no user "nobody-here"'
  assert_no_guests_left
}

@test "without a command the namespaces are kept alive" {
  vguest web2 start
  run vguest web2 status --json
  assert_status 0
  [ "$(json '.guests[0].state')" = running ]
  [ "$(json '.guests[0].init')" = none ]
  [ -e "/proc/$(json '.guests[0].init_pid')" ]
  [ -e "/proc/$(json '.guests[0].monitor_pid')" ]
  vguest web2 stop
  assert_no_guests_left
}

@test "many at once: names, ranges, --all, --exclude; one that fails stops no other" {
  configure web2 '.init = "plain"'
  run vguest --all start
  assert_status 3
  assert_contains "$output" "web2"
  run --separate-stderr vguest --all start --json
  assert_status 3
  [ "$(json '[.guests[] | .name + " " + .state] | join(",")')" = \
    "web1 running,web2 stopped,web3 running" ]
  run vguest --all running
  assert_status 3
  [ "$output" = "web1
web3" ]
  run vguest 'web[1,3]' running
  assert_status 0
  run vguest --all --exclude web1 stop
  assert_status 0
  run vguest 'web*' running
  [ "$output" = web1 ]
  vguest web1,web3 stop
  assert_no_guests_left
  run vguest web9 start
  assert_status 5
  assert_contains "$output" "web"
}

@test "a guest whose command ends by itself is stopped and folded" {
  run_plain web1 'echo x >/etc/made; rm /usr/share/doc/doc03'
  vguest web1 start
  wait_for in_state web1 stopped
  wait_for assert_no_guests_left
  [ "$(cat "$VGUEST_ROOT"/guests/web1/{private,tree}/etc/made 2>/dev/null)" = x ]
  [ ! -e "$VGUEST_ROOT/guests/web1/tree/usr/share/doc/doc03" ]
  check_root
}

@test "what ignores the signal is killed after the timeout" {
  run_plain web1 'trap "" TERM; echo begun; while :; do sleep 0.05; done'
  vguest web1 start
  wait_for logged web1 begun
  local start=$SECONDS
  vguest web1 stop --timeout 1
  [ $((SECONDS - start)) -lt 8 ]
  assert_no_guests_left
  vguest web1 start
  start=$SECONDS
  vguest web1 stop --timeout 0
  [ $((SECONDS - start)) -lt 5 ]
  run vguest web1 stop --timeout x
  assert_status 2
}

@test "restart gives a new init, condrestart only to those that run" {
  vguest web1 start
  local pid
  pid=$(vguest web1 status --json | jq .guests[0].init_pid)
  vguest 'web[1-2]' condrestart
  [ "$(vguest web1 status --json | jq .guests[0].init_pid)" != "$pid" ]
  run vguest web2 status
  assert_status 3
  vguest web2 restart
  vguest 'web[1-2]' status
  vguest --all stop
  assert_no_guests_left
}

@test "kill sends a signal to init" {
  vguest web1 start
  wait_for logged web1 begun
  vguest web1 kill -s TERM
  wait_for in_state web1 stopped
  logged web1 ended
  run vguest web1 kill
  assert_status 1
  assert_contains "$output" "not running"
  run vguest web1 kill -s NOSUCH
  assert_status 2
  vguest web1 start
  vguest web1 kill
  wait_for in_state web1 stopped
  wait_for assert_no_guests_left
}

@test "what needs a stopped guest refuses a running one and says so" {
  vguest web1 start
  run vguest web1 delete --yes
  assert_status 1
  assert_contains "$output" "guest web1 is running: stop it first"
  run vguest web1 build -m clone --force -- -s tools
  assert_status 1
  assert_contains "$output" "running"
  run vguest web4 build -m clone -- -s web1
  assert_status 1
  assert_contains "$output" "guest web1 is running: stop it first"
  run vhashify web1
  assert_status 1
  assert_contains "$output" "running"
  run vhashify --all
  assert_status 0
  assert_contains "$output" "web1: skipped, as it is running"
  vguest web1 status
  vguest web1 stop
  check_root
}

@test "a start that fails leaves nothing" {
  configure web1 '.command = ["/nonexistent"]'
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "start guest web1: /nonexistent: no such command in the guest"
  wait_for assert_no_guests_left
  run_plain web1 'exec sleep 1000'
  cat >"$T/runtime" <<'SCRIPT'
#!/bin/sh
"$(command -v runc || command -v crun)" "$@" || exit
# The container runs, and its runtime says that it failed.
case "$*" in
  *" run "*" web1-"*) exit 3 ;;
esac
SCRIPT
  chmod 755 "$T/runtime"
  configure web1 ".runtime = \"$T/runtime\""
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "start guest web1: $T/runtime run: exit status 3"
  wait_for assert_no_guests_left
  check_root
}

@test "a large file of the guest's own stays where it is" {
  local size=2048 file before
  [ "$(df -m --output=avail "$T" | tail -n 1)" -gt 6144 ] || size=512
  vguest web2 start
  inside web2 mkdir -p /var/lib/mysql
  vguest web2 stop
  file=$VGUEST_ROOT/guests/web2/private/var/lib/mysql/ibdata
  fallocate -l "${size}M" "$file"
  before=$(stat -c '%i %b %s %Y' "$file")
  vguest web2 start
  inside web2 touch /var/lib/mysql/used
  vguest web2 stop
  # Nobody has read any of it: it would be in the page cache.
  [ "$(fincore --bytes --noheadings --output PAGES "$file" | tr -d ' ')" = 0 ]
  [ "$(stat -c '%i %b %s %Y' "$file")" = "$before" ]
  [ ! -e "$VGUEST_ROOT/guests/web2/tree/var/lib/mysql/ibdata" ]
}
