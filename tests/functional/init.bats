#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The styles of init, each with a real Debian: it comes up, its service is stopped in order (it
# leaves a mark), a restart from inside starts it again, a halt from inside stops it.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq nsenter
}

# An init script for sysv-rc and OpenRC, in runlevel 2.
put_init_script () {
  put "$1" etc/init.d/mark 755 <<'SCRIPT'
#!/bin/sh
### BEGIN INIT INFO
# Provides: mark
# Required-Start: $local_fs
# Required-Stop: $local_fs
# Default-Start: 2
# Default-Stop: 0 6
### END INIT INFO
case $1 in
  start) mkdir -p /var/log; echo started >>/var/log/mark ;;
  stop) echo stopped >>/var/log/mark ;;
esac
SCRIPT
}

mark () {
  cat "$VGUEST_ROOT/guests/$1/private/var/log/mark" 2>/dev/null
}

marked () {
  [ "$(mark "$1")" = "$2" ]
}

# /run/vguest outlives what init does to /run at boot.
sees_itself () {
  inside "$1" grep -qx "name=$1" /run/vguest/guest
  inside "$1" grep -Eq '^[0-9a-f]{64} [0-9]+ /etc/debian_version$' /run/vguest/unified
  inside "$1" grep -q ' /run/vguest ro,' /proc/self/mountinfo
}

# The style was detected, and stop is orderly, quick and complete.
start_and_stop () {
  vguest "$1" start
  [ "$(vguest "$1" status --json | jq -r '.guests[0].init')" = "$2" ]
  wait_for marked "$1" started
  sees_itself "$1"
  vguest "$1" stop
  marked "$1" "started
stopped"
  assert_no_guests_left
}

# A command that makes init end everything may be ended with it (143: SIGTERM).
inside_until_end () {
  local status=0
  inside "$@" || status=$?
  [ "$status" = 0 ] || [ "$status" = 143 ]
}

# reboot and halt inside, by the commands given.
reboot_and_halt () {
  vguest "$1" start
  wait_for logged "$1" "$2"
  local pid
  wait_for marked "$1" "started
stopped
started"
  pid=$(vguest "$1" status --json | jq '.guests[0].monitor_pid')
  # shellcheck disable=SC2086 # words
  inside_until_end "$1" $3
  wait_for marked "$1" "started
stopped
started
stopped
started"
  logged "$1" "the guest restarts"
  [ "$(vguest "$1" status --json | jq '.guests[0].monitor_pid')" = "$pid" ]
  # shellcheck disable=SC2086 # words
  inside_until_end "$1" $4
  wait_for in_state "$1" stopped
  wait_for assert_no_guests_left
  [ "$(mark "$1" | tail -n 1)" = stopped ]
}

is_running () {
  # shellcheck disable=SC2154
  state=$(inside "$1" systemctl is-system-running)
  [ "$state" = running ]
}

@test "systemd: everything runs, stop is orderly, reboot and halt inside" {
  make_debian_guests services sd
  put sd etc/systemd/system/mark.service 644 <<'UNIT'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo started >>/var/log/mark'
ExecStop=/bin/sh -c 'echo stopped >>/var/log/mark'
[Install]
WantedBy=multi-user.target
UNIT
  mkdir -p "$VGUEST_ROOT"/guests/sd/private/etc/systemd/system/{multi-user,ssh}.target.wants
  ln -s ../mark.service "$VGUEST_ROOT/guests/sd/private/etc/systemd/system/multi-user.target.wants/"
  # A clone has no host keys, and the host's port 22 is taken or not.
  ln -s /dev/null "$VGUEST_ROOT/guests/sd/private/etc/systemd/system/ssh.service"
  ln -s /dev/null "$VGUEST_ROOT/guests/sd/private/etc/systemd/system/nginx.service"
  vguest sd start
  [ "$(vguest sd status --json | jq -r '.guests[0].init')" = systemd ]
  wait_for is_running sd
  inside sd systemctl is-active dbus cron mark
  # Its cgroup is its own, and the top of what it sees.
  inside sd sh -c 'test -d /sys/fs/cgroup/systemd/system.slice || test -d /sys/fs/cgroup/system.slice'
  inside sd systemctl reboot
  wait_for marked sd "started
stopped
started"
  logged sd "the guest restarts"
  wait_for is_running sd
  sees_itself sd
  local start=$SECONDS
  vguest sd stop
  [ $((SECONDS - start)) -lt 20 ]
  [ "$(mark sd | tail -n 1)" = stopped ]
  assert_no_guests_left
  vguest sd start
  wait_for is_running sd
  inside sd systemctl poweroff
  wait_for in_state sd stopped
  wait_for assert_no_guests_left
  check_root
}

