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

# own_files GUEST: what a clone has of its own, with what it sees of each.
own_files () {
  vguest "$1" exec -- sh -c 'cd / && stat -c "%n %h %a %u:%g %y" etc/crontab etc/cron.d/[ab] \
    var/spool/cron/crontabs/root var/log/dpkg.log var/log/apt/term.log var/lib/postfix/lock && cat etc/crontab'
}

@test "what programs refuse with several links has one in each clone" {
  make_tools_template "$T/source"
  local tables='etc/crontab etc/cron.d/a etc/cron.d/b' rest
  rest='var/spool/cron/crontabs/root var/log/dpkg.log var/log/apt/term.log var/lib/postfix/lock'
  for file in $tables $rest etc/other; do
    mkdir -p "$T/source/$(dirname "$file")"
    echo "* * * * * root true $file" >"$T/source/$file"
    touch -d '2020-01-02 03:04:05.678' "$T/source/$file"
  done
  chmod 0600 "$T/source/var/spool/cron/crontabs/root"
  chmod 01730 "$T/source/var/spool/cron/crontabs"
  chown 1:4 "$T/source/var/log/dpkg.log"
  setfattr -n user.note -v x "$T/source/etc/crontab"
  ln -s ../crontab "$T/source/etc/cron.d/link"
  touch -d '2021-01-01' "$T/source/etc/cron.d" "$T/source/etc"
  vtemplate -q import base "$T/source"
  vguest -q full build -m clone -- -s base
  vguest -q thin build -m clone --thin -- -s base
  vguest -q of-full,of-full2 build -m clone -- -s full
  vguest -q of-thin build -m clone --thin -- -s thin
  vguest -q whole build -m clone -- -s thin
  own_files full >"$T/expected"
  [ "$(grep -c ' 1 ' "$T/expected")" = 7 ]
  grep -qF 'var/spool/cron/crontabs/root 1 600 0:0 2020-01-02 03:04:05.678' "$T/expected"
  grep -qF 'var/log/dpkg.log 1 644 1:4 2020-01-02' "$T/expected"
  for guest in thin of-full of-full2 of-thin whole; do
    own_files "$guest" | diff "$T/expected" -
    [ "$(getfattr --only-values -n user.note "$G/$guest/private/etc/crontab")" = x ]
    [ "$(stat -c '%a %Y' "$G/$guest/private/var/spool/cron/crontabs")" = \
      "$(stat -c '%a %Y' "$T/source/var/spool/cron/crontabs")" ]
    [ "$(stat -c %Y "$G/$guest/private/etc/cron.d")" = "$(date -d 2021-01-01 +%s)" ]
    [ ! -e "$G/$guest/private/etc/other" ]
  done
  same_inode "$G"/{full,of-full}/tree/etc/other
  # They stay that, and are what a full one has them in place of.
  vguest -q thin thicken
  vhashify -q --all
  for guest in full thin; do
    own_files "$guest" | diff "$T/expected" -
    [ ! -e "$G/$guest/tree/etc/crontab" ]
  done
  check_root
  printf 'own etc/crontab\n' >"$T/policy"
  VGUEST_CLONE_POLICY=$T/policy run vguest more build -m clone -- -s base
  assert_status 2
  [[ $output = *"policy, line 1: \"own\" wants a path from \"/\" without \"**\", not \"etc/crontab\""* ]]
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
