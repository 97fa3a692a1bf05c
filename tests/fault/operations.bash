# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # COMMAND and AGAIN are the sweep's
# The operations that the sweep stops: for each NAME a function prepare_NAME, which brings the state
# root $VGUEST_ROOT to where the operation begins, and command_NAME, which sets
#
#   COMMAND   the operation
#   AGAIN     what does it again when it was undone or ended in between: COMMAND when not set; empty
#             when it is never to be done again
#
# and, where there is more to see than views, verify_NAME, which prints what is wrong afterwards.

OPERATIONS="import import_dir clone clone_guest replace commit fold unify gc delete update
  template_delete rename rollback unify_contents unify_whole"

# --- what the operations work on

# A source of about 50 paths: hard-link groups, symlinks, equal files, set-id, capabilities, ACLs,
# xattrs, a sparse file, names with a space and a newline, devices, times with nanoseconds.
make_source () {
  make_small_template "$1"
  rm -f "$1"/usr/lib/lib{04..12}.so "$1"/usr/share/doc/doc{03..12} "$1/dev/loop"
  ln "$1/usr/lib/lib02.so" "$1/usr/lib/lib02-partner.so"
  ln "$1/usr/bin/setuid-tool" "$1/usr/lib/setuid-partner"
}

# pack_source DIR ARCHIVE: in order of names, so that every archive of the same tree has the same calls.
pack_source () {
  tar -C "$1" --sparse --sort=name --numeric-owner --xattrs --xattrs-include='*' --acls -cf "$2" .
}

# A template "small" of generation 1, and three clones; web1 and web2 have data of their own.
prepare_guests () {
  local guest
  make_source "$T/source"
  pack_source "$T/source" "$T/small.tar"
  vtemplate -q import small "$T/small.tar"
  vguest -q web1,web2,other build -m clone -- -s small
  for guest in web1 other; do
    # shellcheck disable=SC2016
    in_guest "$guest" '
      echo "own data" >home/user/data
      ln home/user/data home/user/partner
      echo "a line" >>var/log/messages
      setfattr -n user.own -v yes home/user/data 2>/dev/null || true
      touch -d @1700000000.5 home/user/data home/user var/log/messages'
    vhashify -q "$guest"
  done
}

