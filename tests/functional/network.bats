#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Networks of running guests: none, and CNI's with the real plugins.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/network

setup () {
  common_setup
  skip_unless_cni
  make_tools_guests 'web[1-2]'
  make_host_net
}

teardown () {
  stop_servers
  common_teardown
}

@test "host: the guest is in the network of the host" {
  vguest web1 start
  [ "$(stat -Lc %i "/proc/$(init_pid web1)/ns/net")" = "$(stat -Lc %i "$T/hostnet")" ]
  vguest web1 stop
}

@test "none: nothing but lo, and that is up" {
  configure web1 '.network = "none"'
  vguest web1 start
  run in_guest_net web1 ip -o link
  assert_contains "$output" "lo: <LOOPBACK,UP,LOWER_UP>"
  [ "$(wc -l <<<"$output")" = 1 ]
  vguest web1 stop
  assert_no_guests_left
}

@test "bridge: guests reach each other, the host reaches them, and all is released" {
  write_bridge test
  join web1 test '{ports: ["18080:80/tcp"]}'
  join web2 test '{addresses: ["10.213.40.77/24"], mac: "02:00:00:00:40:77", interface: "lan0"}'
  vguest web1 start
  vguest web2 start
  [ "$(address_of web1)" = 10.213.40.2 ]
  [ "$(address_of web2)" = 10.213.40.77 ]
  [ "$(leases test | sort | xargs)" = "10.213.40.2 10.213.40.77" ]
  run in_guest_net web2 ip -o addr show dev lan0
  assert_contains "$output" "inet 10.213.40.77/24"
  run in_guest_net web2 ip -o link show dev lan0
  assert_contains "$output" "mtu 1400"
  assert_contains "$output" "02:00:00:00:40:77"
  run in_guest_net web1 ip route
  assert_contains "$output" "default via 10.213.40.1"

  serve web1 80 "from web1"
  serve web2 80 "from web2"
  wait_for answers 10.213.40.2 80 "from web1"
  wait_for answers 10.213.40.77 80 "from web2"
  [ "$(in_guest_net web2 timeout 5 bash -c 'cat </dev/tcp/10.213.40.2/80')" = "from web1" ]
  # The port of the host, by the bridge's address, and by lo.
  answers 10.213.40.1 18080 "from web1"
  answers 127.0.0.1 18080 "from web1"
  stop_servers

  vguest web1 stop
  [ "$(leases test)" = 10.213.40.77 ]
  refute answers 10.213.40.1 18080 "from web1"
  refute grep -q -- --to-destination <(in_host_net iptables-save)
  vguest web2 stop
  assert_network_released test
  assert_no_guests_left
  # The bridge is the host's.
  ip link show vgt-test
  check_root
}

@test "a guest that halts by itself releases its network" {
  write_bridge test
  run_plain web1 'while [ ! -e /etc/halt ]; do sleep 0.1; done'
  join web1 test
  vguest web1 start
  [ "$(leases test)" = 10.213.40.2 ]
  touch "/proc/$(init_pid web1)/root/etc/halt"
  wait_for in_state web1 stopped
  wait_for assert_network_released test >/dev/null
  assert_no_guests_left
}

@test "name servers of the network are written, a link is left alone" {
  write_bridge test
  join web1 test
  join web2 test
  mkdir -p "$VGUEST_ROOT/guests/web2/private/etc"
  ln -s ../run/resolver "$VGUEST_ROOT/guests/web2/private/etc/resolv.conf"
  vguest web1,web2 start
  run cat "/proc/$(init_pid web1)/root/etc/resolv.conf"
  assert_contains "$output" "nameserver 10.213.40.1"
  assert_contains "$output" "search example.test"
  [ "$(readlink "/proc/$(init_pid web2)/root/etc/resolv.conf")" = ../run/resolver ]
  vguest web1,web2 stop
}

@test "after kill -9 of the monitor the next command releases the network" {
  local pid
  write_bridge test
  join web1 test '{ports: ["18080:80/tcp"]}'
  vguest web1 start
  pid=$(monitor_pid web1)
  kill -9 "$pid"
  wait_for in_state web1 stopped
  vguest web1 stop
  assert_network_released test
  assert_no_guests_left

  vguest web1 start
  kill -9 "$(monitor_pid web1)"
  wait_for in_state web1 stopped
  vguest web1 start
  serve web1 80 again
  wait_for answers 127.0.0.1 18080 again
  [ "$(leases test | wc -l)" = 1 ]
  stop_servers
  vguest web1 stop
  assert_network_released test
  assert_no_guests_left
}

