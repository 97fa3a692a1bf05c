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

# wait_for COMMAND…: until it succeeds, a minute at most.
wait_for () {
  local _
  for _ in {1..1200}; do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  echo "waited in vain: $*"
  return 1
}

# The milliseconds that vguest-stat may take for 50 guests that run. Under sanitizers everything takes
# several times as long.
stat_limit () {
  if grep -q __asan_init "$VGUEST_BIN_DIR/vguest"; then echo 1000; else echo 200; fi
}

# need_tar KIND: a Debian 12 made by mmdebstrap once for all tests of a run; its path is in $tar.
# Skips without a mirror.
#
#   services   systemd, dbus, openssh-server, cron, nginx, iproute2, procps
#   sysvinit   sysvinit with sysv-rc, busybox, cron, procps
#   openrc     sysvinit with OpenRC, and openrc-init; cron, procps
#   pacman     pacman and repo-add
#   rpm        dnf, rpm and zypper, and neither dpkg nor apt; see tests/lib/rpm.bash
need_tar () {
  local cache=${VGUEST_TEST_CACHE:-$BATS_RUN_TMPDIR/cache} packages customize=()
  case $1 in
    rpm)
      packages=dnf,rpm,zypper
      # shellcheck disable=SC2016 # $1 is for the hook
      customize=(--customize-hook='sh "$RPM_SYSTEM" "$1"')
      export RPM_SYSTEM=$TESTS_DIR/lib/rpm-system
      ;;
    services) packages=systemd-sysv,dbus,openssh-server,cron,logrotate,nginx-light,iproute2,procps ;;
    sysvinit) packages=sysvinit-core,initscripts,sysv-rc,busybox,cron,procps ;;
    openrc) packages=sysvinit-core,openrc,cron,procps ;;
    pacman) packages=pacman-package-manager,makepkg,libarchive-tools,libcap2-bin ;;
  esac
  skip_unless_mirror
  mkdir -p "$cache"
  # shellcheck disable=SC2034 # is for the caller
  tar=$cache/$1.tar
  (
    flock 9
    [ -e "$cache/$1.tar" ] || {
      # The mirror may fail once. No test's descriptors (bats has some open) for the bootstrap.
      for _ in 1 2 3; do
        mmdebstrap --quiet --variant=minbase --include="$packages" "${customize[@]}" bookworm \
          "$cache/$1.new.tar" 3>&- 4>&- 9>&- && mv "$cache/$1.new.tar" "$cache/$1.tar" && break
        sleep 5
      done
    } >&2
  ) 9>"$cache/$1.lock"
}

# make_debian_guests KIND NAMES: guests of the template KIND, see need_tar.
make_debian_guests () {
  need_tar "$1"
  [ -e "$VGUEST_ROOT/templates/$1" ] || vtemplate -q import "$1" "$tar"
  vguest -q "$2" build -m clone -- -s "$1"
}

# inside NAME COMMAND…: in the namespaces of a running guest, without vguest's own exec.
inside () {
  local pid
  pid=$(vguest "$1" status --json | jq '.guests[0].init_pid')
  shift
  nsenter -t "$pid" -a "$@"
}

# put NAME PATH MODE: a file of standard input into the private layer of a stopped guest. Its
# directory is in the tree.
put () {
  local dir=$VGUEST_ROOT/guests/$1/private/${2%/*}
  mkdir -p "$dir"
  cat >"$dir/${2##*/}"
  chmod "$3" "$dir/${2##*/}"
}

# What a guest sees, as a manifest.
view () {
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/$1"
}

# entries NAME FILTER: of the guest's transactions.
entries () {
  vguest "$1" history --json | jq -c "[.guests[0].transactions[] | $2]"
}