# What an upgrade does to a guest and more: every form that overlayfs has for a change. Times are
# set at the end, as the same change is made more than once.
# shellcheck disable=SC2016
changes='
  mv usr/share/doc usr/share/docs
  echo more >usr/share/docs/more
  rm usr/share/docs/same1
  chmod 0600 usr/lib/lib01.so
  rm usr/bin/tool-symlink
  rm -rf usr/lib/deep
  mkdir usr/lib/deep
  echo deep >usr/lib/deep/file
  ln usr/lib/deep/file usr/lib/deep/partner
  rm usr/lib/dangling
  mkdir usr/lib/dangling
  echo turned >usr/lib/dangling/file
  rm -rf srv
  echo "was a directory" >srv
  echo "version 2" >usr/lib/lib02.new
  mv -f usr/lib/lib02.new usr/lib/lib02.so
  mv usr/lib/lib03.so usr/lib/lib04.so
  ln usr/bin/tool usr/bin/tool-again
  echo "#!/bin/sh" >usr/bin/new-setuid
  chmod 4755 usr/bin/new-setuid
  mkdir usr/lib/new
  ln -s ../lib01.so usr/lib/new/link
  echo own >home/user/own
  echo "a line" >>var/log/messages
  touch -d @1700000001.25 usr/share/docs/more usr/lib/deep/* usr/lib/deep usr/lib/dangling/* \
    usr/lib/dangling srv usr/lib/lib02.so usr/bin/new-setuid usr/lib/new home/user/own \
    home/user usr/share/docs usr/share usr/lib usr/bin var/log/messages
  touch -h -d @1700000001.25 usr/lib/new/link
  touch -d @1700000001.25 .'

# The shell and tools that a transaction needs, from the host.
add_tools () {
  local dir=$1 tool program file
  mkdir -p "$dir"/{proc,sys}
  for tool in sh mv ln rm touch mkdir chmod; do
    program=$(type -P "$tool") || skip "needs $tool"
    cp -L "$program" "$dir/bin/$tool"
    while read -r file; do
      mkdir -p "$dir${file%/*}"
      [ -e "$dir$file" ] || cp -L "$file" "$dir$file"
    done < <(ldd "$program" | grep -o '/[^ ]*')
  done
}

prepare_tools () {
  make_source "$T/source"
  add_tools "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,other build -m clone -- -s small
}

# --- templates

prepare_import () {
  prepare_guests
  # Some of it is in the store.
  echo "another library" >"$T/source/usr/lib/lib03.so"
  echo "only here" >"$T/source/usr/lib/new.so"
  pack_source "$T/source" "$T/new.tar"
}

command_import () {
  COMMAND=(vtemplate -q import new "$T/new.tar")
}

prepare_import_dir () {
  prepare_import
}

command_import_dir () {
  COMMAND=(vtemplate -q import new "$T/source")
}

prepare_update () {
  prepare_guests
  pack_source "$T/source" "$T/lone.tar"
  vtemplate -q import lone "$T/lone.tar"
  echo "another library" >"$T/source/usr/lib/lib03.so"
  rm -r "$T/source/usr/lib/deep"
  pack_source "$T/source" "$T/small.tar"
  cp "$T/small.tar" "$T/lone.tar"
}

# Nobody uses the first generation of lone: it goes. With nothing newer left, gc takes it.
command_update () {
  COMMAND=(vtemplate -q update --all)
  AGAIN=(update_again)
}

update_again () {
  vtemplate -q update --all
  vtemplate -q gc
}

verify_update () {
  [ -d "$VGUEST_ROOT/templates/lone/1" ] || [ -d "$VGUEST_ROOT/templates/lone/2" ] ||
    echo "no generation of lone is left"
}

prepare_template_delete () {
  prepare_guests
  echo "only here" >"$T/source/usr/lib/new.so"
  vtemplate -q import lone "$T/source"
}

command_template_delete () {
  COMMAND=(vtemplate -q delete lone --yes)
}

# --- guests

prepare_clone () {
  prepare_guests
}

command_clone () {
  COMMAND=(vguest -q "new1,new2" build -m clone -- -s small)
}

prepare_clone_guest () {
  prepare_guests
}

command_clone_guest () {
  COMMAND=(vguest -q new1 build -m clone -- -s guest:web1)
}

prepare_replace () {
  prepare_guests
  in_guest web2 'rm usr/lib/lib01.so'
  vhashify -q web2
}

command_replace () {
  COMMAND=(vguest -q web2 build -m clone --force -- -s small)
}

# The old guest is in aside/ exactly when the name has the new one.
verify_replace () {
  local aside replaced=0
  aside=$(find "$VGUEST_ROOT/aside" -mindepth 1 -maxdepth 1 | wc -l)
  [ ! -e "$VGUEST_ROOT/guests/web2/tree/usr/lib/lib01.so" ] || replaced=1
  [ "$aside" -ge "$replaced" ] || echo "the guest that was replaced is gone"
}

prepare_delete () {
  prepare_guests
  in_guest web2 'echo new >usr/lib/of-web2'
  vhashify -q web2
}

command_delete () {
  COMMAND=(vguest -q 'web?' delete --yes)
}

prepare_rename () {
  prepare_guests
  vguest -q other set depends=web1
}

command_rename () {
  COMMAND=(vguest -q web1 rename moved)
}

verify_rename () {
  local names
  names=$(cd "$VGUEST_ROOT/guests" && echo web1* moved*)
  case $names in
    web1\ * | *\ moved) ;;
    *) echo "the guest has the names $names" ;;
  esac
}

# --- layers

prepare_fold () {
  prepare_guests
  in_guest web1 "$changes"
  in_guest web2 "$changes"
}

command_fold () {
  COMMAND=(vhashify -q --all)
}

# tear DIR: gives the tree in it inodes of its own.
tear () {
  local dir=$VGUEST_ROOT/$1
  cp -a "$dir/tree" "$dir/alone"
  rm -r "$dir/tree"
  mv "$dir/alone" "$dir/tree"
}

# As if the root had been restored from a backup that keeps no hard links.
prepare_unify () {
  local guest
  prepare_guests
  for guest in web1 web2 other; do
    tear "guests/$guest"
  done
  tear templates/small/1
  rm -rf "$VGUEST_ROOT"/store/*
}

command_unify () {
  COMMAND=(vhashify -q --all)
}

prepare_gc () {
  prepare_guests
  vguest -q more build -m clone -- -s small
  in_guest more 'for i in 1 2 3 4 5 6 7 8 9; do echo $i >usr/lib/of-more$i; done'
  vhashify -q more
  # Nobody can collect what it leaves.
  flock -s "$VGUEST_ROOT/lock" vguest -q more delete --yes
}

command_gc () {
  COMMAND=(vstore -q gc)
}

verify_gc () {
  find "$VGUEST_ROOT/store" -type f -links 1 -printf 'the object %P is left\n'
}

prepare_commit () {
  prepare_tools
}

command_commit () {
  COMMAND=(vguest -q web1 exec -- sh -euc "cd /; $changes")
}

prepare_rollback () {
  prepare_tools
  vguest -q web1 exec -- sh -euc "cd /; $changes"
}

command_rollback () {
  COMMAND=(vguest -q web1 rollback --yes)
  # A second one would undo the first.
  AGAIN=()
}

# --- equal in contents alone

# Of web1 and web2 three files have the contents of those of other, and metadata of their own; one
# is in a directory whose times are known. No template has those of web1 and web2.
prepare_contents_guests () {
  make_source "$T/source"
  head -c 9000 /dev/urandom >"$T/source/usr/lib/one.so"
  head -c 20000 /dev/urandom >"$T/source/usr/lib/deep/two.so"
  vtemplate -q import small "$T/source"
  touch -d @1600000000.5 "$T/source/usr/lib/one.so" "$T/source/usr/lib/deep/two.so" \
    "$T/source/usr/lib/lib01.so"
  chmod 0640 "$T/source/usr/lib/deep/two.so"
  touch -d @1600000000.25 "$T/source/usr/lib" "$T/source/usr/lib/deep"
  vtemplate -q import later "$T/source"
  vguest -q other build -m clone -- -s small
  vguest -q web1 build -m clone -- -s later
  chmod 0600 "$T/source/usr/lib/one.so"
  vtemplate -q import last "$T/source"
  vguest -q web2 build -m clone -- -s last
  vtemplate -q delete later --yes
  vtemplate -q delete last --yes
}

prepare_unify_contents () {
  prepare_contents_guests
}

command_unify_contents () {
  COMMAND=(vhashify -q --contents --all)
}

prepare_unify_whole () {
  prepare_contents_guests
  vhashify -q --contents --all
}

# With nothing left to be made whole it ends with status 4.
command_unify_whole () {
  COMMAND=(vhashify -q --no-contents)
}
