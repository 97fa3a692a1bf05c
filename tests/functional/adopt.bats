#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest adopt: systems that are in use elsewhere become guests.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  [ -e "$BATS_FILE_TMPDIR/tools" ] || make_tools_template "$BATS_FILE_TMPDIR/tools"
}

teardown () {
  [ -z "${user:-}" ] || kill "$user" 2>/dev/null || true
  [ ! -e "$T/frozen" ] || chattr -R -i "$T/frozen"
  common_teardown
}

# make_system DIR: a system of its own, whose packages are those of the template "tools".
make_system () {
  mkdir -p "${1%/*}"
  cp -a "$BATS_FILE_TMPDIR/tools" "$1"
  echo "only here" >"$1/usr/lib/only-here"
  echo "a database" >"$1/var/lib/app/database"
  echo "host of old" >"$1/home/user/file"
}

import_tools () {
  vtemplate -q import tools "$BATS_FILE_TMPDIR/tools"
}

# view_of_tree DIR, view NAME: what a guest with this tree sees, and what a guest does.
view_of_tree () {
  rm -rf "$T/view"
  mkdir -p "$T/view/tree"
  cp -a "$1" "$T/view/private"
  touch -r "$1" "$T/view/tree" "$T/view/private"
  "$CHECK_ROOT" --view "$T/view"
}

view () {
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/$1"
}

# assert_settled NAME: what the template has is shared with it; data stayed private, identity too.
assert_settled () {
  local guest=$VGUEST_ROOT/guests/$1 template=$VGUEST_ROOT/templates/tools/1/tree
  same_inode "$guest/tree/bin/cat" "$template/bin/cat"
  same_inode "$guest/tree/usr/lib/deep/er/big1" "$template/usr/lib/deep/er/big1"
  [ -e "$guest/tree/usr/lib/only-here" ]
  [ "$(cat "$guest/private/var/lib/app/database")" = "a database" ]
  [ ! -e "$guest/tree/var/lib/app/database" ]
  [ "$(cat "$guest/private/home/user/file")" = "host of old" ]
  cmp "$guest/private/etc/machine-id" "$BATS_FILE_TMPDIR/tools/etc/machine-id"
  cmp "$guest/private/etc/ssh/ssh_host_ed25519_key" \
    "$BATS_FILE_TMPDIR/tools/etc/ssh/ssh_host_ed25519_key"
  [ ! -e "$guest/ran" ]
  [ ! -e "$guest/adoption.json" ]
  check_root
  assert_nothing_left
}

# setting NAME FILTER: of its config.json.
setting () {
  jq -c "$2" "$VGUEST_ROOT/guests/$1/config.json"
}

make_lxc () {
  make_system "$T/lxc/web/rootfs"
  mkdir -p "$T/data"
  echo shared >"$T/data/file"
  echo "lxc.environment = FROM=included" >"$T/lxc/web/more.conf"
  cat >"$T/lxc/web/config" <<END
lxc.include = $T/lxc/web/more.conf
lxc.include = /etc/passwd
lxc.uts.name = web.example.org
lxc.rootfs.path = dir:$T/lxc/web/rootfs
lxc.net.0.type = veth
lxc.net.0.link = lxcbr0
lxc.init.cmd = /bin/sleep 1000
lxc.prlimit.nofile = 1000:2000
lxc.cap.drop = net_raw
lxc.mount.entry = $T/data srv none bind,ro,create=dir 0 0
lxc.start.auto = 1
lxc.hook.start = /bin/true
END
}

