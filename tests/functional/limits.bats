#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the settings of a guest do to it when it runs: limits, capabilities, mounts, devices.

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
  [ ! -e "$VGUEST_ROOT/guests/web1" ] || vguest -q web1 stop --timeout 0 || true
  common_teardown
}

# Each file of the guest's cgroup called so: version 1 or 2.
group_file () {
  find /sys/fs/cgroup -path "*/vguest/web1-$(root_id)*/*" ! -path '*.monitor/*' \
    \( -name "$1" -o -name "${2:-$1}" \) -exec cat {} +
}

@test "a memory limit kills in the guest only" {
  run vguest web1 set memory=48M swap=0
  assert_status 0
  vguest web1 start
  # It kills the shell, and neither the guest's init nor anything outside.
  run vguest web1 exec -- sh -c 'x=1234567890123456; while :; do x=$x$x; done'
  assert_status 137
  run vguest web1 status
  assert_status 0
  run vguest web1 exec -- true
  assert_status 0
  [ "$(group_file memory.limit_in_bytes memory.max)" = $((48 << 20)) ]
}

@test "a fork bomb stops at pids" {
  vguest web1 set pids=40
  vguest web1 start
  run vguest web1 exec -- sh -c 'i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i + 1)); done'
  [ "$status" -ne 0 ]
  [ "$(group_file pids.current)" -le 40 ]
  run vguest web1 status
  assert_status 0
  run vguest web1 stop
  assert_status 0
  assert_no_guests_left
}

throttled () {
  group_file cpu.stat | awk '$1 == "nr_throttled" { n += $2 } END { exit n == 0 }'
}

@test "cpus are bounded" {
  vguest web1 set cpus=0.1 cpu_weight=50
  vguest web1 start
  # On a busy host it may take a while until the guest gets so much.
  vguest web1 exec -- sh -c 'while :; do :; done' 3>&- &
  wait_for throttled
  kill $!
  [ "$(group_file cpu.shares cpu.weight)" = 512 ] || [ "$(group_file cpu.weight)" = 50 ]
}

@test "processes have the rlimits, capabilities and variables that are set" {
  vguest web1 set rlimits.nofile=200 rlimits.core=0 rlimits.locks=100:200 capabilities.drop=MKNOD,NET_RAW \
    capabilities.add=SYS_NICE 'environment.GREETING=good day'
  run_plain web1 'echo "$GREETING" >/var/log/greeting; ulimit -n >>/var/log/greeting; sleep 100'
  vguest web1 start
  wait_for vguest web1 exec -- sh -c '[ "$(cat /var/log/greeting)" = "good day
200" ]'
  run vguest web1 exec -- sh -c 'ulimit -n; ulimit -c; cat /proc/self/limits'
  assert_contains "$output" $'200\n0\n'
  [[ $output =~ "Max file locks"\ +100\ +200 ]]
  run vguest web1 exec -- sh -c 'while read -r k v; do [ "$k" != CapBnd: ] || echo "$v"; done \
    </proc/self/status'
  # CAP_NET_RAW is 13, CAP_SYS_NICE 23, CAP_MKNOD 27, CAP_KILL 5.
  [ $((0x$output >> 13 & 1)) = 0 ]
  [ $((0x$output >> 27 & 1)) = 0 ]
  [ $((0x$output >> 23 & 1)) = 1 ]
  [ $((0x$output >> 5 & 1)) = 1 ]
  vguest web1 stop
  vguest web1 set capabilities.drop=ALL capabilities.add=KILL
  vguest web1 start
  run vguest web1 exec -- sh -c 'while read -r k v; do [ "$k" != CapEff: ] || echo "$v"; done \
    </proc/self/status'
  [ "$output" = 0000000000000020 ]
}

@test "mounts: binds, read-only, optional ones, tmpfs; none leaves a trace in the guest" {
  mkdir "$T/data" "$T/fixed"
  echo "of the host" >"$T/data/file"
  echo "a file" >"$T/file"
  vguest web1 set "mounts=$T/data:/srv/data" "mounts+=$T/fixed:/mnt/new/fixed:ro" \
    "mounts+=$T/file:/etc/one-file:ro" "mounts+=$T/nothing:/srv/nothing:optional" \
    mounts+=tmpfs:/scratch:size=1M,mode=700
  vguest web1 start
  run vguest web1 exec -- cat /srv/data/file /etc/one-file
  [ "$output" = $'of the host\na file' ]
  vguest web1 exec -- sh -c 'echo back >/srv/data/back'
  [ "$(cat "$T/data/back")" = back ]
  run vguest web1 exec -- touch /mnt/new/fixed/x
  assert_contains "$output" "Read-only"
  run vguest web1 exec -- sh -c 'head -c 2000000 /dev/zero >/scratch/x'
  [ "$status" -ne 0 ]
  run vguest web1 exec -- ls -d /srv/nothing
  [ "$status" -ne 0 ]
  vguest web1 stop
  [ "$(cat "$T/data/file")" = "of the host" ]
  for path in srv/data mnt etc/one-file scratch; do
    refute [ -e "$VGUEST_ROOT/guests/web1/private/$path" ]
    refute [ -e "$VGUEST_ROOT/guests/web1/tree/$path" ]
  done
  assert_no_guests_left
}

@test "a mount whose source is missing refuses the start, and says so" {
  vguest web1 set "mounts=$T/nothing:/srv/nothing"
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "web1"
  assert_contains "$output" "mounts: the source $T/nothing"
  assert_no_guests_left
}

@test "a target that is a hostile symlink stays in the guest" {
  mkdir "$T/data" "$T/outside"
  mkdir -p "$VGUEST_ROOT/guests/web1/private/srv"
  ln -s "$T/outside" "$VGUEST_ROOT/guests/web1/private/srv/link"
  vguest web1 set "mounts=$T/data:/srv/link/deep"
  run vguest web1 start
  [ -z "$(ls -A "$T/outside")" ]
  vguest web1 stop
  [ -z "$(ls -A "$T/outside")" ]
}

@test "devices and sysctls" {
  [ -c /dev/loop-control ] || [ -c /dev/fuse ] || skip "needs /dev/fuse or /dev/loop-control"
  device=/dev/fuse
  [ -c $device ] || device=/dev/loop-control
  vguest web1 start
  run vguest web1 exec -- ls $device
  [ "$status" -ne 0 ]
  vguest web1 stop
  vguest web1 set devices=$device:rw network=none sysctls.net.ipv4.ip_forward=1 \
    sysctls.kernel.msgmax=9000
  vguest web1 start
  run vguest web1 exec -- sh -c "exec 3<>$device && cat /proc/sys/net/ipv4/ip_forward \
    /proc/sys/kernel/msgmax"
  assert_status 0
  [ "$output" = $'1\n9000' ]
  vguest web1 stop
  refute [ -e "$VGUEST_ROOT/guests/web1/private$device" ]
}

@test "a limit that the host cannot give is refused by name" {
  [ "$(awk '/CapBnd/ { print $2 }' /proc/self/status)" != 000001ffffffffff ] ||
    skip "this host may raise every limit"
  vguest web1 set rlimits.nofile=1000000000
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "rlimits: RLIMIT_NOFILE"
}
