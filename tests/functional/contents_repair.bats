#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files equal in contents alone, damaged and repaired, copied and restored, and collected.

load ../lib/common
load ../lib/guests
load ../lib/contents

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq getfattr
  make_contents_guests
  vhashify -q --contents --all
  shares web2
  views >"$T/before"
  S=$VGUEST_ROOT/store
}

# is_repaired: fsck finds the damage, and repairs it: web2 has a whole file, and sees what it saw.
is_repaired () {
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.damaged[].uses[] | "\(.name):\(.path)"] | join(" ")')" = "web2:$FILE" ]
  run vstore fsck --repair
  assert_status 1
  refute shares web2
  cmp "$GUESTS/web2/tree/$FILE" "$T/data"
  views | diff "$T/before" -
  vstore fsck
  vstore -q gc
  check_root
}

# entry_of GUEST: the object that its file is.
entry_of () {
  find "$S"/?? -samefile "$GUESTS/$1/tree/$FILE"
}

@test "the link to the contents is lost" {
  rm "$S/data$(place_of web2)"
  is_repaired
}

@test "all of store/data is lost: an error, never zeros" {
  rm -r "$S/data"
  run vguest web2 exec -- cat "/$FILE"
  [ "$status" != 0 ]
  run vguest web2 diff web1
  [ "$status" != 0 ]
  run vguest -q web4 build -m clone -- -s guest:web2
  run vstore fsck --repair
  assert_status 1
  vstore fsck
  cmp "$GUESTS/web2/tree/$FILE" "$T/data"
  views | diff "$T/before" -
  check_root
}

@test "attributes are lost: the place, the mark, or both" {
  setfattr -x trusted.overlay.redirect "$GUESTS/web2/tree/$FILE"
  is_repaired
  vhashify -q --contents web2
  [ "$(find "$S/data" -type f | wc -l)" = 0 ]
}

@test "the mark is lost" {
  setfattr -x trusted.overlay.metacopy "$GUESTS/web2/tree/$FILE"
  is_repaired
}

@test "the place is that of other contents" {
  local other
  other=$(find "$S"/?? -type f -size +20k ! -samefile "$GUESTS/web1/tree/$FILE" \
    ! -samefile "$GUESTS/web2/tree/$FILE" | head -n 1)
  ln -f "$other" "$S/data$(place_of web2)"
  is_repaired
}

@test "damaged contents: all who have them are named, and a file that is good repairs them" {
  local mtime
  mtime=$(stat -c %.9Y "$GUESTS/web1/tree/$FILE")
  printf X | dd of="$GUESTS/web1/tree/$FILE" bs=1 seek=7 conv=notrunc status=none
  touch -d "@$mtime" "$GUESTS/web1/tree/$FILE"
  run vstore fsck --json
  assert_status 4
  [ "$(json '[.damaged[].uses[] | .name] | unique | join(" ")')" = "one web1 web2" ]
  mkdir -p "$GUESTS/web1/private/srv"
  cp "$T/data" "$GUESTS/web1/private/srv/copy"
  run vstore fsck --repair
  assert_status 1
  cmp "$GUESTS/web1/tree/$FILE" "$T/data"
  cmp "$GUESTS/web2/tree/$FILE" "$T/data"
  vstore fsck
  check_root
}

@test "a link that no entry has is told, and removed" {
  mkdir -p "$S/data/00"
  ln "$GUESTS/web1/tree/usr/lib/lib02.so" "$S/data/00/00000000000001"
  run vstore fsck
  assert_status 0
  assert_contains "$output" "1 links are of no file any more"
  run vstore fsck --repair
  assert_status 0
  [ ! -e "$S/data/00/00000000000001" ]
  [ -e "$S/data$(place_of web2)" ]
  check_root
}

@test "a root that is copied with its links, and one without, reads the same" {
  local copy=$T/copy
  cp -a "$VGUEST_ROOT" "$copy"
  VGUEST_ROOT=$copy vguest web2 exec -- cat "/$FILE" | cmp - "$T/data"
  "$CHECK_ROOT" "$copy"
  rm -r "$copy"
  cp -a --preserve=mode,ownership,timestamps,xattr "$VGUEST_ROOT" "$copy"
  VGUEST_ROOT=$copy vguest web2 exec -- cat "/$FILE" | cmp - "$T/data"
  VGUEST_ROOT=$copy vhashify -q --all
  VGUEST_ROOT=$copy vguest web2 exec -- cat "/$FILE" | cmp - "$T/data"
  VGUEST_ROOT=$copy vguest -q web1,web2 delete --yes
  VGUEST_ROOT=$copy vstore -q gc --force
}