@test "an LXC container becomes a guest that runs" {
  skip_unless_runtime
  skip_unless_program catatonit
  make_lxc
  import_tools
  view_of_tree "$T/lxc/web/rootfs" >"$T/before"
  run vguest web1 adopt "$T/lxc/web"
  assert_status 0
  assert_contains "$output" "copied here from lxc $T/lxc/web/rootfs"
  assert_contains "$output" "lxc.include /etc/passwd: "
  assert_contains "$output" "lxc.hook.start /bin/true: "
  assert_contains "$output" "lxc.net.0.link lxcbr0: "
  view web1 | diff "$T/before" -
  assert_settled web1
  [ "$(setting web1 '[.hostname, .network, .autostart, .environment.FROM]')" = \
    '["web.example.org","none",true,"included"]' ]
  # The container is as it was.
  view_of_tree "$T/lxc/web/rootfs" | diff "$T/before" -
  vguest -q web1 start
  [ "$(vguest web1 exec -- hostname)" = web.example.org ]
  [ "$(vguest web1 exec -- cat /srv/file)" = shared ]
  [ "$(vguest web1 exec -- cat /var/lib/app/database)" = "a database" ]
  # Some versions of runc raise the soft limit.
  [ "$(setting web1 .rlimits.nofile)" = '"1000:2000"' ]
  [ "$(vguest web1 exec -- sh -c 'ulimit -Hn')" = 2000 ]
  vguest -q web1 stop
  assert_no_guests_left
}

@test "a tree of nspawn becomes a guest that runs; a CNI network is joined" {
  skip_unless_runtime
  skip_unless_program catatonit
  make_system "$T/machines/mail"
  import_tools
  cat >"$T/machines/mail.nspawn" <<END
[Exec]
Boot=no
Parameters=/bin/sleep "1000"
Environment=COLOUR=blue
DropCapability=CAP_NET_RAW
[Files]
TemporaryFileSystem=/var/tmp:size=1M
[Network]
Port=tcp:8025:25
END
  run vguest mail adopt "$T/machines/mail"
  assert_status 0
  assert_contains "$output" "from nspawn"
  assert_contains "$output" "Port tcp:8025:25: "
  assert_settled mail
  [ "$(setting mail '[.command, .network, .hostname]')" = \
    '[["/bin/sleep","1000"],"none","template"]' ]
  vguest -q mail start
  vguest mail exec -- sh -c 'cat /proc/[0-9]*/environ' | grep -qa COLOUR=blue
  vguest -q mail stop
  run vguest mail2 adopt --cni lan --hostname mail2 "$T/machines/mail"
  assert_status 0
  [ "$(setting mail2 .network)" = '{"cni":"lan","ports":["8025:25/tcp"]}' ]
  # Another host name, in its own files as well.
  [ "$(setting mail2 .hostname)" = '"mail2"' ]
  [ "$(cat "$VGUEST_ROOT/guests/mail2/private/etc/hostname")" = mail2 ]
  grep -q "127.0.1.1.mail2" "$VGUEST_ROOT/guests/mail2/private/etc/hosts"
  check_root
}

make_vserver () {
  local dir=$T/vservers/config/www
  make_system "$T/vservers/www"
  mkdir -p "$dir"/{uts,interfaces/0,rlimits,apps/init,apps/pkgmgmt}
  echo www >"$dir/name"
  echo 1007 >"$dir/context"
  echo www.example.org >"$dir/uts/nodename"
  echo 192.0.2.10 >"$dir/interfaces/0/ip"
  echo 24 >"$dir/interfaces/0/prefix"
  echo eth0 >"$dir/interfaces/0/dev"
  echo 1024 >"$dir/rlimits/nofile.hard"
  echo NET_ADMIN >"$dir/bcapabilities"
  printf 'virt_mem\nsched_hard\n' >"$dir/flags"
  printf 'none /proc proc defaults 0 0\nnone /var/tmp tmpfs size=2m 0 0\n' >"$dir/fstab"
  echo plain >"$dir/apps/init/style"
  printf '/bin/sleep\n1000\n' >"$dir/apps/init/cmd.start"
  echo default >"$dir/apps/init/mark"
  : >"$dir/apps/pkgmgmt/internal"
  ln -s "$T/vservers/www" "$dir/vdir"
  ln -s /run/vservers/www "$dir/run"
}

