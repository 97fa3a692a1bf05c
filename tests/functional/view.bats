#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAME show, diff, which and check.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  mkdir -p "$T/source/usr/share/view" "$T/source/usr/lib"
  echo "shared text" >"$T/source/usr/share/view/text"
  echo "another one" >"$T/source/usr/share/view/gone"
  echo "a group" >"$T/source/usr/lib/one"
  ln "$T/source/usr/lib/one" "$T/source/usr/lib/two"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
  vguest -q 'web[1-3]' build -m clone -- -s small
}

# state PATH: "STATE GUESTS TEMPLATES" of web1.
state () {
  vguest --json web1 show "$1" | jq -r '.files[0] | "\(.state) \(.guests) \(.templates)"'
}

@test "show tells what is shared, and with how many" {
  [ "$(state /usr/share/view/text)" = "shared 2 1" ]
  vguest -q web3 delete --yes
  [ "$(state /usr/share/view/text)" = "shared 1 1" ]
  mkdir -p "$GUESTS/web1/private/usr/share/view"
  echo mine >"$GUESTS/web1/private/usr/share/view/text"
  [ "$(state /usr/share/view/text)" = "private 0 0" ]
  [ "$(state usr/share/./view/gone)" = "shared 1 1" ]
  vguest web1 show /usr/share >"$T/sums"
  grep -q '^ *1  *1 .* /usr/share/view$' "$T/sums"
  vguest --json web1 show -r /usr >"$T/all"
  [ "$(jq '.files | length' "$T/all")" = "$(find "$T/source/usr" ! -type d -printf x | wc -c)" ]
  run vguest web1 show /no/such
  assert_status 1
  [[ $output == *"/no/such: no such file in the guest"* ]]
  run vguest web1 show /usr/../etc
  assert_status 2
}

@test "diff lists what changed against the template and another guest" {
  local private=$GUESTS/web1/private
  run vguest web1 diff
  assert_status 0
  vguest --json web1 diff | jq -e '.against.kind == "template" and .against.generation == 1'
  mkdir -p "$private/usr/share/view" "$private/srv/new"
  chmod --reference="$T/source/usr/share/view" "$private/usr" "$private/usr/share" \
    "$private/usr/share/view"
  echo mine >"$private/usr/share/view/text"
  mknod "$private/usr/share/view/gone" c 0 0
  printf 'x\n' >"$private/srv/new/file"
  vguest web1 diff >"$T/diff"
  grep -q '^changed  /usr/share/view/text  .*contents' "$T/diff"
  grep -qx 'removed  /usr/share/view/gone' "$T/diff"
  grep -qx 'added    /srv/new/file' "$T/diff"
  refute grep -q /usr/lib "$T/diff"
  vguest web1 diff web2 | grep -v ' /etc/' | diff - <(grep -v ' /etc/' "$T/diff")
  vguest web1 diff small@1 | diff - "$T/diff"
  vguest --json web1 diff --stat |
    jq -e '.directories[] | select(.path == "/usr") | .removed == 1 and .changed == 1'
  run vguest web1 diff nothing
  assert_status 5
}

@test "which tells the layer, the file of the host and the object" {
  vguest --json web1 which /usr/share/view/text >"$T/which"
  [ "$(jq -r '.files[0].layer' "$T/which")" = tree ]
  [ "$(jq -r '.files[0].host_path' "$T/which")" -ef "$GUESTS/web1/tree/usr/share/view/text" ]
  [ "$(jq -r '.files[0].store_path' "$T/which")" -ef "$GUESTS/web1/tree/usr/share/view/text" ]
  mkdir -p "$GUESTS/web1/private/etc"
  echo mine >"$GUESTS/web1/private/etc/mine"
  vguest --json web1 which /etc/mine |
    jq -e '.files[0] | .layer == "private" and .object == null'
  run vguest web1 which /no /usr/share/view/text
  assert_status 1
  [[ $output == *"object: "* ]]
}

@test "files of the guest with metadata of its own, and renamed directories" {
  skip_unless_program setfattr
  mkdir -p "$T/m" "$GUESTS/web2/work"
  mount -t overlay overlay -o "lowerdir=$GUESTS/web2/tree,upperdir=$GUESTS/web2/private,workdir=$GUESTS/web2/work,index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto" "$T/m"
  chmod 0600 "$T/m/usr/share/view/text"
  mv "$T/m/usr/lib" "$T/m/usr/moved"
  umount "$T/m"
  vguest --json web2 show /usr/share/view/text | jq -e '.files[0] | .state == "contents" and .guests == 2'
  vguest --json web2 which /usr/share/view/text | jq -e '.files[0].contents.layer == "tree"'
  vguest web2 diff >"$T/diff"
  grep -qx 'changed  /usr/share/view/text  mode' "$T/diff"
  grep -qx 'added    /usr/moved/one' "$T/diff"
  grep -qx 'removed  /usr/lib/one' "$T/diff"
}

