#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAMES build -m clone.

load ../lib/common

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  SMALL=$VGUEST_ROOT/templates/small/1/tree
  GUESTS=$VGUEST_ROOT/guests
}

clone () { # NAMES SOURCE [BUILD-OPTION…]
  local names=$1 source=$2
  shift 2
  vguest -q "$names" build -m clone "$@" -- -s "$source"
}

# tree_list without the files that a clone has of its own or not at all.
without_identity () {
  tree_list "$1" | grep -Ev "^b'etc/(hostname|hosts|machine-id|ssh/ssh_host_[^']*)' |^b'var/log/messages' "
}

# One checksum of everything in a tree, for those too deep for path names.
tree_sum () {
  tar -C "$1" --format=posix --pax-option=delete=atime,delete=ctime --sort=name --xattrs --acls \
    --numeric-owner -c . | sha256sum
}

same_metadata () { # DIR DIR
  [ "$(stat -c '%a %u %g %y' "$1")" = "$(stat -c '%a %u %g %y' "$2")" ]
  [ "$(getfattr -d -m - "$1" 2>/dev/null | tail -n +2)" = \
    "$(getfattr -d -m - "$2" 2>/dev/null | tail -n +2)" ]
}

# The names of the guests that are there, in one line.
guests () {
  find "$GUESTS" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd ' '
}

@test "a clone of a template has every path with its type, contents, metadata and partners" {
  skip_unless_program setfattr setfacl getfattr
  setfattr -n user.note -v "of the root" "$T/source"
  setfattr -n user.note -v "of etc" "$T/source/etc"
  vtemplate -q import noted "$T/source"
  local noted=$VGUEST_ROOT/templates/noted/1/tree
  clone web noted
  diff <(without_identity "$noted") <(without_identity "$GUESTS/web/tree")
  diff <(tree_list "$noted/var/log") <(tree_list "$GUESTS/web/private/var/log")
  same_inode "$noted/usr/lib/lib01.so" "$GUESTS/web/tree/usr/lib/lib01.so"
  same_inode "$GUESTS/web/tree/usr/bin/tool" "$GUESTS/web/tree/usr/bin/tool-hardlink"
  for dir in . etc; do
    same_metadata "$noted/$dir" "$GUESTS/web/tree/$dir"
    same_metadata "$noted/$dir" "$GUESTS/web/private/$dir"
  done
  check_root
  assert_nothing_left
}

@test "a clone has an identity of its own, and not the source's" {
  chmod 0640 "$T/source/etc/hosts"
  chown 7:8 "$T/source/etc/hosts"
  mkdir -p "$T/source/var/lib/systemd" "$T/source/var/lib/dhcp"
  echo seed >"$T/source/var/lib/systemd/random-seed"
  echo lease >"$T/source/var/lib/dhcp/eth0.leases"
  vtemplate -q import two "$T/source"
  clone web two
  local tree=$GUESTS/web/tree private=$GUESTS/web/private
  [ "$(cat "$private/etc/hostname")" = web ]
  [ "$(cat "$private/etc/hosts")" = $'127.0.0.1 localhost\n127.0.1.1\tweb' ]
  [ "$(stat -c '%a %u %g' "$private/etc/hosts")" = "640 7 8" ]
  [ -e "$private/etc/machine-id" ] && [ ! -s "$private/etc/machine-id" ]
  for gone in etc/hostname etc/hosts etc/machine-id etc/ssh/ssh_host_ed25519_key \
    etc/ssh/ssh_host_ed25519_key.pub var/lib/systemd/random-seed var/lib/dhcp/eth0.leases; do
    [ -e "$VGUEST_ROOT/templates/two/1/tree/$gone" ]
    [ ! -e "$tree/$gone" ]
  done
  [ -d "$tree/var/lib/dhcp" ]
  check_root
}

@test "--hostname gives another host name, with or without a domain" {
  clone web small --hostname www.example.org
  [ "$(cat "$GUESTS/web/private/etc/hostname")" = www.example.org ]
  grep -qx $'127.0.1.1\twww.example.org www' "$GUESTS/web/private/etc/hosts"
  [ "$(jq -r .hostname "$GUESTS/web/config.json")" = www.example.org ]
  clone a_b small
  [ "$(cat "$GUESTS/a_b/private/etc/hostname")" = a-b ]
  run vguest x build -m clone --hostname 'bad name' -- -s small
  assert_status 2
  run vguest x,y build -m clone --hostname www -- -s small
  assert_status 2
}