@test "sysvinit" {
  make_debian_guests sysvinit sv
  put_init_script sv
  # Runlevels by their links alone, not by what insserv has noted.
  put sv etc/init.d/.legacy-bootordering 644 </dev/null
  mkdir -p "$VGUEST_ROOT"/guests/sv/private/etc/rc{0,2,6}.d
  ln -s ../init.d/mark "$VGUEST_ROOT/guests/sv/private/etc/rc2.d/S01mark"
  ln -s ../init.d/mark "$VGUEST_ROOT/guests/sv/private/etc/rc0.d/K01mark"
  ln -s ../init.d/mark "$VGUEST_ROOT/guests/sv/private/etc/rc6.d/K01mark"
  start_and_stop sv sysvinit
  reboot_and_halt sv "Entering runlevel: 2" "shutdown -r now" "shutdown -h now"
}

@test "openrc: its own init" {
  make_debian_guests openrc rc
  mkdir -p "$VGUEST_ROOT"/guests/rc/private/usr/sbin "$VGUEST_ROOT"/guests/rc/private/etc/runlevels/default
  ln -s openrc-init "$VGUEST_ROOT/guests/rc/private/usr/sbin/init"
  put_init_script rc
  ln -s /etc/init.d/mark "$VGUEST_ROOT/guests/rc/private/etc/runlevels/default/mark"
  start_and_stop rc openrc
}

@test "busybox" {
  make_debian_guests sysvinit bb
  mkdir -p "$VGUEST_ROOT"/guests/bb/private/usr/sbin
  ln -s ../bin/busybox "$VGUEST_ROOT/guests/bb/private/usr/sbin/init"
  put bb etc/inittab 644 <<'INITTAB'
::sysinit:/bin/sh -c 'mkdir -p /var/log; echo started >>/var/log/mark; echo is up'
::respawn:/bin/sleep 1000
::shutdown:/bin/sh -c 'echo stopped >>/var/log/mark'
INITTAB
  start_and_stop bb busybox
  reboot_and_halt bb "is up" "busybox reboot" "busybox poweroff"
}

@test "a guest without an init is kept alive; one with a strange init is told of" {
  make_tools_guests 'web[1-2]'
  vguest web1 start
  [ "$(vguest web1 status --json | jq -r '.guests[0].init')" = none ]
  inside web1 true
  vguest web1 stop
  put web2 sbin/init 755 </bin/true
  run vguest web2 start
  assert_status 2
  assert_contains "$output" "guest web2: its /sbin/init is none that vguest knows"
  configure web2 '.init = "plain" | .command = ["nosuch", "x"]'
  run vguest web2 start
  assert_status 1
  assert_contains "$output" "nosuch"
  # A link that leads out of the guest leads nowhere.
  rm "$VGUEST_ROOT"/guests/web2/*/sbin/init
  mkdir -p "$VGUEST_ROOT/guests/web2/private/sbin"
  ln -s ../../../../../../lib/systemd/systemd "$VGUEST_ROOT/guests/web2/private/sbin/init"
  configure web2 'del(.init, .command)'
  vguest web2 start
  [ "$(vguest web2 status --json | jq -r '.guests[0].init')" = none ]
  vguest web2 stop
  assert_no_guests_left
}
