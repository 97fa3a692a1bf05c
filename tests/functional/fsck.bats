#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vstore fsck: damaged objects, who uses them, repair, and accidents of the host.

load ../lib/common

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,web2 build -m clone -- -s small
  G=$VGUEST_ROOT/guests
  S=$VGUEST_ROOT/store
}

# object_of PATH: the object that a file of a tree is.
object_of () {
  find "$S" -path "$S/quarantine" -prune -o -samefile "$1" -print
}

# damage FILE: other contents, with the metadata as they were, as a disk does it.
damage () {
  local mtime
  mtime=$(stat -c %.9Y "$1")
  printf X | dd of="$1" bs=1 seek=1 conv=notrunc status=none
  touch -d "@$mtime" "$1"
}

# relative OBJECT: its name as fsck tells it.
relative () {
  echo "${1#"$VGUEST_ROOT"/}"
}

# uses FILTER: "name:path" of the uses of damaged objects, sorted.
uses () {
  json "[.damaged[].uses[] | select($1) | \"\\(.name):\\(.path)\"] | sort | join(\" \")"
}

@test "nothing is wrong; every object is read once" {
  local before
  before=$(store_sums)
  run vstore fsck --json -j 3
  assert_status 0
  [ "$(json .errors)" = 0 ]
  [ "$(json .objects)" = "$(find "$S" -mindepth 2 | wc -l)" ]
  [ "$(json .bytes_read)" = "$(find "$S" -mindepth 2 -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')" ]
  [ "$(json '.places | length')" = 3 ]
  [ "$(json '[.places[].damaged, .places[].unshared] | add')" = 0 ]
  rm "$S/contents"
  [ "$(store_sums)" = "$before" ]
  run vstore fsck
  assert_status 0
  assert_contains "$output" "no errors"
  run vstore -q fsck
  [ -z "$output" ]
  check_root
}

@test "somebody wrote through a path of a tree on the host: all who use it are named" {
  local object
  object=$(object_of "$G/web1/tree/usr/lib/deep/er/big2")
  echo more >>"$G/web1/tree/usr/lib/deep/er/big2"
  run vstore fsck
  assert_status 4
  assert_contains "$output" "$(relative "$object"): damaged"
  assert_contains "$output" "template small@1: /usr/lib/deep/er/big2"
  assert_contains "$output" "guest web1: /usr/lib/deep/er/big2"
  assert_contains "$output" "guest web2: /usr/lib/deep/er/big2"
  [ -e "$object" ]
  run vstore fsck --json
  assert_status 4
  [ "$(json '.damaged | length')" = 1 ]
  [ "$(json '.damaged[0].object')" = "$(relative "$object")" ]
  [ "$(json '.damaged[0].uses | length')" = 3 ]
  [ "$(json '.places[] | select(.name == "web2").damaged')" = 1 ]
}

@test "an equal slot repairs; hard-link partners and times of directories stay" {
  local dir=usr/share/doc before
  ln "$G/web1/tree/$dir/same2" "$G/web1/tree/usr/lib/same2-partner"
  touch -d '2024-05-05 05:05:05.5' "$G/web1/tree/usr/lib"
  before=$("$CHECK_ROOT" --view "$G/web1")
  damage "$G/web2/tree/$dir/same2"
  run vstore fsck --repair --json
  assert_status 1
  [ "$(json .errors)" = 1 ]
  [ "$(json .errors_left)" = 0 ]
  [ "$(json '.damaged[0].source')" = slot ]
  [ "$(json '[.damaged[0].uses[].repaired] | all')" = true ]
  [ -e "$VGUEST_ROOT/$(json '.damaged[0].quarantined')" ]
  diff <(echo "$before") <("$CHECK_ROOT" --view "$G/web1")
  same_inode "$G/web1/tree/$dir/same2" "$G/web1/tree/usr/lib/same2-partner"
  refute same_inode "$G/web1/tree/$dir/same2" "$G/web1/tree/$dir/same1"
  same_inode "$G/web1/tree/$dir/same2" "$VGUEST_ROOT/templates/small/1/tree/$dir/same2"
  run vstore fsck
  assert_status 0
  run vstore fsck --repair
  assert_status 0
  check_root
}