@test "check lists hard links that are shared as a group, and what a fold would not know" {
  run vguest web1 check
  assert_status 0
  [ "$(grep -c '^group .* /usr/lib/\(one\|two\)$' <<<"$output")" = 2 ]
  [ "$(grep '/usr/lib/' <<<"$output" | cut -c1-12 | sort -u | wc -l)" = 1 ]
  mkdir -p "$GUESTS/web1/private/srv"
  echo x >"$GUESTS/web1/private/srv/odd"
  setfattr -n trusted.overlay.unheard -v 1 "$GUESTS/web1/private/srv/odd"
  run vguest --json web1 check
  assert_status 3
  vguest --json web1 check 2>/dev/null | jq -e '.guests[0] | .problems == 1 and
    ([.findings[] | select(.problem)] | .[0].kind == "form" and .[0].path == "/srv/odd")'
}

@test "check --identity finds what two guests have in common and should not" {
  local guest
  vguest --all check --identity
  for guest in web1 web3; do
    mkdir -p "$GUESTS/$guest/private/etc/ssh"
    echo 0123456789abcdef0123456789abcdef >"$GUESTS/$guest/private/etc/machine-id"
    echo "a key" >"$GUESTS/$guest/private/etc/ssh/ssh_host_rsa_key"
    echo "not a secret" >"$GUESTS/$guest/private/etc/ssh/ssh_host_rsa_key.pub"
  done
  mkdir -p "$GUESTS/web2/private/etc" "$GUESTS/web3/private/var/lib/dbus"
  # Not made yet, and so no id; the same one in two places of one guest is none of two guests.
  echo uninitialized >"$GUESTS/web2/private/etc/machine-id"
  cp "$GUESTS/web3/private/etc/machine-id" "$GUESTS/web3/private/var/lib/dbus/machine-id"
  run vguest web1 check --identity
  assert_status 3
  assert_contains "$output" "machine-id         /etc/machine-id: the same in web[1,3]"
  assert_contains "$output" "ssh-host-key       /etc/ssh/ssh_host_rsa_key: the same in web[1,3]"
  assert_contains "$output" "2 values that should be a guest's own"
  vguest --json web3 check --identity >"$T/json" || [ $? = 3 ]
  [ "$(jq -c '[.shared[] | [.kind, (.guests | map(.name + .path))]]' "$T/json")" = \
    '[["machine-id",["web1/etc/machine-id","web3/etc/machine-id","web3/var/lib/dbus/machine-id"]],["ssh-host-key",["web1/etc/ssh/ssh_host_rsa_key","web3/etc/ssh/ssh_host_rsa_key"]]]' ]
  # Guests that are not concerned.
  run vguest web2 check --identity
  assert_status 0
  [ -z "$output" ]
  rm "$GUESTS/web3/private/etc/machine-id" "$GUESTS/web3/private/etc/ssh/ssh_host_rsa_key"
  echo other >"$GUESTS/web3/private/var/lib/dbus/machine-id"
  vguest --all check --identity
}

# What has other file systems over it in a guest that runs is left out.
MOUNTED=' /(dev|proc|run|sys|tmp)(/|$)'

# below MERGED: its files as the guest shows them, "INODE TYPE PATH" each.
below () {
  (cd "$1" && find . -xdev ! -type d -printf '%i /%P\n') |
    grep -Ev "$MOUNTED" | LC_ALL=C sort -k2
}

# merged NAME: mounts what a stopped guest shows.
merged () {
  local guest=$GUESTS/$1 lower
  lower=$guest/private:$guest/tree
  [ ! -L "$guest/base" ] || lower+=:$(realpath "$guest/base")
  mkdir -p "$T/merged/$1"
  mount -t overlay overlay -o "ro,lowerdir=$lower,index=off,nfs_export=off,xino=auto" "$T/merged/$1"
}

# shown_by NAME: inode numbers that a guest shows of its shared layers, once each.
shown_by () {
  find "$GUESTS/$1/tree" ! -type d -printf '%i\n' >"$T/shared"
  [ ! -L "$GUESTS/$1/base" ] ||
    find "$(realpath "$GUESTS/$1/base")" ! -type d -printf '%i\n' >>"$T/shared"
  below "$2" | awk 'NR == FNR { shared[$1]; next } $1 in shared && !seen[$1]++ { print $1 }' \
    "$T/shared" -
}

