#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What running guests try against their host, and what happens to those who look after them.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  make_tools_guests 'web[1-2]'
}

# own_init NAME SCRIPT: an init of its own in the style of systemd.
own_init () {
  configure "$1" '.init = "systemd"'
  printf '#!/bin/sh\n%s\n' "$2" | put "$1" sbin/init 755
}

# into NAME PROGRAM…: programs of the host, with their libraries.
into () {
  local name=$1 program file
  shift
  for program; do
    program=$(type -P "$program")
    put "$name" "bin/${program##*/}" 755 <"$program"
    while read -r file; do
      [ -e "$VGUEST_ROOT/guests/$name/tree$file" ] || put "$name" "${file#/}" 755 <"$file"
    done < <(ldd "$program" | grep -o '/[^ ]*')
  done
}

# limits NAME: those of its memory, as the host sees them.
limits () {
  cat /sys/fs/cgroup{,/memory}/vguest/"$1-$(root_id)"/memory.{max,limit_in_bytes} 2>/dev/null || true
}

@test "a guest with a writable cgroup cannot raise its limits" {
  own_init web1 'trap "exit 0" 37; while :; do sleep 0.05; done'
  vguest web1 set memory=64M pids=100
  vguest web1 start
  run vguest web1 exec -- sh -c 'for file in memory.max pids.max memory/memory.limit_in_bytes \
      pids/pids.max cpu/cpu.shares; do
      [ ! -e "/sys/fs/cgroup/$file" ] || echo 99999 >"/sys/fs/cgroup/$file" && echo "wrote $file"
    done 2>/dev/null; mkdir /sys/fs/cgroup/mine /sys/fs/cgroup/systemd/mine 2>/dev/null && echo made'
  refute grep -F "wrote memory/" <<<"$output"
  refute grep -F "wrote pids/" <<<"$output"
  [ "$(limits web1)" = $((64 << 20)) ]
  vguest web1 stop
  assert_no_guests_left
}

@test "nor by mounting the hierarchies anew in a user namespace" {
  skip_unless_program unshare
  into web1 unshare
  vguest web1 set memory=64M
  vguest web1 start
  run vguest web1 exec -- unshare -UrmC true
  [ "$status" -ne 0 ]
  run vguest web1 exec -- unshare -UrmC sh -c '
    mkdir -p /tmp/x
    mount -t cgroup2 cgroup2 /tmp/x || mount -t cgroup -o memory cgroup /tmp/x || exit 9
    echo -1 >/tmp/x/memory.limit_in_bytes || echo max >/tmp/x/memory.max'
  [ "$status" -ne 0 ]
  [ "$(limits web1)" = $((64 << 20)) ]
}

@test "a file of the kernel is no passwd" {
  vguest web1 start
  vguest web1 exec -- ln -sf /proc/kmsg /etc/passwd
  run timeout 10 vguest web1 exec --user nobody -- id
  assert_status 1
  assert_contains "$output" "/etc/passwd is not a file"
  vguest web1 stop
}

@test "a command has three descriptors, and none of the host's environment" {
  vguest web1 start
  # The fourth is that of ls on the directory itself.
  run env SECRET=of-the-host vguest web1 exec -- sh -c 'ls /proc/self/fd | cat; env; ls -l /proc/1/fd' 9</etc
  assert_status 0
  [ "$(head -n 4 <<<"$output" | tr '\n' ' ')" = "0 1 2 3 " ]
  refute grep -e SECRET -e "$VGUEST_ROOT" -e /run/vguest <<<"$output"
}

@test "a stop while the guest restarts itself is not lost" {
  skip_unless_program perl
  [ "$(uname -m)" = x86_64 ] || skip "knows the number of reboot on x86_64 only"
  into web1 perl
  own_init web1 'echo up; perl -e "syscall(169, 0xfee1dead, 672274793, 0x01234567)"; sleep 100'
  vguest web1 start
  wait_for logged web1 "the guest restarts"
  local start=$SECONDS
  vguest web1 stop --timeout 10
  [ $((SECONDS - start)) -lt 8 ]
  assert_no_guests_left
}

@test "a monitor that hangs is killed when its time is over" {
  vguest web1 start
  kill -STOP "$(vguest web1 status --json | jq '.guests[0].monitor_pid')"
  run timeout 60 vguest web1 stop --timeout 0
  assert_status 0
  assert_no_guests_left
  vguest web1 start
  vguest web1 stop
  check_root
}

@test "a symlink in the place of /dev leads no runtime to the host" {
  local dir=$VGUEST_ROOT/guests/web1
  mkdir "$T/evil"
  rm -rf "$dir/tree/dev" "$dir/private/dev"
  ln -s "/../../../..$T/evil" "$dir/private/dev"
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "/dev in the guest is not a directory"
  run vguest web1 exec -- true
  assert_status 1
  assert_contains "$output" "/dev in the guest is not a directory"
  [ -z "$(ls -A "$T/evil")" ]
  assert_no_guests_left
}