@test "a mode, an owner or a time that changed is known and put right" {
  vstore -q fsck
  local before
  before=$("$CHECK_ROOT" --view "$G/web1")
  chmod 0700 "$G/web1/tree/usr/bin/setuid-tool"
  chown 7:8 "$G/web1/tree/usr/bin/tool"
  touch -h "$G/web1/tree/usr/bin/tool-symlink"
  touch "$G/web2/tree/usr/lib/lib03.so"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.damaged[].problem] | sort | join(" ")')" = "metadata metadata metadata owner" ]
  assert_contains "$output" "the mode was 4755 and is 0700"
  assert_contains "$output" "the owner was 0:0 and is 7:8"
  assert_contains "$output" "the time was 20"
  run vstore fsck --repair
  assert_status 1
  diff <(echo "$before") <("$CHECK_ROOT" --view "$G/web1")
  vstore -q fsck
  check_root
}

@test "mode and owner are known without a record; attributes are not" {
  chmod 0700 "$G/web1/tree/usr/bin/setuid-tool"
  setfattr -n user.new -v value "$G/web1/tree/usr/lib/lib02.so"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.damaged[].problem] | sort | join(" ")')" = "metadata unknown" ]
  setfattr -x user.new "$G/web1/tree/usr/lib/lib02.so"
  vstore -q fsck --repair || [ $? = 1 ]
  setfattr -n user.new -v value "$G/web1/tree/usr/lib/lib02.so"
  run vstore fsck --json
  [ "$(json '.damaged[0].problem')" = attributes ]
}

@test "contents come from another object, or from a file that is none" {
  local other=$G/web1/private/srv/copy
  vstore -q fsck
  # Equal contents, another time: another object.
  cp "$G/web1/tree/usr/lib/lib04.so" "$T/lib"
  touch -d '2020-02-02' "$T/lib"
  cp -a "$T/lib" "$G/web2/tree/usr/lib/lib04-copy.so"
  vhashify -q web2
  vstore -q fsck
  damage "$G/web1/tree/usr/lib/lib04.so"
  # A private file: equal in all.
  mkdir -p "${other%/*}"
  cp -a "$G/web1/tree/usr/lib/lib05.so" "$other"
  truncate -s 3 "$G/web1/tree/usr/lib/lib05.so"
  run vstore fsck --repair --json
  assert_status 1
  [ "$(json '[.damaged[].source] | sort | join(" ")')" = "contents file" ]
  for guest in web1 web2; do
    cmp "$G/$guest/tree/usr/lib/lib04.so" "$T/source/usr/lib/lib04.so"
    cmp "$G/$guest/tree/usr/lib/lib05.so" "$T/source/usr/lib/lib05.so"
  done
  same_inode "$G"/web[12]/tree/usr/lib/lib05.so
  vstore -q fsck
  check_root
}