@test "a template without /etc is cloned as it is" {
  mkdir -p "$T/bare/bin"
  echo program >"$T/bare/bin/program"
  vtemplate -q import bare "$T/bare"
  clone web bare
  diff <(tree_list "$T/bare") <(tree_list "$GUESTS/web/tree")
  [ -z "$(ls -A "$GUESTS/web/private")" ]
}

@test "strange things in the place of identity files are replaced by files" {
  rm "$T/source/etc/hostname" "$T/source/etc/hosts" "$T/source/etc/machine-id"
  ln -s /proc/sys/kernel/hostname "$T/source/etc/hostname"
  mkdir "$T/source/etc/hosts"
  mkfifo "$T/source/etc/machine-id"
  vtemplate -q import strange "$T/source"
  timeout 20 vguest -q web build -m clone -- -s strange
  [ "$(cat "$GUESTS/web/private/etc/hostname")" = web ]
  grep -qx $'127.0.0.1\tlocalhost' "$GUESTS/web/private/etc/hosts"
  [ -f "$GUESTS/web/private/etc/machine-id" ]
  [ ! -e "$GUESTS/web/tree/etc/hosts" ]
}

@test "a range makes many guests, and --json lists them" {
  run vguest --json 'web[001-100]' build -m clone -- -s small
  assert_status 0
  [ "$(json '.guests | length')" = 100 ]
  [ "$(json '.guests[41].name')" = web042 ]
  [ "$(json '[.guests[] | select(.ok)] | length')" = 100 ]
  [ "$(find "$GUESTS" -mindepth 1 -maxdepth 1 | wc -l)" = 100 ]
  [ "$(cat "$GUESTS/web042/private/etc/hostname")" = web042 ]
  [ "$(stat -c %h "$SMALL/usr/lib/lib01.so")" = 102 ]
  check_root
}

@test "-X leaves out what its patterns match" {
  printf '%s\n' '# comment' '/usr/share/doc' 'tool-*  # behind' '' >"$T/exclude"
  echo '/var/lib/app' >"$T/exclude2"
  vguest -q web build -m clone -- --source small -X "$T/exclude" --exclude-from "$T/exclude2"
  [ ! -e "$GUESTS/web/tree/usr/share/doc" ]
  [ ! -e "$GUESTS/web/tree/usr/bin/tool-hardlink" ]
  [ ! -e "$GUESTS/web/tree/var/lib/app" ]
  [ -e "$GUESTS/web/tree/usr/bin/tool" ]
  same_metadata "$SMALL/usr/share" "$GUESTS/web/tree/usr/share"
  echo 'a/../b' >"$T/exclude"
  run vguest other build -m clone -- -s small -X "$T/exclude"
  assert_status 2
  assert_contains "$output" "line 1"
  run vguest other build -m clone -- -s small -X "$T/missing"
  assert_status 1
}

@test "a clone of a guest has its changes, in inodes of its own" {
  clone web small
  local private=$GUESTS/web/private
  mkdir "$private/srv"
  cp --attributes-only -a "$GUESTS/web/tree/srv/." "$private/srv"
  echo data >"$private/srv/data"
  ln "$private/srv/data" "$private/srv/partner"
  ln "$private/srv/data" "$private/etc/partner"
  truncate -s 8M "$private/srv/sparse"
  printf x | dd of="$private/srv/sparse" bs=1 seek=4M conv=notrunc status=none
  ln -s data "$private/srv/link"
  mkfifo "$private/srv/fifo"
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
    "$private/srv/socket"
  echo secret >"$private/etc/ssh_host_not_here"
  mkdir -p "$private/etc/ssh"
  echo secret >"$private/etc/ssh/ssh_host_rsa_key"
  if command -v setfattr >/dev/null; then
    setfattr -n user.note -v x "$private/srv/data"
    setfattr -n user.note -v y "$private/srv"
  fi
  printf '10.0.0.1 web\n127.0.0.1 localhost web\n' >>"$private/etc/hosts"
  touch -d '2020-02-02 02:02:02.222222222' "$private/srv/data" "$private/srv" "$private/etc"
  clone copy web
  rm "$private/srv/socket"
  touch -d '2020-02-02 02:02:02.222222222' "$private/srv"
  local skip="^b'etc/(hostname|hosts|machine-id|ssh/ssh_host_[^']*)' |^b'var/log/messages' "
  diff <(tree_list "$private" | grep -Ev "$skip") \
    <(tree_list "$GUESTS/copy/private" | grep -Ev "$skip")
  diff <(tree_list "$GUESTS/web/tree") <(tree_list "$GUESTS/copy/tree")
  [ "$(stat -c %i "$private/srv/data")" != "$(stat -c %i "$GUESTS/copy/private/srv/data")" ]
  [ "$(stat -c %b "$GUESTS/copy/private/srv/sparse")" -lt 64 ]
  [ ! -e "$GUESTS/copy/private/etc/ssh/ssh_host_rsa_key" ]
  [ "$(cat "$GUESTS/copy/private/etc/hosts")" = \
    $'127.0.0.1 localhost\n127.0.1.1\tcopy\n10.0.0.1 web\n127.0.0.1 localhost copy' ]
  [ "$(jq -r '.template + " " + .source' "$GUESTS/copy/state.json")" = "small guest:web" ]
  check_root
}