@test "a util-vserver guest becomes a guest that runs" {
  skip_unless_runtime
  skip_unless_program catatonit
  make_vserver
  import_tools
  run vguest www adopt --json "$T/vservers/config/www"
  assert_status 0
  [ "$(json .type)" = vserver ]
  [ "$(json .source)" = "$T/vservers/www" ]
  [ "$(json '.leftovers[] | select(.key == "interfaces/0") | .value')" = "192.0.2.10/24 dev eth0" ]
  [ "$(json '[.leftovers[] | select(.key == "flags") | .value] | join(",")')" = sched_hard ]
  [ "$(json '[.leftovers[] | select(.why == "")] | length')" = 0 ]
  assert_settled www
  [ "$(setting www '[.hostname, .autostart, .capabilities.add, .rlimits.nofile]')" = \
    '["www.example.org",true,["CAP_NET_ADMIN"],"1024:1024"]' ]
  vguest -q www start
  [ "$(vguest www exec -- hostname)" = www.example.org ]
  [ "$(vguest www exec -- cat /home/user/file)" = "host of old" ]
  vguest -q www stop
  assert_no_guests_left
}

@test "an export of docker becomes a guest that runs" {
  skip_unless_runtime
  skip_unless_program catatonit
  make_system "$T/system"
  import_tools
  view_of_tree "$T/system" >"$T/before"
  tar -C "$T/system" --numeric-owner --xattrs --xattrs-include='*' --acls --format=pax -cf "$T/app.tar" .
  jq -n '[{Config: {Hostname: "app", Env: ["A=1"], Entrypoint: ["/bin/sleep"], Cmd: ["1000"],
    WorkingDir: "/home/user"}, HostConfig: {NetworkMode: "none", CapDrop: ["MKNOD"],
    RestartPolicy: {Name: "always"}, ReadonlyRootfs: true}, Mounts: []}]' >"$T/inspect.json"
  run vguest app adopt --dry-run --json --config "$T/inspect.json" "$T/app.tar"
  assert_status 0
  json .unified >"$T/told"
  [ ! -e "$VGUEST_ROOT/guests/app" ]
  run vguest app adopt --config "$T/inspect.json" --json "$T/app.tar"
  assert_status 0
  json .unified | diff "$T/told" -
  [ "$(json '.leftovers[] | select(.key == "ReadonlyRootfs") | .value')" = true ]
  assert_settled app
  # An archive has neither the times of the state of directories nor hard links' order to lose.
  view app | diff "$T/before" -
  vguest -q app start
  [ "$(vguest app exec -- hostname)" = app ]
  vguest app exec -- sh -c 'cat /proc/[0-9]*/environ' | grep -qa A=1
  vguest -q app stop
  run vguest app2 adopt --move "$T/app.tar"
  assert_status 2
  assert_contains "$output" "--move is for trees"
  run vguest app2 adopt --config "$VGUEST_POLICY" "$T/app.tar"
  assert_status 2
  check_root
}

