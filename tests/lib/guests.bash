# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Guests for the functional tests: `load ../lib/guests` behind common.

# make_tools_template DIR: a root file system from the host's own shell and tools, with the
# libraries they need.
make_tools_template () {
  local dir=$1 tool program file
  make_small_template "$dir"
  mkdir -p "$dir"/{proc,sys,usr/sbin}
  for tool in sh cat sleep true touch ls rm mkdir mv ln chmod chown id hostname stat env sort \
    mount mknod stty tty head sha256sum seq; do
    program=$(type -P "$tool") || skip "needs $tool"
    cp -L "$program" "$dir/bin/$tool"
    while read -r file; do
      mkdir -p "$dir${file%/*}"
      [ -e "$dir$file" ] || cp -L "$file" "$dir$file"
    done < <(ldd "$program" | grep -o '/[^ ]*')
  done
}

# make_tools_guests NAMES: guests of the template "tools" of it; the tree is made once per file.
make_tools_guests () {
  [ -e "$BATS_FILE_TMPDIR/tools" ] || make_tools_template "$BATS_FILE_TMPDIR/tools"
  [ -e "$VGUEST_ROOT/templates/tools" ] || vtemplate -q import tools "$BATS_FILE_TMPDIR/tools"
  vguest -q "$1" build -m clone -- -s tools
}

# configure NAME FILTER: changes config.json by jq.
configure () {
  local file=$VGUEST_ROOT/guests/$1/config.json
  jq "$2" "$file" >"$T/config" && cat "$T/config" >"$file"
}

# run_plain NAME SCRIPT: sets the guest's command to a shell script.
run_plain () {
  configure "$1" "$(jq -n --arg script "$2" '{init: "plain", command: ["sh", "-c", $script]}' |
    sed '1s/^/. + /')"
}

# The first eight digits of the root's id end the ids of containers.
root_id () {
  sed -n 's/.*"id": *"\([0-9a-f]\{8\}\).*/\1/p' "$VGUEST_ROOT/root.json"
}

run_dir () {
  echo "/run/vguest/@$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' "$VGUEST_ROOT/root.json")"
}

# assert_no_guests_left: no process, cgroup, mount, run directory or transaction of any guest.
assert_no_guests_left () {
  if find /sys/fs/cgroup -path "*/vguest/*-$(root_id)*" 2>/dev/null | grep .; then
    echo "a cgroup was left"
    return 1
  fi
  if grep -F "$(run_dir)" /proc/self/mountinfo; then
    echo "a mount was left"
    return 1
  fi
  if grep -lF "$VGUEST_ROOT" /proc/[0-9]*/mountinfo 2>/dev/null | grep .; then
    echo "a process with mounts of a guest was left"
    return 1
  fi
  if find "$(run_dir)" -mindepth 1 -maxdepth 1 ! -name '.*' | grep .; then
    echo "a run directory was left"
    return 1
  fi
  if find "$VGUEST_ROOT/guests" -mindepth 2 -maxdepth 2 -name ran | grep .; then
    echo "a guest was not folded"
    return 1
  fi
}

# in_state NAME STATE: for wait_for.
in_state () {
  [ "$(vguest "$1" status --json | jq -r '.guests[0].state')" = "$2" ]
}

# logged NAME TEXT: is that in the guest's log?
logged () {
  cat "$VGUEST_ROOT/guests/$1"/log/console.log* | grep -qF -- "$2"
}

# wait_for COMMAND…: until it succeeds, ten seconds at most.
wait_for () {
  local _
  for _ in {1..200}; do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  echo "waited in vain: $*"
  return 1
}
