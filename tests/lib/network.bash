# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # bats sets status and output
# Networks for the functional tests: `load ../lib/network` behind common and guests.
#
# All runs in a network namespace that stands for the host's, so that bridges and firewall rules of
# tests are never the real host's: the programs are functions that enter it.

SERVERS=()
HOST_NET_PROGRAMS='ip iptables ip6tables curl ping ssh-keyscan'

skip_unless_cni () {
  local kind
  skip_unless_runtime
  skip_unless_program ip iptables jq nsenter unshare python3
  [ -x /usr/lib/cni/bridge ] || skip "needs containernetworking-plugins in /usr/lib/cni"
  unshare --net true 2>/dev/null || skip "needs network namespaces"
  for kind in bridge veth; do
    has_device_type "$kind" || skip "needs network devices of type $kind"
  done
  unshare --net iptables -t nat -A POSTROUTING -j MASQUERADE 2>/dev/null ||
    skip "needs iptables that can masquerade"
}

# has_device_type TYPE [ARGUMENT…]: can the kernel make them?
has_device_type () {
  unshare --net ip link add vgprobe type "$@" 2>/dev/null
}

# make_host_net: the namespace, its lo up, and a directory of its own for configurations.
make_host_net () {
  local program
  touch "$T/hostnet"
  unshare --net="$T/hostnet" ip link set lo up
  mkdir "$T/cni"
  export CNI_CONF_PATH=$T/cni
  for program in vguest $HOST_NET_PROGRAMS; do
    eval "$program () { in_host_net $program \"\$@\"; }"
  done
}

in_host_net () {
  nsenter --net="$T/hostnet" -- "$@"
}

# write_bridge NAME [SUBNET]: a configuration with all that is usual.
write_bridge () {
  jq -n --arg name "$1" --arg subnet "${2:-10.213.40.0/24}" --arg dir "$T/leases" \
    --arg tuning "$T/tuning" '
    {cniVersion: "1.0.0", name: $name, plugins: [
      {type: "bridge", bridge: ("vgt-" + $name), isGateway: true, ipMasq: true, hairpinMode: true,
       capabilities: {ips: true, mac: true},
       ipam: {type: "host-local", dataDir: $dir, ranges: [[{subnet: $subnet}]],
              routes: [{dst: "0.0.0.0/0"}]},
       dns: {nameservers: ["10.213.40.1"], search: ["example.test"]}},
      {type: "tuning", dataDir: $tuning, mtu: 1400},
      {type: "firewall", backend: "iptables"},
      {type: "portmap", capabilities: {portMappings: true}}]}' >"$T/cni/$1.conflist"
}

# join NAME NETWORK [FILTER]: the guest's network, with what FILTER adds to it ({mac: …}).
join () {
  configure "$1" ".network = ({cni: \"$2\"} + ${3:-{\}})"
}

init_pid () {
  vguest "$1" status --json | jq -r '.guests[0].init_pid'
}

monitor_pid () {
  vguest "$1" status --json | jq -r '.guests[0].monitor_pid'
}

# in_guest_net NAME COMMAND…: a command of the host in the guest's network namespace.
in_guest_net () {
  local guest=$1
  shift
  nsenter --net="/proc/$(init_pid "$guest")/ns/net" -- "$@"
}

# address_of NAME: the first one, without the prefix.
address_of () {
  vguest "$1" status --json | jq -r '.guests[0].addresses[0] // "" | sub("/.*"; "")'
}

# serve NAME PORT TEXT: answers every connection to the guest's port with TEXT, until stop_servers.
serve () {
  local pid
  pid=$(init_pid "$1")
  # No function: it would be its shell that gets killed.
  nsenter --net="/proc/$pid/ns/net" -- python3 -c '
import socket, sys
s = socket.create_server(("", int(sys.argv[1])))
while True:
    c, _ = s.accept()
    c.sendall(sys.argv[2].encode())
    c.close()
' "$2" "$3" >/dev/null 2>&1 3>&- 4>&- &
  SERVERS+=($!)
}

stop_servers () {
  [ "${#SERVERS[@]}" = 0 ] && return
  kill "${SERVERS[@]}" 2>/dev/null || true
  wait "${SERVERS[@]}" 2>/dev/null || true
  SERVERS=()
}

# answers ADDRESS PORT TEXT [COMMAND…]: does the port answer with TEXT, as seen from the host?
answers () {
  local address=$1 port=$2 text=$3
  [ "$(in_host_net timeout 5 bash -c "cat </dev/tcp/$address/$port" 2>/dev/null)" = "$text" ]
}

leases () {
  find "$T/leases/$1" -type f ! -name 'last_reserved*' ! -name lock -printf '%f\n' 2>/dev/null || true
}

# assert_network_released NETWORK: no address, rule, device or note of a guest is left.
assert_network_released () {
  local id
  id=$(root_id)
  if [ -n "$(leases "$1")" ]; then
    echo "an address was left:"
    (cd "$T/leases/$1" && head -v -c 200 -- *)
    return 1
  fi
  if in_host_net iptables-save | grep -e "-$id" -e --to-destination -e '10\.213\.[0-9]*\.[2-9]/32'
  then
    echo "a firewall rule was left"
    return 1
  fi
  if ip -o link | grep -e ' veth' -e ' eth0'; then
    echo "a device was left"
    return 1
  fi
  if find "$VGUEST_ROOT/guests" -name network.json | grep .; then
    echo "a note was left"
    return 1
  fi
}