@test "what nobody has a copy of is kept, in quarantine, and the package is named" {
  local info=$G/web1/private/var/lib/dpkg/info
  mkdir -p "$info"
  printf '/.\n/usr\n/usr/lib\n/lib/lib06.so\n' >"$info/libsix:amd64.list"
  printf '/.\n/usr/lib/lib07.so\n' >"$info/other.list"
  echo damaged >>"$G/web1/tree/usr/lib/lib06.so"
  run vstore fsck --repair
  assert_status 4
  assert_contains "$output" "guest web1: /usr/lib/lib06.so: to repair it: vapt-get web1 -- install --reinstall libsix:amd64"
  assert_contains "$output" "guest web2: /usr/lib/lib06.so: no good copy was found"
  [ "$(cat "$G/web1/tree/usr/lib/lib06.so")" = "library 06
damaged" ]
  [ "$(find "$S/quarantine" -type f | wc -l)" = 1 ]
  same_inode "$S"/quarantine/* "$G/web1/tree/usr/lib/lib06.so"
  # It is never an object again.
  vhashify -q --all
  [ -z "$(object_of "$G/web1/tree/usr/lib/lib06.so")" ]
  run vstore fsck --json
  assert_status 4
  [ "$(json '.damaged[0].earlier')" = true ]
  [ "$(json '.damaged[0].uses[1].command')" = "vapt-get web1 -- install --reinstall libsix:amd64" ]
  # Once there is a good one again, repair finds it.
  vtemplate -q import again "$T/source"
  run vstore fsck --repair --json
  assert_status 1
  [ "$(json '.damaged[0].source')" = slot ]
  same_inode "$G/web1/tree/usr/lib/lib06.so" "$VGUEST_ROOT/templates/again/1/tree/usr/lib/lib06.so"
  run vstore fsck
  assert_status 0
  assert_contains "$output" "are used by nobody"
  rm -r "$S/quarantine"
  vstore -q fsck
  check_root
}

@test "an object that gives EIO is damaged, and an equal slot repairs it" {
  local object place
  local -a faults
  skip_unless_program strace
  object=$(object_of "$G/web1/tree/usr/share/doc/same1")
  # Whoever opens the inode, by whichever of its names, cannot read it.
  faults=(-P "$object" -P "$S/quarantine/$(relative "$object" | sed 's|^store/||; s|/||')")
  for place in "$G"/web[12] "$VGUEST_ROOT/templates/small/1"; do
    faults+=(-P "$place/tree/usr/share/doc/same1")
  done
  faults+=(-e 'trace=read,pread64,preadv,preadv2' -e 'inject=read,pread64,preadv,preadv2:error=EIO')
  run strace -f -qq -o "$T/calls" "${faults[@]}" vstore --json fsck
  assert_status 4
  [ "$(json '.damaged[].problem')" = unreadable ]
  [ "$(json '.damaged[].uses_count')" = 3 ]
  grep -q INJECTED "$T/calls"
  run strace -f -qq -o "$T/calls" "${faults[@]}" vstore --json fsck --repair
  assert_status 1
  [ "$(json '.damaged[] | "\(.problem) \(.source)"')" = "unreadable slot" ]
  [ "$(json '[.damaged[].uses[].repaired] | all')" = true ]
  [ -e "$S/quarantine/$(relative "$object" | sed 's|^store/||; s|/||')" ]
  for place in "$G"/web[12] "$VGUEST_ROOT/templates/small/1"; do
    [ "$(cat "$place/tree/usr/share/doc/same1")" = "the same text three times" ]
    # A file of its own, as before.
    refute same_inode "$place"/tree/usr/share/doc/same[12]
  done
  vstore -q fsck
}

@test "undo layers are repaired with the tree" {
  skip_unless_runtime
  local object
  vguest -q web1 set init=/bin/true 2>/dev/null || true
  object=$(object_of "$G/web1/tree/usr/share/doc/same1")
  mkdir -p "$G/web1/history/1/undo/layer/usr/share/doc" "$G/web1/history/1/undo/partners"
  echo '{"format": 1, "id": 1, "time": "2026-01-01T00:00:00Z", "what": "test", "mode": "stopped"}' \
    >"$G/web1/history/1/entry.json"
  ln "$object" "$G/web1/history/1/undo/layer/usr/share/doc/same1"
  ln "$object" "$G/web1/history/1/undo/partners/1"
  damage "$object"
  run vstore fsck
  assert_status 4
  assert_contains "$output" "guest web1: history/1/undo/layer:/usr/share/doc/same1"
  run vstore fsck --repair
  assert_status 1
  same_inode "$G/web1/tree/usr/share/doc/same1" \
    "$G/web1/history/1/undo/layer/usr/share/doc/same1" "$G/web1/history/1/undo/partners/1"
  refute same_inode "$G/web1/tree/usr/share/doc/same1" "$S"/quarantine/*
  vstore -q fsck
  check_root
}

@test "a repair that was killed in the middle keeps partners together when it is done again" {
  local link=$G/web1/txn/temp
  ln "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/usr/lib/partner"
  ln "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/etc/partner"
  damage "$G/web1/tree/usr/share/doc/same1"
  # As it is behind the first of the names: the object is in quarantine, one name has a good one.
  mkdir "$link" "$S/quarantine"
  local bad good old
  bad=$(object_of "$G/web1/tree/usr/share/doc/same1")
  old=$(stat -c %i "$bad")
  good=$T/good
  cp -a "$T/source/usr/share/doc/same1" "$good"
  mv "$bad" "$S/quarantine/$(relative "$bad" | tr -d / | sed 's/^store//')"
  ln "$good" "$bad"
  ln "$good" "$link/group-$old-$(stat -c %i "$link")"
  ln -f "$good" "$G/web1/tree/etc/partner"
  rm "$good"
  vstore -q fsck --repair || [ $? = 1 ]
  same_inode "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/usr/lib/partner" \
    "$G/web1/tree/etc/partner" "$bad"
  same_inode "$G"/web[12]/tree/usr/share/doc/same1
  vstore -q fsck
  check_root
}

@test "a repair that is killed at any call is finished by the next" {
  skip_unless_program strace
  local n call killed=0
  for call in linkat renameat renameat2 unlinkat; do
    for n in 1 2 4 7; do
      ln -f "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/usr/lib/partner"
      ln -f "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/etc/partner"
      damage "$G/web1/tree/usr/share/doc/same1"
      damage "$G/web1/tree/usr/share/doc/same2"
      strace -qq -f -e trace="$call" -e inject="$call:signal=SIGKILL:when=$n" -o /dev/null \
        "$VGUEST_BIN_DIR/vstore" -q fsck --repair >/dev/null 2>&1 || killed=$((killed + ($? == 137)))
      vstore -q fsck --repair >/dev/null || [ $? = 1 ]
      same_inode "$G"/web1/tree/{usr/share/doc/same1,usr/lib/partner,etc/partner}
      same_inode "$G"/web[12]/tree/usr/share/doc/same1
      cmp "$G/web2/tree/usr/share/doc/same2" "$T/source/usr/share/doc/same2"
      refute same_inode "$G"/web1/tree/usr/share/doc/same[12]
      [ -z "$(ls "$G/web1/txn")" ]
      vstore -q fsck
    done
  done
  echo "killed $killed times"
  [ "$killed" -ge 10 ]
  rm "$G/web1/tree/usr/lib/partner" "$G/web1/tree/etc/partner"
  touch -d '2023-05-06' "$G/web1/tree/usr/lib" "$G/web1/tree/etc"
  check_root
}

@test "a signal ends a check, and leaves nothing" {
  skip_unless_program strace
  run strace -qq -f -e trace=preadv2 -e inject=preadv2:signal=SIGTERM:when=20 -o /dev/null \
    "$VGUEST_BIN_DIR/vstore" fsck -j 2
  assert_status 32
  assert_contains "$output" "interrupted by signal 15"
  [ -z "$(find "$S" -name '.vg-*' -o -name contents)" ]
  check_root
}

@test "links of a repair that belong to another place are not believed" {
  local link=$G/web1/txn/temp before
  mkdir "$link"
  before=$("$CHECK_ROOT" --view "$G/web1")
  echo wrong >"$T/wrong"
  ln "$T/wrong" "$link/group-$(stat -c %i "$G/web1/tree/usr/lib/lib01.so")-1"
  rm "$T/wrong"
  vhashify -q web1
  diff <(echo "$before") <("$CHECK_ROOT" --view "$G/web1")
  check_root
}

@test "--quick sees what metadata tell, and reads nothing" {
  run vstore fsck --quick --json
  assert_status 0
  [ "$(json .unnoted)" = "$(find "$S" -mindepth 2 -type f | wc -l)" ]
  vstore -q fsck
  # Damaged notes are as none; those behind the header and the table of 256 parts are meant.
  head -c $(($(stat -c %s "$S/contents") - 12336)) /dev/urandom |
    dd of="$S/contents" oflag=seek_bytes seek=12336 conv=notrunc status=none
  run vstore fsck --quick --json
  [ "$(json .unnoted)" = "$(find "$S" -mindepth 2 -type f | wc -l)" ]
  vstore -q fsck
  echo more >>"$G/web1/tree/usr/lib/lib02.so"
  chmod 0600 "$G/web1/tree/usr/lib/lib03.so"
  setfattr -n user.new -v x "$G/web1/tree/usr/lib/lib04.so"
  damage "$G/web1/tree/usr/lib/lib05.so"
  run vstore fsck --quick --json
  assert_status 4
  [ "$(json .unnoted)" = 0 ]
  # Those that are wrong are read, to make sure.
  [ "$(json '.bytes_read < 100')" = true ]
  [ "$(json '[.damaged[] | .uses[0].path] | sort | join(" ")')" = \
    "usr/lib/lib02.so usr/lib/lib03.so usr/lib/lib04.so" ]
  run vstore fsck --json
  assert_status 4
  [ "$(json '.damaged | length')" = 4 ]
  printf 'garbage' >"$S/contents"
  run vstore fsck --quick --json
  assert_status 0
  [ "$(json .unnoted)" = "$(find "$S" -mindepth 2 -type f | wc -l)" ]
}

@test "objects that nobody uses, and files that are not shared, are told and are no errors" {
  head -c 100000 /dev/urandom >"$G/web1/tree/usr/lib/garbage"
  vguest -q web1 hashify
  rm "$G/web1/tree/usr/lib/garbage"
  echo news >"$G/web2/tree/usr/lib/news"
  run vstore fsck --json
  assert_status 0
  [ "$(json .orphans)" = 1 ]
  [ "$(json '.places[] | select(.name == "web2").unshared')" = 1 ]
  run vstore fsck
  assert_contains "$output" "1 objects, 100.0 KiB, are used by no tree"
  assert_contains "$output" "1 files of trees, 4.0 KiB, are not in the store"
}

@test "what does not belong into the store goes to quarantine, second names go" {
  local object
  object=$(object_of "$G/web1/tree/usr/lib/lib01.so")
  echo alien >"$S/ab-file"
  mkdir "$S/1a" 2>/dev/null || true
  echo alien >"$S/1a/alien"
  mkdir "$S/1a/directory"
  ln "$object" "${object%-0}-7"
  ln "$object" "$S/1a/$(printf '0%.0s' {1..62})-0"
  mv "$(object_of "$G/web1/tree/usr/lib/lib02.so")" "$S/1a/$(printf '1%.0s' {1..62})-0"
  touch "$S/.vg-0123456789abcdef"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.findings[] | select(.class == "alien")] | length')" = 3 ]
  [ "$(json '[.findings[] | select(.class == "double")] | length')" = 2 ]
  [ "$(json '.damaged | length')" = 1 ]
  run vstore fsck --repair --json
  [ "$(json '[.findings[] | select(.error) | .corrected] | all')" = true ]
  [ "$(find "$S/quarantine" -name 'alien-*' | wc -l)" = 3 ]
  [ ! -e "$S/.vg-0123456789abcdef" ]
  [ "$(object_of "$G/web1/tree/usr/lib/lib01.so" | wc -l)" = 1 ]
}

@test "forms of an overlay in a tree, and such in a private layer that fold would not know" {
  mkdir -p "$G/web1/private/srv/a" "$G/web1/private/srv/b" "$G/web1/private/srv/c"
  mknod "$G/web2/tree/usr/lib/whiteout" c 0 0
  setfattr -n trusted.overlay.opaque -v y "$G/web2/tree/usr/share"
  setfattr -n trusted.overlay.metacopy "$G/web2/tree/usr/lib/lib01.so"
  setfattr -n trusted.overlay.redirect -v ../../x "$G/web1/private/srv/a"
  setfattr -n trusted.overlay.strange -v y "$G/web1/private/srv/b"
  setfattr -n trusted.overlay.opaque -v q "$G/web1/private/srv/c"
  mknod "$G/web1/private/srv/whiteout" c 0 0
  ln "$G/web1/tree/usr/lib/lib02.so" "$G/web1/private/srv/shared"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.findings[] | select(.class == "overlay-form").where] | sort | join(" ")')" = \
    "guests/web2/tree/usr/lib/whiteout guests/web2/tree/usr/share" ]
  [ "$(json '[.damaged[] | select(.problem == "overlay-form")] | length')" = 1 ]
  [ "$(json '[.findings[] | select(.class == "private-form").where] | unique | join(" ")')" = \
    "guests/web1/private/srv/a guests/web1/private/srv/b guests/web1/private/srv/c guests/web1/private/srv/whiteout" ]
  [ "$(json '.findings[] | select(.class == "private-shared").where')" = guests/web1/private/srv/shared ]
}

@test "names of a guest that are one inode and were two in its template are told" {
  run vstore fsck --json
  [ "$(json '.findings | length')" = 0 ]
  ln -f "$G/web1/tree/usr/share/doc/same1" "$G/web1/tree/usr/share/doc/same3"
  ln "$G/web1/tree/usr/share/doc/same2" "$G/web1/tree/usr/share/doc/new"
  run vstore fsck --json
  assert_status 0
  [ "$(json '[.findings[] | .class] | join(" ")')" = merged ]
  assert_contains "$output" "/usr/share/doc/same3 is a hard link to an equal file"
}

@test "files of vguest's own that cannot be read, and parts that are missing" {
  echo '{' >"$G/web1/config.json"
  echo '{"format": 99}' >"$G/web1/state.json"
  echo '{"format": 1, "memory": "much"}' >"$G/web2/config.json"
  echo 'x' >"$VGUEST_ROOT/templates/small/1/template.json"
  mkdir -p "$G/web2/history/4"
  echo '[]' >"$G/web2/history/4/entry.json"
  rmdir "$G/web2/txn"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.findings[] | select(.class == "file")] | length')" = 5 ]
  [ "$(json '[.findings[] | select(.class == "part")] | length')" = 1 ]
  assert_contains "$output" "templates/small/1/template.json"
  assert_contains "$output" "guests/web2/history/4/entry.json"
}

@test "a guest that cannot be repaired does not keep others from it" {
  damage "$G/web1/tree/usr/share/doc/same1"
  rmdir "$G/web1/txn"
  run vstore fsck --repair
  assert_status 4
  assert_contains "$output" "guests/web1: repair it: "
  same_inode "$G/web2/tree/usr/share/doc/same1" "$VGUEST_ROOT/templates/small/1/tree/usr/share/doc/same1"
  mkdir "$G/web1/txn"
  run vstore fsck --repair
  assert_status 1
  vstore -q fsck
}

@test "what killed commands left is told, and a repair clears it" {
  mkdir -p "$VGUEST_ROOT/staging/clone-0123456789abcdef/x" "$G/web1/txn/upper" "$G/web2/.vg-1"
  run vstore fsck --json
  assert_status 0
  [ "$(json '[.findings[] | select(.class == "leftover")] | length')" = 3 ]
  vstore -q fsck --repair
  run vstore fsck --json
  [ "$(json '.findings | length')" = 0 ]
  assert_nothing_left
  check_root
}

@test "an object found damaged in passing gets no new link" {
  local object
  object=$(object_of "$G/web1/tree/usr/lib/deep/er/big2")
  damage "$object"
  run vtemplate import again "$T/source"
  assert_status 0
  assert_contains "$output" "was damaged, and is now store/quarantine/"
  cmp "$VGUEST_ROOT/templates/again/1/tree/usr/lib/deep/er/big2" "$T/source/usr/lib/deep/er/big2"
  same_inode "$object" "$VGUEST_ROOT/templates/again/1/tree/usr/lib/deep/er/big2"
  same_inode "$S"/quarantine/* "$G/web1/tree/usr/lib/deep/er/big2"
  run vstore fsck
  assert_status 4
  assert_contains "$output" "in quarantine, and still used"
  run vstore fsck --repair
  assert_status 1
  same_inode "$object" "$G"/web[12]/tree/usr/lib/deep/er/big2
  vstore -q fsck
  check_root
}

@test "accident: the store was deleted" {
  local before
  before=$("$CHECK_ROOT" --view "$G/web2")
  rm -rf "$S"
  run vstore fsck
  assert_status 4
  assert_contains "$output" "was the directory deleted?"
  run vhashify --json --all
  assert_status 0
  rm -rf "$G"/web1/tree/usr/lib/deep
  vstore -q fsck
  diff <(echo "$before") <("$CHECK_ROOT" --view "$G/web2")
  same_inode "$(object_of "$G/web2/tree/usr/lib/lib01.so")" "$G/web1/tree/usr/lib/lib01.so"
  check_root
}

@test "accident: deleted, and only templates have the files" {
  vguest -q web1,web2 delete --yes
  rm -rf "$S"
  run vstore fsck
  assert_status 4
  run vstore fsck --repair
  run vstore fsck --json
  assert_status 0
  [ "$(json '.places[0].unshared')" = 0 ]
  [ "$(json '.objects > 40')" = true ]
  check_root
}

@test "accident: restored from a backup without hard links" {
  mkdir "$T/restored"
  cp -a --no-preserve=links "$VGUEST_ROOT/." "$T/restored"
  rm -rf "$VGUEST_ROOT"
  mv "$T/restored" "$VGUEST_ROOT"
  [ -z "$(find "$G/web1/tree" -type f -links +1)" ]
  run vstore fsck
  assert_status 4
  assert_contains "$output" "was the state root restored without hard links?"
  assert_contains "$output" "Do not run \`vstore gc\`"
  # Nothing else tells the opposite.
  assert_contains "$output" "are used by no tree"
  refute grep "vstore gc. removes them" <<<"$output"
  run vhashify --json --all
  assert_status 0
  [ "$(json '.total.linked > 80')" = true ]
  run vstore fsck --repair
  same_inode "$G"/web[12]/tree/usr/lib/lib01.so "$VGUEST_ROOT/templates/small/1/tree/usr/lib/lib01.so"
  run vstore fsck --json
  assert_status 0
  [ "$(json '[.places[].unshared] | add')" = 0 ]
  check_root
}

@test "accident: moved to another file system" {
  skip_unless_program mkfs.ext4
  vstore -q fsck
  truncate -s 64M "$T/disk"
  mkfs.ext4 -q "$T/disk"
  mkdir "$T/other"
  mount -o loop "$T/disk" "$T/other"
  cp -a "$VGUEST_ROOT/." "$T/other"
  VGUEST_ROOT=$T/other run vstore fsck --json
  assert_status 0
  [ "$(json '[.findings[].class] | unique | join(" ")')" = moved ]
  # Notes hold for names, not for inodes.
  echo more >>"$T/other/guests/web1/tree/usr/lib/lib01.so"
  VGUEST_ROOT=$T/other run vstore fsck --quick --json
  assert_status 4
  [ "$(json .unnoted)" = 0 ]
  [ "$(json '.damaged | length')" = 1 ]
  umount "$T/other"
}

@test "accident: unpacked with other owners: one finding, not thousands" {
  chown -Rh 1000:1000 "$VGUEST_ROOT"
  run vstore fsck
  assert_status 4
  assert_contains "$output" "objects have another owner than they had"
  assert_contains "$output" "now have 1000:1000, of the first it was 0:0"
  assert_contains "$output" "guest web1: "
  [ "${#lines[@]}" -lt 10 ]
  run vstore fsck --repair --json
  assert_status 4
  [ "$(json '.findings[0].class')" = owners ]
  [ "$(json .widespread)" = true ]
  [ ! -e "$S/quarantine" ]
}

@test "accident: the clock went backwards" {
  vstore -q fsck
  sed -i 's/"created": *"2[0-9]*/"created": "2199/' "$G/web1/state.json"
  python3 - "$S/contents" <<'PY'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(32)
    f.write(struct.pack("<Q", 1 << 33))
PY
  run vstore fsck --quick --json
  assert_status 0
  [ "$(json '[.findings[] | select(.class == "clock")] | length')" = 2 ]
  [ "$(json .unnoted)" = 0 ]
}

@test "locks: a check shares the root, a repair waits; who has a guest is not disturbed" {
  damage "$G/web1/tree/usr/share/doc/same1"
  exec 8<>"$VGUEST_ROOT/lock"
  flock -s 8
  run vstore fsck --no-wait 8>&-
  assert_status 4
  run vstore fsck --repair --no-wait 8>&-
  assert_status 8
  assert_contains "$output" "is locked by"
  exec 8>&-
  exec 8<>"$G/web1/lock"
  flock -x 8
  run vstore fsck --repair 8>&-
  assert_status 4
  assert_contains "$output" "guest web1: /usr/share/doc/same1: it is busy"
  exec 8>&-
  vstore -q fsck --repair || [ $? = 1 ]
  vstore -q fsck
}

@test "the command line and its statuses" {
  run vstore fsck extra
  assert_status 16
  run vstore fsck --bad
  assert_status 16
  run vstore fsck --jobs 0
  assert_status 16
  assert_contains "$output" "vstore: --jobs"
  run vstore fsck -j many
  assert_status 16
  run vstore --root "$T/nowhere/../$(printf 'x%.0s' {1..300})" fsck
  assert_status 8
  run vstore fsck --help
  assert_status 0
  assert_contains "$output" "32 cancelled"
  [ "$(wc -L <<<"$output")" -le 80 ]
}

@test "thin guests are named with their template, and wait for one another" {
  skip_unless_overlay
  vguest -q thin1,thin2 build -m clone --thin -- -s small
  # What the one has of its own is partner of what is below.
  ln "$VGUEST_ROOT/templates/small/1/tree/usr/share/doc/same1" "$G/thin1/tree/partner"
  mknod "$G/thin1/tree/srv" c 0 0 # hides it
  damage "$G/thin1/tree/partner"
  run vstore fsck --json
  assert_status 4
  [ "$(json '.findings | length')" = 0 ]
  [ "$(json '.damaged[0].uses[] | select(.kind == "template").thin | join(" ")')" = "thin1 thin2" ]
  run vstore fsck
  assert_contains "$output" "template small@1, and over it guest thin1,thin2: /usr/share/doc/same1"
  mkdir "$T/mnt"
  mount -t overlay overlay "$T/mnt" -o "lowerdir=$G/thin2/tree:$VGUEST_ROOT/templates/small/1/tree,upperdir=$G/thin2/private,workdir=$G/thin2/work"
  run vstore fsck --repair
  umount "$T/mnt"
  assert_status 4
  assert_contains "$output" "a thin guest over it is in use"
  assert_contains "$output" "guest thin1: /partner: another guest over its template is in use"
  assert_contains "$output" "guest web1: /usr/share/doc/same1: repaired"
  run vstore fsck --repair
  assert_status 1
  same_inode "$G/thin1/tree/partner" "$VGUEST_ROOT/templates/small/1/tree/usr/share/doc/same1" \
    "$G/web1/tree/usr/share/doc/same1"
  vstore -q fsck
  check_root
}

@test "a guest that is mounted is left alone until it is not" {
  skip_unless_overlay
  damage "$G/web1/tree/usr/share/doc/same1"
  mkdir "$T/mnt"
  mount -t overlay overlay "$T/mnt" -o "lowerdir=$G/web1/tree,upperdir=$G/web1/private,workdir=$G/web1/work"
  run vstore fsck --repair
  umount "$T/mnt"
  assert_status 4
  assert_contains "$output" "guest web1: /usr/share/doc/same1: it is mounted: repair it when it is stopped"
  assert_contains "$output" "guest web2: /usr/share/doc/same1: repaired"
  same_inode "$S"/quarantine/* "$G/web1/tree/usr/share/doc/same1"
  run vstore fsck --repair
  assert_status 1
  same_inode "$G"/web[12]/tree/usr/share/doc/same1
  vstore -q fsck
}

@test "200 random flips and truncations: all found, all users named, repaired from equal slots" {
  mkdir -p "$T/many/usr/lib/"{a,b}
  python3 - "$T/many/usr/lib" <<'PY'
import os, random, sys
random.seed(7)
for i in range(240):
    data = random.randbytes(random.randrange(64, 2048))
    for copy in ("a", "b"):
        path = f"{sys.argv[1]}/{copy}/{i}"
        open(path, "wb").write(data)
        os.utime(path, ns=(10**18 + i, 10**18 + i))
PY
  vtemplate -q import many "$T/many"
  vguest -q big1,big2 build -m clone -- -s many
  vstore -q fsck
  # One slot of each of 120 pairs, both of each of 25, and 30 that have no equal.
  python3 - "$G/big1/tree/usr/lib" "$G/web1/tree" >"$T/damaged" <<'PY'
import os, random, sys
random.seed(8)
lib, other = sys.argv[1:]
paths = [f"{lib}/{random.choice('ab')}/{i}" for i in range(120)]
paths += [f"{lib}/{c}/{i}" for i in range(120, 145) for c in "ab"]
seen, others = set(), []
for top, dirs, files in os.walk(other):
    for name in files:
        path = f"{top}/{name}"
        st = os.lstat(path)
        if "\n" in name:
            continue
        if os.path.isfile(path) and not os.path.islink(path) and st.st_size and st.st_ino not in seen:
            seen.add(st.st_ino)
            others.append(path)
paths += random.sample(sorted(others), 30)
for path in paths:
    st = os.stat(path)
    with open(path, "r+b") as f:
        if random.random() < 0.3:
            f.truncate(random.randrange(st.st_size))
        else:
            at = random.randrange(st.st_size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ (1 << random.randrange(8))]))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    print(path)
PY
  [ "$(wc -l <"$T/damaged")" = 200 ]
  run vstore fsck --json
  assert_status 4
  [ "$(json '.damaged | length')" = 200 ]
  while read -r path; do
    for guest in big1:big2 web1:web2; do
      case $path in
        "$G/${guest%:*}/tree/"*)
          echo "${guest%:*}:${path#"$G/${guest%:*}/tree/"}"
          echo "${guest#*:}:${path#"$G/${guest%:*}/tree/"}"
          ;;
      esac
    done
  done <"$T/damaged" | sort >"$T/expected"
  json '.damaged[].uses[] | select(.kind == "guest") | "\(.name):\(.path)"' | sort >"$T/told"
  [ -z "$(comm -23 "$T/expected" "$T/told")" ]
  run vstore fsck --repair --json
  assert_status 5
  [ "$(json '[.damaged[] | select(.source == "slot")] | length')" -ge 120 ]
  for i in {0..119}; do
    cmp "$T/many/usr/lib/a/$i" "$G/big1/tree/usr/lib/a/$i"
    cmp "$T/many/usr/lib/b/$i" "$G/big2/tree/usr/lib/b/$i"
  done
  # From a new import of the same the rest is repaired as well.
  vtemplate -q import many2 "$T/many"
  vtemplate -q import small2 "$T/source"
  run vstore fsck --repair --json
  assert_status 1
  vstore -q fsck
  diff -r "$T/many" "$G/big1/tree"
  check_root
}