@test "a private layer with forms of the overlay is refused" {
  clone web small
  mkdir "$GUESTS/web/private/usr"
  mknod "$GUESTS/web/private/usr/bin" c 0 0
  run vguest copy build -m clone -- -s web
  assert_status 1
  assert_contains "$output" whiteout
  [ ! -e "$GUESTS/copy" ]
  assert_nothing_left
}

@test "a template wins over a guest of the same name, prefixes say which" {
  clone web small
  echo own >"$GUESTS/web/private/etc/own"
  vtemplate -q import web "$T/source"
  clone one web
  clone two guest:web
  clone three template:web
  [ ! -e "$GUESTS/one/private/etc/own" ]
  [ -e "$GUESTS/two/private/etc/own" ]
  [ ! -e "$GUESTS/three/private/etc/own" ]
  run vguest four build -m clone -- -s nothing
  assert_status 5
  run vguest four build -m clone -- -s guest:small
  assert_status 5
  run vguest four build -m clone -- -s ../small
  assert_status 2
}

@test "an existing guest is an error, --force puts it aside" {
  clone web small
  echo precious >"$GUESTS/web/private/etc/precious"
  local ino
  ino=$(stat -c %i "$GUESTS/web")
  run vguest web build -m clone -- -s small
  assert_status 1
  assert_contains "$output" "exists"
  [ "$(stat -c %i "$GUESTS/web")" = "$ino" ]
  run vguest web build -m clone --force -- -s small
  assert_status 0
  assert_contains "$output" "$VGUEST_ROOT/aside/web."
  [ ! -e "$GUESTS/web/private/etc/precious" ]
  [ "$(stat -c %i "$VGUEST_ROOT"/aside/web.*)" = "$ino" ]
  clone web web --force
  clone new small --force
  [ "$(find "$VGUEST_ROOT/aside" -mindepth 1 -maxdepth 1 | wc -l)" = 2 ]
  echo broken >"$GUESTS/web/state.json"
  clone web small --force
  jq -e .template "$GUESTS/web/state.json"
  assert_nothing_left
}

@test "--force and a mounted or locked guest" {
  clone web small
  mount -t tmpfs tmpfs "$GUESTS/web/work"
  run vguest web build -m clone --force -- -s small
  assert_status 1
  assert_contains "$output" "mounted"
  run vguest other build -m clone -- -s web
  assert_status 1
  umount "$GUESTS/web/work"
  run flock "$GUESTS/web/lock" vguest --no-wait web build -m clone --force -- -s small
  assert_status 7
  run flock "$GUESTS/web/lock" vguest --no-wait other build -m clone -- -s web
  assert_status 7
  run flock -s "$GUESTS/web/lock" vguest --no-wait other build -m clone -- -s web
  assert_status 0
  assert_nothing_left
}

@test "one that fails does not stop the others" {
  clone b small
  run vguest --json a,b,c build -m clone -- -s small
  assert_status 3
  run vguest a,b,c build -m clone -- -s small
  assert_status 3
  [ -d "$GUESTS/a/tree/usr" ] && [ -d "$GUESTS/c/tree/usr" ]
  check_root
}

