#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who a guest is: what clones do not take along, what `check --identity` finds in two guests, and ssh
# host keys that are made when a guest without any starts.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  G=$VGUEST_ROOT/guests
}

# one_of_each DIR: a file of each kind below DIR.
one_of_each () {
  local file
  while read -r file; do
    mkdir -p "$1${file%/*}"
    echo "of the source: $file" >"$1$file"
  done <<'END'
/var/lib/dbus/machine-id
/etc/mailname
/etc/ssh/ssh_host_rsa_key
/etc/krb5.keytab
/etc/hostid
/var/lib/systemd/random-seed
/var/lib/systemd/credential.secret
/etc/dhcpcd.duid
/var/lib/systemd/network/duid
/var/lib/NetworkManager/secret_key
/etc/udev/rules.d/70-persistent-net.rules
/var/lib/cloud/data/instance-id
/var/lib/zypp/AnonymousUniqueId
/var/log/wtmp
/var/log/lastlog
END
  mkdir -p "$1/var/lib/dhcp" "$1/var/log/journal/0123456789abcdef0123456789abcdef" "$1/etc/apt/apt.conf.d"
  printf 'default-duid "\\000\\001";\nlease { x; }\n' >"$1/var/lib/dhcp/dhclient.leases"
  echo log >"$1/var/log/journal/0123456789abcdef0123456789abcdef/system.journal"
}

teardown () {
  vguest -q --all stop --timeout 0 >/dev/null 2>&1 || true
  common_teardown
}

@test "clones have nothing of a host's identity in common, full or thin" {
  make_small_template "$T/source"
  one_of_each "$T/source"
  truncate -s 200G "$T/source/var/log/lastlog"
  vtemplate -q import base "$T/source"
  vguest -q web1,web2 build -m clone -- -s base
  vguest -q web3 build -m clone --thin -- -s base
  vguest -q web4 build -m clone -- -s web1
  run vguest --all check --identity
  assert_status 0
  [ -z "$output" ]
  for guest in web1 web3; do
    for dir in private tree; do
      refute grep -rIl "of the source" "$G/$guest/$dir"
    done
  done
  [ "$(stat -c %s "$G/web1/private/var/log/lastlog")" = 0 ]
  [ ! -e "$G/web1/tree/var/log/journal/0123456789abcdef0123456789abcdef" ]
}

@test "check --identity finds what is a part of a file, or an id of packages" {
  make_small_template "$T/source"
  vtemplate -q import base "$T/source"
  vguest -q web1,web2,web3 build -m clone -- -s base
  one_of_each "$G/web1/private"
  one_of_each "$G/web3/private"
  echo more >>"$G/web3/private/var/lib/dhcp/dhclient.leases"
  printf '// x\nAPT::Machine-ID "77";\n' >"$G/web1/private/etc/apt/apt.conf.d/a"
  mkdir -p "$G/web2/private/etc/apt/apt.conf.d"
  printf 'APT::Machine-ID "77"; // y\n' >"$G/web2/private/etc/apt/apt.conf.d/b"
  run vguest --all check --identity
  assert_status 3
  assert_contains "$output" "/etc/apt/apt.conf.d/a: the same in web1, with another path"
  assert_contains "$output" "/etc/apt/apt.conf.d/b: the same in web2, with another path"
  vguest --json web1 check --identity >"$T/json" || [ $? = 3 ]
  jq -r '.shared[].kind' "$T/json" | sort -u | tr '\n' ' ' >"$T/kinds"
  [ "$(cat "$T/kinds")" = "cloud-instance credential-secret duid host-id kerberos-key login-log machine-id mail-name network-key package-id phasing-id random-seed ssh-host-key udev-names " ]
}

@test "a guest with an sshd and no host keys gets its own when it starts" {
  make_tools_template "$T/tools"
  printf '#!/bin/sh\n' >"$T/tools/usr/sbin/sshd"
  cat >"$T/tools/usr/bin/ssh-keygen" <<'END'
#!/bin/sh
[ "$1" = -A ] || exit 1
[ ! -e /etc/broken ] || { echo "out of luck" >&2; exit 5; }
for kind in rsa ed25519; do
  cat /proc/sys/kernel/random/uuid >/etc/ssh/ssh_host_${kind}_key
  chmod 0600 /etc/ssh/ssh_host_${kind}_key
done
END
  chmod 0755 "$T/tools/usr/sbin/sshd" "$T/tools/usr/bin/ssh-keygen"
  touch "$T/tools/etc/ssh/sshd_config"
  vtemplate -q import keys "$T/tools"
  vguest -q web1,web2 build -m clone -- -s keys
  run_plain web1 'exec sleep 1000'
  run_plain web2 'exec sleep 1000'
  [ ! -e "$G/web1/private/etc/ssh/ssh_host_rsa_key" ]
  vguest -q web1,web2 start
  [ "$(stat -c %a "$G/web1/private/etc/ssh/ssh_host_rsa_key")" = 600 ]
  key=$(vguest web1 exec -- cat /etc/ssh/ssh_host_ed25519_key)
  [ -n "$key" ]
  [ "$key" != "$(vguest web2 exec -- cat /etc/ssh/ssh_host_ed25519_key)" ]
  run vguest --all check --identity
  assert_status 0
  # They stay.
  vguest -q web1 restart
  [ "$key" = "$(vguest web1 exec -- cat /etc/ssh/ssh_host_ed25519_key)" ]
  vguest -q --all stop --timeout 0
  # Who cannot make them starts all the same.
  rm "$G"/web2/private/etc/ssh/ssh_host_*
  touch "$G/web2/private/etc/broken"
  run vguest web2 start
  assert_status 0
  [[ $output = *"warning: guest web2: make ssh host keys: ssh-keygen -A ended with exit status 5: out of luck"* ]]
}