# assert_show NAME MERGED: state, guests and templates of all its files, by inode numbers. Those of
# the other guests are in $T/of/GUEST.
assert_show () {
  local name=$1
  below "$2" >"$T/below"
  (
    for other in "$T"/of/*; do
      [ "${other##*/}" = "$name" ] || sed 's/^/guest /' "$other"
    done
    sed 's/^/own /' "$T/of/$name"
    find "$VGUEST_ROOT"/templates/*/*/tree ! -type d -printf '%i\n' | sort -u | sed 's/^/template /'
  ) >"$T/uses"
  awk 'NR == FNR { count[$1, $2]++; next }
    { ino = $1; sub(/^[0-9]+ /, "")
      if (("own", ino) in count) print "shared", count["guest", ino] + 0, count["template", ino] + 0, $0
      else print "private 0 0", $0 }' "$T/uses" "$T/below" >"$T/expected"
  vguest --json "$name" show -r |
    jq -r '.files[] | "\(.state) \(.guests) \(.templates) \(.path)"' |
    grep -Ev "$MOUNTED" | LC_ALL=C sort -k4 >"$T/show"
  # Metadata alone that is the guest's own has an inode that is its own.
  sed -n "s/^contents .* //p" "$T/show" >"$T/contents"
  sed -i "s/^contents [0-9]* [0-9]* /private 0 0 /" "$T/show"
  [ "$(wc -l <"$T/show")" -gt 5000 ]
  diff "$T/expected" "$T/show"
}

# manifest DIR: what diff compares of each name, without contents.
manifest () {
  (cd "$1" && find . -xdev -mindepth 1 \( -type d -printf '/%P\t%y %m %U %G\n' -o \
    -printf '/%P\t%y %m %U %G %s %T@ %l\n' \)) | LC_ALL=C sort
}

# assert_diff NAME OLD NEW ARG…: the paths of `diff ARG…`, by find and diff -r of two directories.
assert_diff () {
  local name=$1 old=$2 new=$3 directory
  shift 3
  manifest "$old" >"$T/old"
  manifest "$new" >"$T/new"
  (
    awk -F '\t' 'NR == FNR { old[$1] = $2; next }
      !($1 in old) { print "added", $1; next }
      { if (old[$1] != $2) print "changed", $1; delete old[$1] }
      END { for (path in old) print "removed", path }' "$T/old" "$T/new"
    for directory in etc srv usr var; do
      LC_ALL=C diff -rq --no-dereference "$old/$directory" "$new/$directory" 2>/dev/null |
        sed -n "s|^Files $old\(/.*\) and .* differ\$|changed \1|p"
    done
  ) | grep -Ev "$MOUNTED" | LC_ALL=C sort -u >"$T/expected"
  vguest --json "$name" diff "$@" | jq -r '.changes[] | "\(.change) \(.path)"' |
    grep -Ev "$MOUNTED" | LC_ALL=C sort >"$T/diff"
  diff "$T/expected" "$T/diff"
}

# assert_which NAME MERGED: where the bytes of each 400th file lie.
assert_which () {
  local path host store object
  below "$2" | sed 's/^[0-9]* //' | awk 'NR % 400 == 7' >"$T/sample"
  echo /usr/bin/perl >>"$T/sample"
  # shellcheck disable=SC2046 # no spaces in them
  vguest --json "$1" which $(cat "$T/sample") |
    jq -r '.files[] | "\(.path)\t\(.host_path)\t\(.store_path)\t\(.object)"' >"$T/which"
  [ "$(cut -f1 "$T/which")" = "$(cat "$T/sample")" ]
  while IFS=$'\t' read -r path host store object; do
    [ "$(stat -c '%i %f %s' "$2$path")" = "$(stat -c '%i %f %s' "$host")" ]
    [ "$store" = null ] || [ "$(stat -c %i "$store")" = "$(stat -c %i "$host")" ]
    [ "$store" = null ] || [[ $store == "$VGUEST_ROOT/store/${object:0:2}/${object:2}-"* ]]
    # What is no object has no name there.
    [ "$store" != null ] || [ -z "$(find "$VGUEST_ROOT/store" -inum "$(stat -c %i "$host")")" ]
  done <"$T/which"
}

# assert_groups NAME MERGED: names that share an inode there, one group a line.
assert_groups () {
  below "$2/usr" | awk '{ names[$1] = names[$1] " /usr" $2; count[$1]++ }
    END { for (ino in count) if (count[ino] > 1) print names[ino] }' | LC_ALL=C sort >"$T/expected"
  [ -s "$T/expected" ]
  vguest --json "$1" check | jq -r '.guests[0].findings
    | map(select(.kind == "group")) | group_by(.group)[] | map(.path) | sort | " " + join(" ")' |
    LC_ALL=C sort | diff "$T/expected" -
}