@test "--dry-run changes nothing, and its figures are those of the run" {
  local before
  make_system "$T/chroot"
  import_tools
  mkdir -p "$T/chroot/var/cache/apt/archives" "$T/chroot/opt"
  echo deb >"$T/chroot/var/cache/apt/archives/x.deb"
  # A twin outside of what packages own, groups of hard links of both kinds, equal files.
  cp -a "$T/chroot/usr/lib/deep/er/big2" "$T/chroot/opt/twin"
  ln "$T/chroot/usr/lib/deep/er/big3" "$T/chroot/usr/lib/partner"
  ln "$T/chroot/usr/lib/lib02.so" "$T/chroot/home/partner"
  cp -a "$T/chroot/usr/lib/only-here" "$T/chroot/usr/lib/only-here-too"
  # The store makes empty directories when it is asked; "staging" had one for a moment.
  everything () {
    (cd "$T" && find root chroot ! -path 'root/lock*' ! -path root/staging \
      ! \( -path 'root/store*' -type d \) -printf '%p %i %s %T@ %C@ %n\n' | sort)
  }
  before=$(everything)
  run vguest web1 adopt -n --json "$T/chroot"
  assert_status 0
  [ "$(json .dry_run)" = true ]
  [ "$(json .unified.dropped)" = 1 ]
  [ "$(json .unified.linked_bytes)" -gt 100000 ]
  json .unified >"$T/told"
  [ "$(everything)" = "$before" ]
  run vguest web1 adopt --json "$T/chroot"
  assert_status 0
  json .unified | diff "$T/told" -
  [ ! -e "$VGUEST_ROOT/guests/web1/private/opt/twin" ]
  check_root
}

@test "--move leaves nothing behind" {
  make_lxc
  import_tools
  view_of_tree "$T/lxc/web/rootfs" >"$T/before"
  run vguest web1 adopt --move "$T/lxc/web"
  assert_status 0
  assert_contains "$output" "moved here from lxc"
  assert_contains "$output" "its configuration is still in $T/lxc/web/config"
  [ ! -e "$T/lxc/web/rootfs" ]
  view web1 | diff "$T/before" -
  assert_settled web1
}

@test "kill -9 while a tree is moved: it is where it was, or a guest" {
  local n done=0 undone=0
  skip_unless_program strace
  make_system "$T/saved"
  import_tools
  view_of_tree "$T/saved" >"$T/before"
  for ((n = 1; n <= 60 && done < 3; n++)); do
    [ -e "$T/tree" ] || cp -a "$T/saved" "$T/tree"
    strace -f -o /dev/null -e trace=renameat2,fsync,syncfs \
      -e inject=renameat2,fsync,syncfs:signal=KILL:when="$n" \
      vguest -q web1 adopt --move "$T/tree" >/dev/null 2>&1 || true
    # The next command that opens it.
    run vguest -q web1 set pids=100
    vstore -q gc
    if [ -e "$VGUEST_ROOT/guests/web1" ]; then
      assert_status 0
      [ ! -e "$T/tree" ]
      view web1 | diff "$T/before" -
      [ ! -e "$VGUEST_ROOT/guests/web1/adoption.json" ]
      done=$((done + 1))
      vguest -q web1 delete --yes
    else
      assert_status 5
      tree_list "$T/tree" | diff <(tree_list "$T/saved") -
      undone=$((undone + 1))
    fi
    check_root
    assert_nothing_left
  done
  echo "undone $undone, done $done"
  [ "$undone" -ge 2 ]
  [ "$done" -ge 3 ]
}

@test "shifted ids are shifted back" {
  make_system "$T/lxc/web/rootfs"
  import_tools
  chmod 4755 "$T/lxc/web/rootfs/usr/bin/setuid-tool"
  view_of_tree "$T/lxc/web/rootfs" >"$T/before"
  cp -a "$T/lxc/web/rootfs" "$T/plain"
  python3 - "$T/lxc/web/rootfs" <<'END'
import os, struct, sys
def shift (path):
    st = os.lstat(path)
    caps = {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)}
    os.chown(path, st.st_uid + 100000, st.st_gid + 100000, follow_symlinks=False)
    if not os.path.islink(path):
        os.chmod(path, st.st_mode & 0o7777)
    for name, value in caps.items():
        if name == "security.capability" and len(value) == 20:
            magic, = struct.unpack("<I", value[:4])
            value = struct.pack("<I", 0x03000000 | magic & 1) + value[4:] + struct.pack("<I", 100000)
        if name.startswith("system.posix_acl_"):
            out = value[:4]
            for at in range(4, len(value), 8):
                tag, perm, who = struct.unpack("<HHI", value[at:at + 8])
                out += struct.pack("<HHI", tag, perm, who + 100000 if tag in (2, 8) else who)
            value = out
        os.setxattr(path, name, value, follow_symlinks=False)
