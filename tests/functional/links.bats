#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hard links and holes in a running guest are those of a plain tree with the same history: to tar,
# rsync, cp and du, on a real Debian.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq rsync tar du catatonit
}

root_of () {
  echo "/proc/$(vguest "$1" status --json | jq '.guests[0].init_pid')/root"
}

# links_of ROOT: what each of the programs takes for hard links, and how much du counts.
links_of () {
  local copy
  copy=$(mktemp -d "$T/copy.XXXXXX")
  echo tar
  tar -C "$1" --sort=name -c usr | tar -tv | grep '^h' | sed 's/.*:[0-9][0-9] //'
  echo rsync
  rsync -aHn --out-format='%i %n%L' "$1/usr/" "$copy/" | grep '^h'
  echo cp
  cp -a "$1/usr/bin" "$1/usr/lib/groups" "$copy"
  find "$copy" -type f -links +1 -printf '%i %P\n' | sort -k2 |
    awk '{ if (!($1 in first)) first[$1] = $2; print $2, first[$1] }'
  rm -r "$copy"
  # Which of its names an inode is counted for goes by the order of directories.
  echo du
  (cd "$1" && du -ab usr | wc -l)
  (cd "$1" && find usr ! -type d -printf '%i %s\n' | sort -u | awk '{ sum += $2 } END { print sum }')
  (cd "$1" && du -ab usr | sort -k2 | awk -F'\t' '
    NR == FNR { dir[$0]; next } !($2 in dir) { sum += $1 } END { print sum }' \
    <(find usr -type d) -)
}

# same_links WHEN
same_links () {
  local name
  for name in web1 web2; do
    echo "$name, $1"
    diff "$T/wanted" <(links_of "$(root_of "$name")")
  done
}

# What an upgrade does: some files of a group are replaced, one group is made anew, one goes.
# shellcheck disable=SC2016
upgrade='
  cd /usr/lib/groups
  for group in a b; do
    echo "new $group" >$group-01.new
    for i in 02 03 04 05; do ln $group-01.new $group-$i.new; done
    for i in 01 02 03 04 05; do mv $group-$i.new $group-$i; done
  done
  rm c-*
  rm d-01
  echo new >e-01.new && ln e-01.new e-too && mv e-01.new e-01
'

@test "tar, rsync, cp and du see the hard links of a plain tree" {
  local group i
  make_debian_archive
  mkdir "$T/plain"
  tar -C "$T/plain" --numeric-owner --xattrs --xattrs-include='*' --acls -xf "$DEBIAN_ARCHIVE"
  mkdir "$T/plain/usr/lib/groups"
  for group in a b c d e; do
    # Equal files of several groups: they are no partners.
    echo "the same" >"$T/plain/usr/lib/groups/$group-01"
    touch -d 2024-01-01 "$T/plain/usr/lib/groups/$group-01"
    for i in 02 03 04 05; do
      ln "$T/plain/usr/lib/groups/$group-01" "$T/plain/usr/lib/groups/$group-$i"
    done
  done
  vtemplate -q import debian "$T/plain"
  vguest -q web1 build -m clone -- -s debian
  vguest -q web2 build -m clone --thin -- -s debian
  vguest -q 'web[1-2]' start
  links_of "$T/plain" >"$T/wanted"
  # The distribution's own, too: perl, gunzip.
  [ "$(grep -c '^h' "$T/wanted")" -gt 20 ]
  grep -q perl "$T/wanted"
  same_links "at first"

  chroot "$T/plain" sh -ec "$upgrade"
  links_of "$T/plain" >"$T/wanted"
  vguest -q 'web[1-2]' stop --timeout 0
  vguest -q 'web[1-2]' exec -- sh -ec "$upgrade"
  vguest -q 'web[1-2]' start
  same_links "upgraded"
  vguest -q 'web[1-2]' stop --timeout 0
  vhashify -q --all
  vguest -q 'web[1-2]' start
  same_links "unified"
  vguest -q 'web[1-2]' stop --timeout 0
  check_root
}

@test "groups that a guest made stay in private and exact, those below /usr are shared" {
  local root
  make_tools_guests web1
  vguest -q web1 start
  root=$(root_of web1)
  echo one >"$root/home/user/a"
  ln "$root/home/user/a" "$root/home/user/b"
  ln "$root/home/user/a" "$root/root/c"
  echo one >"$root/usr/lib/x"
  ln "$root/usr/lib/x" "$root/usr/lib/y"
  # A name outside keeps all of the group in private.
  echo one >"$root/usr/lib/mixed"
  ln "$root/usr/lib/mixed" "$root/home/user/mixed"
  vguest -q web1 stop --timeout 0
  vhashify -q web1
  same_inode "$VGUEST_ROOT"/guests/web1/private/{home/user/a,home/user/b,root/c}
  same_inode "$VGUEST_ROOT"/guests/web1/private/{usr/lib/mixed,home/user/mixed}
  same_inode "$VGUEST_ROOT"/guests/web1/tree/usr/lib/{x,y}
  vguest -q web1 start
  root=$(root_of web1)
  same_inode "$root"/{home/user/a,home/user/b,root/c}
  same_inode "$root"/usr/lib/{x,y}
  echo two >>"$root/home/user/b"
  [ "$(cat "$root/root/c")" = $'one\ntwo' ]
  echo two >>"$root/home/user/mixed"
  [ "$(cat "$root/usr/lib/mixed")" = $'one\ntwo' ]
  # The one difference: see vguest-view(7).
  echo two >>"$root/usr/lib/x"
  [ "$(cat "$root/usr/lib/y")" = one ]
  refute same_inode "$root"/usr/lib/{x,y}
  vguest -q web1 stop --timeout 0
  check_root
}

# are_sparse ROOT [BLOCKS]
are_sparse () {
  local file
  for file in var/lib/app/sparse usr/lib/sparse home/user/sparse; do
    echo "$1/$file: $(stat -c '%s bytes, %b blocks' "$1/$file")"
    [ "$(stat -c %s "$1/$file")" -ge 1048576 ]
    [ "$(stat -c %b "$1/$file")" -le "${2:-64}" ]
  done
}

@test "sparse files stay sparse: import, copy-up, fold, unify, clone and a template of a guest" {
  local root file
  make_tools_guests 'web[1-2]'
  vguest -q web1 start
  root=$(root_of web1)
  for file in usr/lib/sparse home/user/sparse; do
    truncate -s 20M "$root/$file"
    printf middle | dd of="$root/$file" bs=1 seek=10000000 conv=notrunc status=none
  done
  are_sparse "$root"
  vguest -q web1 stop --timeout 0
  vhashify -q --all
  vguest -q web1 start
  root=$(root_of web1)
  are_sparse "$root"
  # The kernel copies it up, with at most 1 MiB of a hole behind data.
  printf more >>"$root/usr/lib/sparse"
  are_sparse "$root" 2200
  vguest -q web1 stop --timeout 0
  vguest -q web3 build -m clone -- -s web1
  vtemplate -q import frozen guest:web1
  vguest -q web4 build -m clone --thin -- -s frozen
  vguest -q 'web[3-4]' start
  are_sparse "$(root_of web3)" 2200
  are_sparse "$(root_of web4)" 2200
  vguest -q 'web[3-4]' stop --timeout 0
  check_root
}