@test "a real Debian: full, thin, with undo layers, and running" {
  local guest root
  skip_unless_runtime
  skip_unless_program nsenter
  vguest -q 'web[1-3]' delete --yes
  make_debian_guests services 'web[1-2]'
  vguest -q web3 build -m clone --thin -- -s services
  tree=$VGUEST_ROOT/templates/services/1/tree
  vguest -q 'web[1,3]' set keep_transactions=5
  # In the tree, in private, contents alone, removed, a whole directory, a link in place of a file.
  for guest in web1 web3; do
    vguest -q "$guest" exec -- sh -ec 'echo "# more" >>/usr/bin/ldd; chmod 700 /usr/bin/wc
      rm -r /usr/share/doc; mkdir -p /srv/mine; echo mine >/srv/mine/file; ln /srv/mine/file /srv/two
      touch -r /etc/debconf.conf /tmp/stamp; sed "1s/./x/" /etc/debconf.conf >/etc/new
      cat /etc/new >/etc/debconf.conf; touch -r /tmp/stamp /etc/debconf.conf; rm /etc/new
      ln -sf uniq /usr/bin/tsort; cp /usr/bin/id /srv/set-id; chmod 4755 /srv/set-id'
    vguest -q "$guest" exec -- sh -ec 'mv /usr/share/pixmaps /usr/share/pix; chown 1:1 /usr/bin/yes'
  done
  # The first one wrote files, the second one renamed; who was not touched has no transaction.
  for guest in web1 web2 web3; do
    merged "$guest"
    mkdir -p "$T/of"
    shown_by "$guest" "$T/merged/$guest" >"$T/of/$guest"
  done
  for guest in web1 web3; do
    assert_show "$guest" "$T/merged/$guest"
    assert_which "$guest" "$T/merged/$guest"
    assert_groups "$guest" "$T/merged/$guest"
    assert_diff "$guest" "$tree" "$T/merged/$guest"
  done
  # Removed in one, and so added in the other.
  assert_diff web2 "$T/merged/web3" "$T/merged/web2" web3
  [ "$(grep -c . "$T/diff")" -gt 100 ]
  for guest in web1 web3; do
    vguest --json "$guest" show /usr/bin/ldd /usr/bin/yes /usr/bin/tac /srv/mine/file |
      jq -c '[.files[].since]' >"$T/since"
    [ "$(cat "$T/since")" = "$(vguest --json "$guest" history |
      jq -c '[.guests[0].transactions[].id] | sort | [.[0], .[1], null, .[0]]')" ]
    vguest --json "$guest" check |
      jq -e '.guests[0] | .problems == 0 and
        ([.findings[] | select(.kind != "group") | .kind + .path] == ["stray-id/srv/set-id"])'
  done
  # Undone, it is the template again, and its undo layers hold nothing that counts.
  umount "$T"/merged/*
  vguest -q web1 rollback --yes
  vguest -q web1 rollback --yes
  merged web1
  merged web2
  shown_by web1 "$T/merged/web1" >"$T/of/web1"
  assert_show web1 "$T/merged/web1"
  assert_diff web1 "$T/merged/web2" "$T/merged/web1" web2
  umount "$T"/merged/web[12]
  # While they run. Nothing but the kernel knows yet what belongs together.
  for guest in web1 web3; do
    configure "$guest" '. + {init: "plain", command: ["sleep", "1000"]}'
    vguest -q "$guest" start
    root=/proc/$(vguest "$guest" status --json | jq '.guests[0].init_pid')/root
    inside "$guest" sh -ec 'chmod 700 /usr/bin/sort; echo >>/usr/bin/tac; rm /usr/bin/nl
      mv /usr/share/zoneinfo /usr/share/zones; mv /usr/bin/od /usr/share/zones/od
      rm -r /usr/share/debconf; mkdir /usr/share/debconf; echo 1 >/usr/share/debconf/new'
    shown_by "$guest" "$root" >"$T/of/$guest"
    assert_diff "$guest" "$tree" "$root"
    grep -qx 'removed /usr/share/debconf/confmodule' "$T/diff"
  done
  for guest in web1 web3; do
    root=/proc/$(vguest "$guest" status --json | jq '.guests[0].init_pid')/root
    # Of those that both changed the contents are in two guests.
    assert_show "$guest" "$root"
    [ "$(cat "$T/contents")" = "/usr/bin/sort
/usr/share/zones/od" ]
    assert_groups "$guest" "$root"
  done
  vguest --json web1 which /usr/bin/sort | jq -r '.files[0].contents.host_path' >"$T/host_path"
  cmp "$(cat "$T/host_path")" "$root/usr/bin/sort"
  [ "$(cat "$T/host_path")" -ef "$GUESTS/web1/tree/usr/bin/sort" ]
  vguest -q 'web[1,3]' stop
  assert_no_guests_left
  check_root
}
