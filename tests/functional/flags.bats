#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The immutable and append-only flags that a guest's administrator sets stay, whatever is done to
# the guest.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq chattr lsattr catatonit
  make_tools_guests web1
}

root_of () {
  echo "/proc/$(vguest "$1" status --json | jq '.guests[0].init_pid')/root"
}

# flags NAME PATH: i, a, both, or nothing.
flags () {
  lsattr -d "$(root_of "$1")/$2" | cut -d' ' -f1 | tr -dc ia
}

# are_protected NAME
are_protected () {
  local root
  root=$(root_of "$1")
  echo "flags in $1"
  [ "$(flags "$1" home/user/mine)" = i ]
  [ "$(flags "$1" home/user/too)" = i ]
  same_inode "$root/home/user/mine" "$root/home/user/too"
  [ "$(flags "$1" home/user/log)" = a ]
  [ "$(flags "$1" usr/share/doc/doc03)" = i ]
  [ "$(flags "$1" home/user/kept)" = i ]
  [ "$(flags "$1" srv)" = i ]
  [ -z "$(flags "$1" usr/share/doc/doc04)" ]
  refute rm "$root/usr/share/doc/doc03"
  refute touch "$root/srv/new"
  refute touch "$root/home/user/kept/new"
  refute sh -c "echo x >'$root/home/user/log'"
  [ "$(cat "$root/usr/share/doc/doc03")" = "document 03" ]
}

@test "flags stay when a guest is stopped, unified, started and cloned" {
  local root
  vguest -q web1 start
  root=$(root_of web1)
  echo mine >"$root/home/user/mine"
  ln "$root/home/user/mine" "$root/home/user/too"
  echo one >"$root/home/user/log"
  mkdir "$root/home/user/kept"
  echo in >"$root/home/user/kept/file"
  chattr +i "$root/home/user/mine" "$root/home/user/kept" "$root/usr/share/doc/doc03" "$root/srv"
  chattr +a "$root/home/user/log"
  are_protected web1
  vguest -q web1 stop --timeout 0
  vhashify -q web1
  vguest -q web1 exec -- sh -c 'echo more >/home/user/other; mkdir /usr/lib/new'
  vguest -q web2 build -m clone -- -s web1
  vguest -q web1 start
  are_protected web1
  vguest -q web2 start
  are_protected web2
  vguest -q 'web[1-2]' stop --timeout 0
  check_root
}

@test "a protected file that overlayfs has noted something down of can be cloned" {
  local root
  vguest -q web1 start
  root=$(root_of web1)
  # Renamed it has its old name noted down, which stays when it is written to.
  mv "$root/usr/lib/lib02.so" "$root/home/user/renamed"
  echo more >>"$root/home/user/renamed"
  chattr +i "$root/home/user/renamed"
  vguest -q web1 stop --timeout 0
  vguest -q web2 build -m clone -- -s web1
  vguest -q 'web[1-2]' start
  [ "$(flags web1 home/user/renamed)" = i ]
  [ "$(flags web2 home/user/renamed)" = i ]
  vguest -q 'web[1-2]' stop --timeout 0
  check_root
}