seen = set()
for top, dirs, files in os.walk(sys.argv[1], topdown=False):
    for name in files + dirs + ["."]:
        path = os.path.join(top, name)
        if name == "." and top != sys.argv[1]:
            continue
        ino = os.lstat(path).st_ino
        if ino not in seen:
            seen.add(ino)
            shift(path)
END
  printf 'lxc.uts.name = web\nlxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n' \
    >"$T/lxc/web/config"
  run vguest web1 adopt --move "$T/lxc/web"
  assert_status 2
  assert_contains "$output" "shifted"
  run vguest web1 adopt -n "$T/lxc/web"
  assert_status 0
  assert_contains "$output" "cannot be told"
  run vguest web1 adopt "$T/lxc/web"
  assert_status 0
  view web1 | diff "$T/before" -
  assert_settled web1
  # nspawn's way: no configuration, the owner of the top tells.
  mkdir "$T/machines"
  mv "$T/plain" "$T/machines/pick"
  chown -hR 131072:131072 "$T/machines/pick"
  touch "$T/machines/pick.nspawn"
  vguest -q web2 adopt "$T/machines/pick"
  [ "$(stat -c %u:%g "$VGUEST_ROOT/guests/web2/tree/bin/cat")" = 0:0 ]
  check_root
}

@test "what must not be adopted is refused, in one line, and untouched" {
  make_system "$T/tree"
  import_tools
  vguest -q web1 build -m clone -- -s tools
  refused () {
    local want=$1 text=$2
    shift 2
    run vguest new adopt "$@"
    assert_status "$want"
    assert_contains "$output" "$text"
    [ "${#lines[@]}" = 1 ]
    [ ! -e "$VGUEST_ROOT/guests/new" ]
    [ -z "$(ls -A "$VGUEST_ROOT/staging")" ]
  }
  refused 2 "managed by vguest" "$VGUEST_ROOT/guests/web1/private" --type chroot
  refused 2 "state root" "$T" --type chroot
  refused 2 "neither etc, usr nor bin" "$T/tree/home"
  refused 2 "no type" --type podman "$T/tree"
  refused 1 "No such file" "$T/missing"
  # Used by a process, or something is mounted in it.
  (cd "$T/tree/usr" && exec sleep 60) 3>&- &
  user=$!
  wait_for grep -qsx sleep "/proc/$user/comm"
  refused 1 "used by process $user" "$T/tree"
  kill "$user"
  wait "$user" || true
  chroot "$T/tree" /bin/sleep 60 3>&- &
  user=$!
  wait_for grep -qsx sleep "/proc/$user/comm"
  refused 1 "used by process $user" "$T/tree"
  kill "$user"
  wait "$user" || true
  user=
  mount -t tmpfs tmpfs "$T/tree/srv"
  refused 1 "is mounted" "$T/tree"
  umount "$T/tree/srv"
  # A layer of somebody's overlay.
  mkdir "$T/upper" "$T/upper/usr"
  mknod "$T/upper/usr/gone" c 0 0
  refused 2 "docker export" "$T/upper"
  rm "$T/upper/usr/gone"
  setfattr -n trusted.overlay.opaque -v y "$T/upper/usr"
  refused 2 "docker export" "$T/upper"
  run vguest web1 adopt "$T/tree"
  assert_status 1
  assert_contains "$output" "exists"
  if chattr +i "$T/tree/usr/lib/only-here" 2>/dev/null; then
    mv "$T/tree" "$T/frozen"
    refused 2 "immutable" --move "$T/frozen"
    run vguest new adopt "$T/frozen"
    assert_status 0
    assert_contains "$output" "chattr 1, the first: /usr/lib/only-here: "
  fi
  check_root
}
