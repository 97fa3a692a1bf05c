#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests of one template with sshd, cron and nginx of their own, at the same time, at addresses of
# their own.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/network

setup () {
  common_setup
  skip_unless_cni
  skip_unless_program curl ssh-keyscan lsns
  make_debian_guests services 'web[1-3]'
  make_host_net
  write_bridge test
}

# furnish NAME: a page and a cron job of its own; keys of its own at the first start of sshd, as a
# clone does not take those of its template.
furnish () {
  echo "page of $1" | put "$1" /var/www/html/index.html 0644
  echo "@reboot root echo job of $1 >/var/log/job" | put "$1" /etc/cron.d/job 0644
  mkdir -p "$VGUEST_ROOT/guests/$1/private/etc/systemd/system/ssh.service.d"
  printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n' |
    put "$1" /etc/systemd/system/ssh.service.d/keys.conf 0644
  join "$1" test
}

net_namespaces () {
  lsns --noheadings --type net --output NS | sort
}

serves () {
  [ "$(curl -s --max-time 5 "http://$(address_of "$1")/")" = "page of $1" ]
}

has_ssh () {
  ssh-keyscan -T 5 -t ed25519 "$(address_of "$1")" 2>/dev/null | grep -q ssh-ed25519
}

# rebooted NAME PID: has it another first process than that?
rebooted () {
  local pid
  pid=$(init_pid "$1")
  [ "$pid" -gt 0 ] && [ "$pid" != "$2" ]
}

@test "three guests with sshd, cron and nginx: reached from the host, nothing is left" {
  local guest processes namespaces addresses
  for guest in web1 web2 web3; do
    furnish "$guest"
  done
  namespaces=$(net_namespaces)

  vguest 'web[1-3]' start
  addresses=$(for guest in web1 web2 web3; do address_of "$guest"; done)
  [ "$(sort -u <<<"$addresses" | grep -c '^10\.213\.40\.[2-9]$')" = 3 ]
  for guest in web1 web2 web3; do
    wait_for serves "$guest"
    wait_for has_ssh "$guest"
    wait_for grep -qx "job of $guest" "$VGUEST_ROOT/guests/$guest/private/var/log/job"
    [ "$(inside "$guest" systemctl is-system-running --wait)" = running ]
    processes=$(inside "$guest" ps -e -o comm=)
    assert_contains "$processes" sshd
    assert_contains "$processes" cron
    assert_contains "$processes" nginx
    # Neither cron nor logrotate takes files that have several hard links.
    inside "$guest" grep -q . /etc/cron.d/e2scrub_all /etc/logrotate.d/dpkg
    refute inside "$guest" sh -c 'journalctl --quiet -u cron | grep "HARD LINKS"'
    inside "$guest" logrotate --force /etc/logrotate.conf
  done
  # Keys of their own, and one inode for each program.
  [ "$(for guest in web1 web2 web3; do
    ssh-keyscan -T 5 -t ed25519 "$(address_of "$guest")" 2>/dev/null
  done | cut -d' ' -f3 | sort -u | wc -l)" = 3 ]
  same_inode "$VGUEST_ROOT"/guests/web{1,2,3}/tree/usr/sbin/nginx
  # One guest reaches another.
  in_guest_net web1 curl -s --max-time 5 "http://$(address_of web2)/" | grep -qx "page of web2"

  vguest 'web[1-3]' stop
  for guest in web1 web2 web3; do
    logged "$guest" "Reached target" || logged "$guest" "Power-Off"
  done
  [ "$(net_namespaces)" = "$namespaces" ]
  assert_network_released test
  assert_no_guests_left

  # Again, at once: what they wrote is there, and addresses are free.
  vguest 'web[1-3]' start
  for guest in web1 web2 web3; do
    wait_for serves "$guest"
  done
  # A reboot inside is not the end of the network.
  addresses=$(address_of web1)
  processes=$(init_pid web1)
  inside web1 systemctl reboot || true
  wait_for rebooted web1 "$processes"
  wait_for serves web1
  [ "$(address_of web1)" = "$addresses" ]
  vguest 'web[1-3]' stop
  assert_network_released test
  assert_no_guests_left
  check_root
}