@test "kill -9 of the monitor during start: at any moment all is released" {
  local start took moment monitor launcher
  write_bridge test
  join web1 test '{ports: ["18080:80/tcp"]}'
  start=$(date +%s%N)
  vguest web1 start
  took=$((($(date +%s%N) - start) / 1000000))
  vguest web1 stop --timeout 0
  for moment in {1..9}; do
    nsenter --net="$T/hostnet" -- vguest -q web1 start 3>&- 4>&- &
    launcher=$!
    sleep "$(printf '0.%03d' $((took * moment / 10 % 1000)))"
    monitor=$(pgrep -P "$launcher" || true)
    [ -z "$monitor" ] || kill -9 "$monitor" || true
    wait "$launcher" || true
    vguest -q web1 stop --timeout 0
    # host-local makes the file of an address and then writes into it who has it: when it is killed
    # in between nobody can tell whose the address is.
    find "$T/leases/test" -type f -size 0 -name '10.*' -delete
    assert_network_released test
    assert_no_guests_left
  done
}

@test "a guest that was killed can be replaced and deleted, and its network goes with it" {
  write_bridge test
  local verb
  for verb in "build -m clone --force -- -s tools" "delete --yes"; do
    join web1 test
    vguest web1 start
    kill -9 "$(monitor_pid web1)"
    wait_for in_state web1 stopped
    # shellcheck disable=SC2086 # words
    vguest web1 $verb
    assert_network_released test
  done
}

@test "the example of the documentation, with settings by set; its addresses are shown" {
  jq --arg dir "$T/leases" '.plugins[0].ipam.dataDir = $dir' "$SOURCE_DIR/etc/cni/vguest.conflist" \
    >"$T/cni/vguest.conflist"
  vguest web1 set network.cni=vguest network.addresses=10.88.64.10/20 network.ports+=8080:80/tcp
  vguest web1 start
  [ "$(vguest-stat web1 --json | jq -r '.guests[0].addresses[0]')" = 10.88.64.10/20 ]
  run vguest-stat web1
  assert_contains "$output" 10.88.64.10
  serve web1 80 example
  wait_for answers 127.0.0.1 8080 example
  stop_servers
  vguest web1 stop
  assert_network_released vguest
  run vguest web1 set network.ports+=8080
  assert_status 2
}