@test "wrong words on the command line" {
  for arguments in "-m clone" "-m clone --" "-m fork -- -s small" "-- -s small" \
    "-m clone extra -- -s small" "-m clone -- -s small extra" "-m clone --bad -- -s small"; do
    # shellcheck disable=SC2086
    run vguest x build $arguments
    assert_status 2
  done
  for names in .x -x- 'a/b' all x,x 'x[3-1]' 'x*' "$(printf 'n%.0s' {1..65})"; do
    run vguest -- "$names" build -m clone -- -s small
    run vguest "$names" build -m clone -- -s small
    assert_status 2
  done
  [ -z "$(ls -A "$GUESTS")" ]
}

@test "2,000 directories deep, the longest names, and names that are no text" {
  python3 - "$T/deep" <<'END'
import os, sys
top = os.fsencode(sys.argv[1])
os.mkdir(top)
os.chdir(top)
for i, name in enumerate((b"n" * 255, b"\xff\xfe\x80", b"\n", b" ", b"-rf", b"a\\b")):
    os.mkdir(b"D%d" % i + name[2:])
    with open(name, "wb") as file:
        file.write(name)
for i in range(2000):
    os.mkdir("d")
    os.chdir("d")
    with open("f", "w") as file:
        file.write(str(i))
END
  clone web small
  rm -r "$GUESTS/web/tree" "$GUESTS/web/private"
  cp -a "$T/deep" "$GUESTS/web/tree"
  cp -a "$T/deep" "$GUESTS/web/private"
  clone copy web
  [ "$(tree_sum "$T/deep")" = "$(tree_sum "$GUESTS/copy/tree")" ]
  [ "$(tree_sum "$T/deep")" = "$(tree_sum "$GUESTS/copy/private")" ]
  run vguest '*' delete --yes
  assert_status 0
  [ -z "$(ls -A "$GUESTS")" ]
}

@test "files are linked without being opened or stat-ed" {
  skip_unless_program strace
  mkdir "$T/many"
  (cd "$T/many" && for i in {1..2000}; do echo "$i" >"file$i"; done)
  vtemplate -q import many "$T/many"
  strace -f -qq -o "$T/trace" -e trace=linkat,openat,openat2,newfstatat,statx,fstat,utimensat,fchownat \
    vguest -q web build -m clone -- -s many
  [ "$(grep -c 'linkat(' "$T/trace")" -ge 2000 ]
  [ "$(grep -c '"file1234"' "$T/trace")" = 1 ]
  [ "$(grep -Evc 'linkat\(' "$T/trace")" -lt 300 ]
}

@test "kill -9 at any moment: each guest is whole or absent" {
  local start end span round name expected moment
  start=$(date +%s%N)
  clone 'g[01-20]' small
  end=$(date +%s%N)
  span=$((end - start))
  expected=$(tree_list "$GUESTS/g01/tree" | sha256sum)
  vguest -q 'g*' delete --yes
  for round in {1..24}; do
    # In a shell of its own, so that nothing is said about its end.
    moment=$((RANDOM * (span / 1000) / 32768))
    bash -c 'vguest -q "g[01-20]" build -m clone -- -s small & sleep "$1"; kill -9 $!; wait' bash \
      "$(printf '0.%06d' "$moment")" 2>/dev/null || true
    for name in $(guests); do
      [ "$(tree_list "$GUESTS/$name/tree" | sha256sum)" = "$expected" ] ||
        { echo "round $round, $moment us: $name is not whole"; false; }
      [ "$(cat "$GUESTS/$name/private/etc/hostname")" = "$name" ]
      jq -e .created "$GUESTS/$name/state.json" >/dev/null
    done
    vstore -q gc
    assert_nothing_left
    check_root
    [ -z "$(ls -A "$GUESTS")" ] || vguest -q 'g*' delete --yes
  done
}

@test "kill -9 while --force replaces a guest: the old one or the new one, never none" {
  local round i
  clone web small
  for round in {1..20}; do
    echo "$round" >"$GUESTS/web/private/etc/round"
    bash -c 'vguest -q web build -m clone --force -- -s small & sleep "$1"; kill -9 $!; wait' bash \
      "0.$(printf '%03d' $((RANDOM % 30)))" 2>/dev/null || true
    [ "$(cat "$GUESTS/web/private/etc/hostname")" = web ]
    [ -e "$GUESTS/web/tree/usr/bin/tool" ]
    # The old guest, with its data, is there under its name or aside.
    i=$(cat "$GUESTS/web/private/etc/round" "$VGUEST_ROOT"/aside/*/private/etc/round 2>/dev/null |
      grep -cx "$round")
    [ "$i" = 1 ]
  done
  vstore -q gc
  assert_nothing_left
}
