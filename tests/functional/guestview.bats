#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a running guest sees of itself: /run/vguest.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq nsenter
  GUESTS=$VGUEST_ROOT/guests
}

# store_list ROOT: what the list of the guest with the merged root ROOT must be, by find and the
# store's names alone.
store_list () {
  (
    cd "$VGUEST_ROOT/store"
    find ??/ -type f -o -type l | while read -r file; do
      stat -c '%i %n' "$file"
    done
  ) | sed 's|/||; s|-[0-9]*$||' | LC_ALL=C sort >"$T/objects"
}

@test "try" {
  make_debian_guests services sd
  local private=$GUESTS/sd/private
  mkdir -p "$private/etc/systemd/system"
  ln -s /dev/null "$private/etc/systemd/system/ssh.service"
  ln -s /dev/null "$private/etc/systemd/system/nginx.service"
  vguest sd start
  time inside sd cat /run/vguest/guest >&3
  time inside sd head -3 /run/vguest/unified >&3
  time inside sd sh -c "wc /run/vguest/unified; ls -la /run/vguest; grep vguest /proc/self/mountinfo" >&3
  inside sd sh -c "systemctl is-system-running; ls -la /run" >&3 || true
  cat $GUESTS/sd/log/console.log | tail -5 >&3
  ps ax | grep vguest: >&3
  vguest sd stop
  assert_no_guests_left
  false
}