@test "a network that cannot be released is told, and tried again" {
  mkdir "$T/plugins"
  cp /usr/lib/cni/* "$T/plugins"
  export CNI_PATH=$T/plugins VGUEST_CNI_TIMEOUT=1
  write_bridge test
  join web1 test
  vguest web1 start
  # A plugin that hangs, and one that is gone.
  mv "$T/plugins/firewall" "$T/firewall"
  printf '#!/bin/sh\nsleep 60\n' >"$T/plugins/firewall"
  chmod +x "$T/plugins/firewall"
  run -1 vguest web1 stop
  assert_contains "$output" "release network test: plugin firewall: it did not end in 1 seconds"
  assert_contains "$output" "remove network.json from the guest's directory"
  run -3 vguest web1 status
  rm "$T/plugins/firewall"
  run -1 vguest web1 start
  assert_contains "$output" 'the plugin "firewall" is not in'
  run -3 vguest web1 status
  mv "$T/firewall" "$T/plugins/firewall"
  vguest web1 start
  vguest web1 stop
  assert_network_released test
  assert_no_guests_left
}

@test "ptp, and macvlan on a device of the host" {
  jq -n --arg dir "$T/leases" '
    {cniVersion: "0.4.0", name: "ptp", type: "ptp", ipMasq: true,
     ipam: {type: "host-local", dataDir: $dir, subnet: "10.213.41.0/24",
            routes: [{dst: "0.0.0.0/0"}]}}' >"$T/cni/20-ptp.conf"
  join web1 ptp
  vguest web1 start
  serve web1 80 "point to point"
  wait_for answers "$(address_of web1)" 80 "point to point"
  stop_servers
  vguest web1 stop
  assert_network_released ptp

  ip link add vgmaster type veth peer name vgmaster-peer
  ip link set vgmaster up
  ip link set vgmaster-peer up
  in_host_net ip link add vgprobe link vgmaster type macvlan 2>/dev/null ||
    skip "needs network devices of type macvlan; ptp passed"
  ip link del vgprobe
  jq -n --arg dir "$T/leases" '
    {cniVersion: "1.0.0", name: "mac", plugins: [
      {type: "macvlan", master: "vgmaster", mode: "bridge",
       ipam: {type: "host-local", dataDir: $dir, subnet: "10.213.42.0/24"}}]}' \
    >"$T/cni/30-mac.conflist"
  join web1 mac
  join web2 mac
  vguest web1,web2 start
  serve web1 80 "macvlan"
  wait_for reaches web2 "$(address_of web1)" 80 macvlan
  stop_servers
  vguest web1,web2 stop
  ip link del vgmaster
  assert_network_released mac
}

# reaches GUEST ADDRESS PORT TEXT: from another guest.
reaches () {
  [ "$(in_guest_net "$1" timeout 5 bash -c "cat </dev/tcp/$2/$3" 2>/dev/null)" = "$4" ]
}

@test "what is wrong with a network is told before anything is started" {
  write_bridge test
  join web1 tset
  run -1 vguest web1 start
  assert_contains "$output" 'there is no network "tset"'

  join web1 tes
  run -1 vguest web1 start
  assert_contains "$output" 'did you mean "test"?'

  jq '.plugins[1].type = "no-such-plugin" | .name = "bad"' "$T/cni/test.conflist" \
    >"$T/cni/bad.conflist"
  join web1 bad
  run -1 vguest web1 start
  assert_contains "$output" 'the plugin "no-such-plugin" is not in'
  assert_contains "$output" containernetworking-plugins

  jq -n '{cniVersion: "1.0.0", name: "dhcp", type: "bridge", bridge: "vgt-dhcp",
    ipam: {type: "dhcp", daemonSocketPath: "/nowhere/dhcp.sock"}}' >"$T/cni/dhcp.conf"
  join web1 dhcp
  run -1 vguest web1 start
  assert_contains "$output" 'the daemon of the dhcp plugin does not answer: start'
  refute ip link show vgt-dhcp

  run -3 vguest web1 status
  assert_no_guests_left
}

@test "a plugin that fails: its words are told, the guest is not started, nothing is left" {
  write_bridge test
  # An address that is not of the network.
  join web1 test '{ports: ["18080:80/tcp"], addresses: ["10.99.99.99/24"]}'
  run -1 vguest web1 start
  assert_contains "$output" "network test: plugin bridge: "
  assert_contains "$output" "10.99.99.99"
  [ "$(wc -l <<<"$output")" = 1 ]
  run -3 vguest web1 status
  assert_network_released test
  assert_no_guests_left

  # Addresses run out: one guest gets the only one.
  write_bridge small 10.213.43.0/30
  join web1 small
  join web2 small
  vguest web1 start
  run -1 vguest web2 start
  assert_contains "$output" "no IP addresses available"
  vguest web1 stop
  vguest web2 start
  vguest web2 stop
  assert_network_released small
  assert_no_guests_left
  check_root
}

@test "dhcp: the plugin's daemon finds the namespace" {
  skip_unless_program dnsmasq
  [ -x /usr/lib/cni/dhcp ] || skip "needs the CNI plugin dhcp"
  jq -n --arg socket "$T/dhcp.sock" '{cniVersion: "1.0.0", name: "lan", plugins: [
    {type: "bridge", bridge: "vgt-lan", ipam: {type: "dhcp", daemonSocketPath: $socket}}]}' \
    >"$T/cni/lan.conflist"
  ip link add vgt-lan type bridge
  ip link set vgt-lan up
  ip addr add 10.213.44.1/24 dev vgt-lan
  nsenter --net="$T/hostnet" -- dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 \
    --interface=vgt-lan --bind-interfaces --dhcp-range=10.213.44.100,10.213.44.109,1h --no-ping --user=root \
    --dhcp-leasefile="$T/dhcp.leases" --pid-file= --log-facility="$T/dnsmasq.log" 3>&- 4>&- &
  SERVERS+=($!)
  nsenter --net="$T/hostnet" -- /usr/lib/cni/dhcp daemon -socketpath "$T/dhcp.sock" \
    -pidfile "$T/dhcp.pid" >"$T/dhcp.log" 2>&1 3>&- 4>&- &
  SERVERS+=($!)
  wait_for test -S "$T/dhcp.sock"

  join web1 lan
  vguest web1 start
  assert_contains "$(address_of web1)" 10.213.44.10
  # The same name leads the host to the namespace.
  [ "$(stat -Lc %i "$(run_dir)/web1/net/ns")" = \
    "$(stat -Lc %i "/proc/$(init_pid web1)/ns/net")" ]
  vguest web1 stop
  [ -z "$(find "$VGUEST_ROOT/guests" -name network.json)" ]
  assert_no_guests_left
}
