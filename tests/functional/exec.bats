#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAMES exec: commands in stopped guests as transactions.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program python3
  # A name for the sleeping processes of this test alone.
  NAP=9$RANDOM$RANDOM
  [ -e "$BATS_FILE_TMPDIR/source" ] || make_tools_template "$BATS_FILE_TMPDIR/source"
  cp -a "$BATS_FILE_TMPDIR/source" "$T/source"
  vtemplate -q import base "$T/source"
  vguest web1 build -m clone -- -s base
}

# What is in both layers, names of the merged view or not.
layers () {
  tree_list "$VGUEST_ROOT/guests/$1/tree"
  tree_list "$VGUEST_ROOT/guests/$1/private"
}

guest_file () {
  local layer
  for layer in private tree; do
    if [ -e "$VGUEST_ROOT/guests/$1/$layer/$2" ]; then
      echo "$VGUEST_ROOT/guests/$1/$layer/$2"
      return
    fi
  done
}

# No process, cgroup or mount of this root's containers.
assert_no_containers () {
  local id
  id=$(sed -n 's/.*"id": *"\([0-9a-f]\{8\}\).*/\1/p' "$VGUEST_ROOT/root.json")
  if find /sys/fs/cgroup -name "*-$id" 2>/dev/null | grep .; then
    echo "a cgroup was left"
    return 1
  fi
  if grep -F "$(run_dir)" /proc/self/mountinfo; then
    echo "a mount was left"
    return 1
  fi
  if grep -lF "$VGUEST_ROOT" /proc/[0-9]*/mountinfo 2>/dev/null | grep .; then
    echo "a process with mounts of the guest was left"
    return 1
  fi
  if [ -n "$(ls -A "$VGUEST_ROOT/guests/web1/txn")" ]; then
    echo "a transaction was left"
    return 1
  fi
}

# Waits for a process of this shell; its exit status to $status.
ended () {
  status=0
  output=
  wait "$1" || status=$?
}

not_running () {
  ! pgrep -f "$1" >/dev/null
}

@test "exec true changes not one byte of the layers" {
  layers web1 >"$T/before"
  run vguest web1 exec -- true
  assert_status 0
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
  assert_no_containers
  check_root
}

@test "exec true changes nothing in a guest that lacks every mount point" {
  rm -r "$T/source"/{proc,sys,dev,run,tmp,usr/sbin}
  rm -f "$T/source/etc/resolv.conf"
  touch -d '2020-01-01 01:01:01.5' "$T/source" "$T/source/etc" "$T/source/usr"
  vtemplate -q import bare "$T/source"
  vguest web2 build -m clone -- -s bare
  layers web2 >"$T/before"
  run vguest web2 exec -- sh -c 'test -d /proc/1 && test -e /usr/sbin/policy-rc.d && test -c /dev/null'
  assert_status 0
  layers web2 >"$T/after"
  diff "$T/before" "$T/after"
}

@test "a dangling resolv.conf stays dangling" {
  ln -s ../run/systemd/resolve/stub-resolv.conf "$T/source/etc/resolv.conf"
  vtemplate -q import dangling "$T/source"
  vguest web2 build -m clone -- -s dangling
  layers web2 >"$T/before"
  run vguest web2 exec -- cat /etc/resolv.conf
  assert_status 0
  [ "$output" = "$(cat /etc/resolv.conf)" ]
  layers web2 >"$T/after"
  diff "$T/before" "$T/after"
}

@test "a symlink for resolv.conf leads nowhere outside the guest" {
  echo "of the host" >"$T/victim"
  ln -s "$T/victim" "$T/source/etc/resolv.conf"
  vtemplate -q import evil "$T/source"
  vguest web2 build -m clone -- -s evil
  layers web2 >"$T/before"
  run vguest web2 exec -- true
  assert_status 0
  layers web2 >"$T/after"
  diff "$T/before" "$T/after"
  [ "$(cat "$T/victim")" = "of the host" ]
}

