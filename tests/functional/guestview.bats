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
  LIST=/run/vguest/unified
}

# next_list NAME: waits until the guest gets a list that is younger than the one it has: 5 seconds,
# or fifty times what that one took.
next_list () {
  local before _
  before=$(inside "$1" stat -c %y "$LIST")
  for _ in {1..120}; do
    sleep 1
    inside "$1" head -n 1 "$LIST" >/dev/null
    [ "$(inside "$1" stat -c %y "$LIST")" = "$before" ] || return 0
  done
  return 1
}

# expected_list NAME: what the list of the running guest NAME must be, by the inode numbers of its
# files and of the store's names alone.
expected_list () {
  find "$VGUEST_ROOT"/store/?? ! -type d -printf '%i %h/%f\n' |
    sed 's|^\([0-9]*\) .*/\(..\)/\([0-9a-f]*\)-[0-9]*$|\1 \2\3|' >"$T/names"
  inside "$1" find / -xdev ! -type d -printf '%i %p\0' |
    sed -z 's/\\/\\134/g; s/\n/\\012/g' | tr '\0' '\n' >"$T/files"
  awk 'NR == FNR { hash[$1] = $2; next }
    $1 in hash { ino = $1; sub(/^[0-9]+ /, ""); print hash[ino], ino, $0 }' \
    "$T/names" "$T/files" | LC_ALL=C sort -k3
}

# listed NAME: its list, without what other mounts lie over.
listed () {
  inside "$1" cat "$LIST" | grep -Ev '^[0-9a-f]+ [0-9]+ /(dev|proc|run|sys|tmp)(/|$)'
}

# assert_list NAME
assert_list () {
  expected_list "$1" | grep -Ev '^[0-9a-f]+ [0-9]+ /(dev|proc|run|sys|tmp)(/|$)' >"$T/expected"
  listed "$1" | LC_ALL=C sort -k3 >"$T/list"
  [ -s "$T/list" ]
  diff "$T/expected" "$T/list"
}

is_up () {
  [ "$(inside "$1" systemctl is-system-running)" = running ]
}

# is_listed NAME PATH: is it in the list with the inode number that it has in the guest now?
is_listed () {
  listed "$1" | cut -d' ' -f2- | grep -qxF "$(inside "$1" stat -c '%i %n' "$2")"
}

@test "a real Debian under systemd: all that is shared, for root alone, and nobody writes there" {
  local private entry hash
  make_debian_guests services sd1
  private=$GUESTS/sd1/private
  mkdir -p "$private/etc/systemd/system"
  ln -s /dev/null "$private/etc/systemd/system/ssh.service"
  ln -s /dev/null "$private/etc/systemd/system/nginx.service"
  vguest -q sd1 start
  wait_for is_up sd1
  # The name, and where it comes from; as a shell reads it.
  [ "$(inside sd1 sh -c '. /run/vguest/guest; echo "$name $template $generation"')" = \
    "sd1 services 1" ]
  inside sd1 grep -qx "vguest=$(vguest-info --json | jq -r .version)" \
    /run/vguest/guest
  inside sd1 grep -qx "created=$(jq -r .created "$GUESTS/sd1/state.json")" /run/vguest/guest
  # A start lists nothing; the first one to read it does.
  [ "$(inside sd1 stat -c '%s %a %U' "$LIST")" = "0 400 root" ]
  assert_list sd1
  [ "$(wc -l <"$T/list")" -gt 5000 ]
  # Paths of the host are not told.
  refute inside sd1 grep -rlF "$VGUEST_ROOT" /run/vguest/
  refute grep -F "$VGUEST_ROOT" <<<"$(inside sd1 grep ' /run/vguest ' /proc/self/mountinfo)"
  # Others read the name, not the paths of everything.
  inside sd1 setpriv --reuid 65534 --regid 65534 --clear-groups cat /run/vguest/guest
  refute inside sd1 setpriv --reuid 65534 --regid 65534 --clear-groups cat "$LIST"
  # Root of the guest writes nothing, in a namespace of its own neither.
  for entry in 'touch /run/vguest/new' 'rm -f /run/vguest/guest' ': >>/run/vguest/guest' \
    'chmod 644 /run/vguest/unified' 'mount -o remount,rw /run/vguest' 'umount /run/vguest'; do
    refute vguest sd1 exec -- sh -c "$entry"
    refute vguest sd1 exec -- unshare -Urm sh -c "$entry"
  done
  refute vguest sd1 exec -- unshare -Urm sh -c \
    'mount --bind /run/vguest /mnt && mount -o remount,bind,rw /mnt && touch /mnt/new'
  # What the guest changes is its own: it has another inode at once, and the next list says so.
  is_listed sd1 /usr/bin/xargs
  inside sd1 sh -c 'echo >>/usr/bin/xargs; chmod 700 /usr/bin/wc; mv /usr/bin/tac /usr/bin/tac2
    echo new >/usr/share/fresh'
  refute is_listed sd1 /usr/bin/xargs
  next_list sd1
  assert_list sd1
  refute grep -E ' /usr/(bin/(xargs|wc|tac|tac2)|share/fresh)$' "$T/list"
  # Folded and unified, and in a clone of it.
  vguest -q sd1 stop
  vguest -q sd2 build -m clone -- -s sd1
  vguest -q 'sd[1-2]' start
  for entry in sd1 sd2; do
    is_listed "$entry" /usr/bin/xargs
    is_listed "$entry" /usr/share/fresh
    assert_list "$entry"
  done
  hash=$(vguest --json sd1 which /usr/share/fresh | jq -r '.files[0].object')
  grep -q "^$hash [0-9]* /usr/share/fresh$" "$T/list"
  # One guest is not told of the other.
  refute inside sd1 grep -rl sd2 /run/vguest/
  vguest -q 'sd[1-2]' stop
  assert_no_guests_left
  check_root
}

