#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Inside a guest all is normal: running guests and their twins, plain directories, get the same
# random operations (tests/model/twin.c) over cycles of start, stop (which folds and unifies),
# transactions as upgrades are, hashify and clone, and are the same to tar after each of them.
#
#   VGUEST_TWIN_SEED    the first seed, 1 when it is missing
#   VGUEST_TWIN_CYCLES  how many cycles, 2; the full test has 20
#   VGUEST_TWIN_OPS     operations in a guest and cycle, 100; the full test has 250

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq tar python3 catatonit
  TWIN=${CHECK_ROOT%/lib/*}/model/twin
}

teardown () {
  end_guests
  [ -z "${T:-}" ] || chattr -R -f -i -a "$T"/twin* 2>/dev/null || true
  common_teardown
}

# The root of a running guest.
root_of () {
  echo "/proc/$(vguest "$1" status --json | jq '.guests[0].init_pid')/root"
}

# What tar makes of a directory. A socket is nothing to tar; twin compares those.
tar_of () {
  tar --sort=name --xattrs --xattrs-include='*' --acls --numeric-owner --format=posix \
    --pax-option=delete=atime,delete=ctime,exthdr.name=%d/%f.pax -C "$1" -c . 2>"$T/tar.err" |
    "$TESTS_DIR/lib/tar-sorted" >"$2"
  refute grep -v "socket ignored" "$T/tar.err"
}

# same NAME TWIN WHEN [compare|clone]
same () {
  local root
  root=$(root_of "$1")
  echo "$3: $1"
  timeout 100 "$TWIN" "${4:-compare}" "$root/model" "$2"
  tar_of "$root/model" "$T/guest.tar"
  tar_of "$2" "$T/twin.tar"
  cmp "$T/guest.tar" "$T/twin.tar" || {
    diff <(tar -tvvf "$T/twin.tar" --xattrs --acls) <(tar -tvvf "$T/guest.tar" --xattrs --acls)
    cmp -l "$T/guest.tar" "$T/twin.tar" | head -n 20
    [ -z "${VGUEST_TWIN_KEEP:-}" ] || cp "$T"/*.tar "$VGUEST_TWIN_KEEP"
    return 1
  }
}

# The rooms of /model have policies as those of a real guest.
make_policy () {
  cat >"$T/policy" <<'END'
eager /model/usr
eager /model/etc
private /model/home
private /model/var
private /etc/hostname
private /etc/hosts
END
  export VGUEST_POLICY=$T/policy
}

# upgrade DIR CYCLE: a script that replaces files as a package manager does. It has a directory of
# its own: what the operations made immutable would stop it half way.
upgrade () {
  cat <<END
mkdir -p $1 && cd $1
for i in 1 2 3 4; do
  echo "\$((i / 2)) of $2" >f\$i.new
  [ ! -e f\$i ] || ln f\$i f\$i.old
  mv f\$i.new f\$i
  rm -f f\$i.old
done
ln f1 l$2
END
}

@test "random operations: a guest is what its twin is, cycle by cycle" {
  local seed=${VGUEST_TWIN_SEED:-1} cycles=${VGUEST_TWIN_CYCLES:-2} ops=${VGUEST_TWIN_OPS:-100}
  local cycle i
  make_policy
  make_tools_template "$T/tools"
  mkdir "$T/tools/model"
  "$TWIN" grow "$seed" 150 "$T/tools/model"
  vtemplate -q import tools "$T/tools"
  vguest -q 'web[1-2]' build -m clone -- -s tools
  vguest -q web3 build -m clone --thin -- -s tools
  vguest -q 'web[1-3]' start
  for i in 1 2 3; do
    mkdir "$T/twin$i"
    "$TWIN" copy "$(root_of "web$i")/model" "$T/twin$i"
    same "web$i" "$T/twin$i" "at first"
  done
  for ((cycle = 1; cycle <= cycles; cycle++)); do
    for i in 1 2 3; do
      echo "cycle $cycle, web$i"
      timeout 300 "$TWIN" operate "$((seed * 1000 + cycle * 10 + i))" "$ops" \
        "$(root_of "web$i")/model" "$T/twin$i"
      same "web$i" "$T/twin$i" "cycle $cycle, running"
    done
    vguest -q 'web[1-3]' stop --timeout 0
    vguest -q 'web[1-3]' exec -- sh -ec "$(upgrade /usr/upgraded "$cycle")"
    sh -ec "$(upgrade "$T/upgraded" "$cycle")"
    [ $((cycle % 2)) = 1 ] || vhashify -q --all
    if [ $((cycle % 3)) = 2 ]; then
      vguest -q web4 build -m clone -- -s web1
      vguest -q web4 start
      same web4 "$T/twin1" "cycle $cycle, the clone" clone
      vguest -q web4 stop --timeout 0
      vguest -q web4 delete --yes
    fi
    vguest -q 'web[1-3]' start
    for i in 1 2 3; do
      same "web$i" "$T/twin$i" "cycle $cycle, started again"
      (cd "$(root_of "web$i")/usr/upgraded" && sha256sum ./* && same_inode f1 "l$cycle") |
        diff <(cd "$T/upgraded" && sha256sum ./*) -
    done
  done
  vguest -q 'web[1-3]' stop --timeout 0
  check_root
}