@test "what a command changes is there when it succeeds" {
  run vguest web1 exec -- sh -c 'echo new >/etc/new; rm /usr/share/doc/doc03; echo more >>/usr/lib/lib02.so'
  assert_status 0
  [ "$(cat "$(guest_file web1 etc/new)")" = new ]
  [ "$(cat "$(guest_file web1 usr/lib/lib02.so)")" = "library 02
more" ]
  [ -z "$(guest_file web1 usr/share/doc/doc03)" ]
  run vguest web1 exec -- sh -c 'cat /etc/new; test ! -e /usr/share/doc/doc03'
  assert_status 0
  [ "$output" = new ]
  check_root
}

@test "what a command changes is gone when it fails" {
  layers web1 >"$T/before"
  run vguest web1 exec -- sh -c 'echo new >/etc/new; rm -r /usr/share; chmod 0 /etc; exit 9'
  assert_status 9
  assert_contains "$output" "guest as before"
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
  run vguest web1 exec --discard -- sh -c 'echo new >/etc/new'
  assert_status 0
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
}

@test "exit statuses are the command's own" {
  run vguest web1 exec -- sh -c 'exit 0'
  assert_status 0
  run vguest web1 exec -- sh -c 'exit 1'
  assert_status 1
  run vguest web1 exec -- sh -c 'exit 255'
  assert_status 255
  run -127 vguest web1 exec -- nosuch
  assert_contains "$output" "no such command"
  run vguest web1 exec -- /etc/hostname
  assert_status 126
  if [ -x /usr/bin/catatonit ]; then
    # shellcheck disable=SC2016
    run vguest web1 exec -- sh -c 'kill -TERM $$'
    assert_status 143
  fi
  run vguest nosuch exec -- true
  assert_status 5
  run vguest web1 exec --
  assert_status 2
  run vguest web1 exec -u nobody -- true
  assert_status 2
  run vguest web1 exec -- true $'\377'
  assert_status 2
}

@test "standard input and output pass through" {
  run bash -c 'echo "through the guest" | vguest web1 exec -- cat'
  assert_status 0
  [ "$output" = "through the guest" ]
  vguest web1 exec -- sh -c 'echo out; echo err >&2' >"$T/out" 2>"$T/err"
  [ "$(cat "$T/out")" = out ]
  [ "$(cat "$T/err")" = err ]
}

@test "environment, directory, user and host name are the guest's" {
  # shellcheck disable=SC2016
  run vguest web1 exec -e "A=b c" -C /usr/lib -u 1000:33 -- sh -c \
    'echo "$A"; pwd; id -u; id -g; hostname; echo $HOME'
  assert_status 0
  [ "$output" = "b c
/usr/lib
1000
33
web1
/" ]
}

@test "variables of the guest's settings are those of its commands; --env replaces them" {
  vguest web1 set environment.LANG=de_DE.UTF-8 environment.http_proxy=http://proxy:3128 \
    environment.A=guest
  # shellcheck disable=SC2016
  run vguest web1 exec -e A=mine -- sh -c 'echo "$LANG $http_proxy $A"'
  assert_status 0
  [ "$output" = "de_DE.UTF-8 http://proxy:3128 mine" ]
  # shellcheck disable=SC2016
  run vexec --no-prefix web1 -- sh -c 'echo "$LANG $A"'
  assert_status 0
  assert_contains "$output" "de_DE.UTF-8 guest"
}

@test "the container is bounded" {
  run vguest web1 exec -- cat /proc/self/status
  assert_status 0
  assert_contains "$output" "CapBnd:	00000000a80425fb"
  assert_contains "$output" "CapInh:	0000000000000000"
  assert_contains "$output" "Seccomp:	2"
  run vguest web1 exec -- sh -c 'mount -t tmpfs none /mnt 2>/dev/null || mount -t tmpfs none /srv'
  [ "$status" -ne 0 ]
  run vguest web1 exec -- sh -c 'echo 1 >/proc/sys/kernel/printk'
  [ "$status" -ne 0 ]
  # A node may be made, but not opened.
  run vguest web1 exec -- sh -c 'mknod /etc/mem c 1 1 && cat /etc/mem'
  [ "$status" -ne 0 ]
  run vguest web1 exec -- sh -c 'ls /proc/[0-9]* -d | sort'
  [ "$(grep -c /proc/ <<<"$output")" -le 4 ]
}

@test "services are not started: policy-rc.d says 101" {
  run vguest web1 exec -- sh -c /usr/sbin/policy-rc.d
  assert_status 101
  [ -z "$(guest_file web1 usr/sbin/policy-rc.d)" ]
}

@test "signals that a script sends to process 1 do not reach the command" {
  # shellcheck disable=SC2016
  run vguest web1 exec -- sh -c 'for s in USR1 USR2 HUP WINCH; do kill -s $s 1; done; echo alive'
  assert_status 0
  assert_contains "$output" alive
}

@test "a daemon ends with the command" {
  run timeout 20 vguest web1 exec -- sh -c "(sleep $NAP & ) ; (sleep $NAP >/dev/null 2>&1 & ) ; echo begun"
  assert_status 0
  [ "$output" = begun ]
  run ! pgrep -f "^sleep $NAP"
  assert_no_containers
}

@test "several guests: one after another, 3 when some failed" {
  vguest 'web[2-3]' build -m clone -- -s base
  # shellcheck disable=SC2016
  run vguest 'web[1-3]' exec -- sh -c 'echo x >/etc/made; test "$(hostname)" != web2'
  assert_status 3
  assert_contains "$output" "web2"
  assert_contains "$output" "1 of 3 guests failed"
  [ -n "$(guest_file web1 etc/made)" ]
  [ -z "$(guest_file web2 etc/made)" ]
  [ -n "$(guest_file web3 etc/made)" ]
  run vguest 'web[1-3]' exec -- true
  assert_status 0
  check_root
}

@test "SIGINT, SIGTERM and SIGHUP end the command and undo it" {
  local signal
  for signal in INT TERM HUP; do
    layers web1 >"$T/before"
    # Not in the background of this shell, which would have SIGINT ignored.
    env --default-signal=INT vguest web1 exec -- sh -c "echo x >/etc/made; sleep $NAP" \
      >"$T/out" 2>&1 3>&- &
    wait_for pgrep -f "^sleep $NAP" >/dev/null
    kill "-$signal" $!
    ended $!
    assert_status 130
    assert_contains "$(cat "$T/out")" "interrupted by signal"
    layers web1 >"$T/after"
    diff "$T/before" "$T/after"
    assert_no_containers
  done
}

@test "a second signal within a second does not wait; the next command repairs" {
  vguest web1 exec -- true
  layers web1 >"$T/before"
  vguest web1 exec -- sh -c "trap '' TERM; while :; do sleep 0.1$NAP; done" >"$T/out" 2>&1 3>&- &
  local pid=$! start=$SECONDS
  wait_for pgrep -f "^sleep 0.1$NAP" >/dev/null
  kill -TERM "$pid"
  sleep 0.2
  kill -TERM "$pid"
  ended "$pid"
  assert_status 130
  [ $((SECONDS - start)) -lt 8 ]
  run timeout 30 vguest web1 exec -- true
  assert_status 0
  assert_no_containers
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
}

@test "kill -9 at any moment: the next command repairs" {
  local pid
  vguest web1 exec -- true
  layers web1 >"$T/before"
  for _ in {1..20}; do
    vguest -q web1 exec -- sh -c 'rm -r /usr/share; echo x >/etc/made; sleep 0.05; exit 1' \
      >/dev/null 2>&1 3>&- &
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % 200)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" || true
    run timeout 30 vguest web1 exec -- true
    assert_status 0
    assert_no_containers
  done
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
  check_root
}

@test "kill -9 of vguest and its supervisor at once leaves nothing" {
  local pid children
  vguest web1 exec -- sleep "$NAP" >/dev/null 2>&1 3>&- &
  pid=$!
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  children=$(pgrep -P "$pid")
  # shellcheck disable=SC2086
  kill -9 "$pid" $children
  wait "$pid" || true
  wait_for not_running "^sleep $NAP"
  run vguest web1 exec -- true
  assert_status 0
  assert_no_containers
}

@test "a locked guest: exit status 7 with --no-wait" {
  vguest web1 exec -- sleep "$NAP" >/dev/null 2>&1 3>&- &
  local pid=$!
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  run vguest web1 exec --no-wait -- true
  assert_status 7
  assert_contains "$output" "locked"
  kill "$pid"
  wait "$pid" || true
}

@test "what does not work as runtime is told, and the choice is remembered" {
  local config=$VGUEST_ROOT/guests/web1/config.json
  [ -e "$(run_dir)/.runtime.json" ] && rm "$(run_dir)/.runtime.json"
  vguest web1 exec -- true
  grep -q '"works": true' "$(run_dir)/.runtime.json"
  sed -i 's|{|{ "runtime": "/bin/false",|' "$config"
  run vguest web1 exec -- true
  assert_status 1
  assert_contains "$output" "no OCI runtime works"
  assert_contains "$output" "/bin/false: /bin/false run"
  sed -i 's|/bin/false|nonsense|' "$config"
  run vguest web1 exec -- true
  assert_status 2
  assert_contains "$output" "nonsense"
  sed -i 's|"nonsense"|"auto"|' "$config"
  run vguest web1 exec -- true
  assert_status 0
}

@test "a runtime that fails is not taken for the command" {
  local runtime=$T/runtime
  # Works for the probe only: "start" fails for all others.
  cat >"$runtime" <<'SCRIPT'
#!/bin/sh
case "$*" in
  *" run "*" web1-"*) exit 3 ;;
esac
exec "$(command -v runc || command -v crun)" "$@"
SCRIPT
  chmod 755 "$runtime"
  sed -i "s|{|{ \"runtime\": \"$runtime\",|" "$VGUEST_ROOT/guests/web1/config.json"
  layers web1 >"$T/before"
  run vguest web1 exec -- sh -c 'exit 3'
  assert_status 1
  assert_contains "$output" "run: exit status 3"
  layers web1 >"$T/after"
  diff "$T/before" "$T/after"
  assert_no_containers
}

@test "what the host unmounts while guests are in use is not kept mounted by them" {
  vguest -q web2 build -m clone -- -s base
  run_plain web2 'exec sleep 1000'
  mkdir "$T/disk"
  cat >"$T/host" <<'END'
mount -t tmpfs disk "$1/disk" || exit 9
vguest -q web2 start || exit 8
vguest -q web1 exec -- sh -c "echo ready; exec sleep $2" >"$1/ready" &
until grep -q ready "$1/ready"; do sleep 0.05; done
grep -lF " $1/disk " /proc/[0-9]*/mountinfo 2>/dev/null >"$1/before"
umount "$1/disk" || exit 7
grep -lF " $1/disk " /proc/[0-9]*/mountinfo 2>/dev/null >"$1/after"
pkill -f "sleep $2"
wait
vguest -q web2 stop --timeout 0
END
  unshare --mount --propagation shared bash "$T/host" "$T" "$NAP"
  [ "$(wc -l <"$T/before")" -ge 3 ]
  [ ! -s "$T/after" ]
}