@test "thin guests, odd names, hard links, and a guest that reads while it is stopped" {
  make_tools_template "$T/source"
  mkdir -p "$T/source/usr/share/odd"
  # shellcheck disable=SC1003 # a backslash
  (cd "$T/source/usr/share/odd" && echo 1 >$'new\nline' && echo 2 >'back\slash' && echo 3 >' a b ' &&
    echo 4 >$'\xff')
  vtemplate -q import odd "$T/source"
  vguest -q thin build -m clone --thin -- -s odd
  run_plain thin 'sleep 100'
  vguest -q thin start
  vguest thin exec -- cat "$LIST" >"$T/list"
  grep -q '^[0-9a-f]\{64\} [0-9]* /usr/share/odd/new\\012line$' "$T/list"
  grep -q '^[0-9a-f]\{64\} [0-9]* /usr/share/odd/back\\134slash$' "$T/list"
  grep -q '^[0-9a-f]\{64\} [0-9]* /usr/share/odd/ a b $' "$T/list"
  LC_ALL=C grep -q $'^[0-9a-f]* [0-9]* /usr/share/odd/\xff$' "$T/list"
  # Both names of the group are one inode, and the three equal files are not.
  [ "$(grep -cE ' /usr/bin/tool(-hardlink)?$' "$T/list")" = 2 ]
  [ "$(grep -E ' /usr/bin/tool(-hardlink)?$' "$T/list" | cut -d' ' -f1,2 | sort -u | wc -l)" = 1 ]
  [ "$(grep -E ' /usr/share/doc/same[123]$' "$T/list" | cut -d' ' -f2 | sort -u | wc -l)" = 3 ]
  [ "$(grep -E ' /usr/share/doc/same[123]$' "$T/list" | cut -d' ' -f1 | sort -u | wc -l)" = 1 ]
  # Empty files are no objects; what a clone has of its own is not shared.
  refute grep -E ' (/usr/share/doc/empty|/etc/hostname|/etc/machine-id)$' "$T/list"
  # Who waits for it does not keep the guest from stopping.
  next_list thin
  vguest thin exec -- cat "$LIST" >"$T/second" &
  vguest -q thin stop
  wait || true
  assert_no_guests_left
}

@test "a list that cannot be made says so, and the guest goes on" {
  local pid
  make_tools_guests web1
  run_plain web1 'sleep 100'
  vguest -q web1 start
  pid=$(vguest web1 status --json | jq '.guests[0].init_pid')
  mv "$VGUEST_ROOT/root.json" "$T/root.json"
  run nsenter -t "$pid" -a cat "$LIST"
  mv "$T/root.json" "$VGUEST_ROOT/root.json"
  assert_status 0
  [ "$output" = "# The list could not be made: the host's log of this guest says why." ]
  logged web1 "root.json"
  [ "$(vguest web1 status --json | jq -r '.guests[0].state')" = running ]
  next_list web1
  inside web1 cat "$LIST" >"$T/list"
  grep -q ' /bin/cat$' "$T/list"
  vguest -q web1 stop
  assert_no_guests_left
}

@test "a transaction on a stopped guest has none" {
  make_tools_guests web1
  vguest web1 exec -- sh -c '! test -e /run/vguest'
}
