# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Packages of rpm of our own, repositories of them, and guests that have rpm, dnf and zypper: `load
# ../lib/rpm` behind common and guests.
#
# The guests are a Debian (need_tar rpm) with dnf, zypper, and rpm's database in its place. What they
# have of Debian is not in it: one package stands for the whole.

skip_unless_rpm () {
  skip_unless_runtime
  skip_unless_program rpmbuild createrepo_c jq tar
}

# rpm_build DIR NAME VERSION SPEC: builds a package from the rest of a spec file.
rpm_build () {
  local dir=$1 name=$2 version=$3 spec=$4 build
  build=$(mktemp -d "$T/rpmbuild.XXXXXX")
  cat >"$build/spec" <<SPEC
Name: $name
Version: $version
Release: 1
Summary: a test
License: none
BuildArch: noarch
$spec
SPEC
  mkdir -p "$dir"
  rpmbuild -bb --quiet --define "_topdir $build" --define "_rpmdir $dir" \
    --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
    --define 'use_source_date_epoch_as_buildtime 1' "$build/spec"
  rm -r "$build"
}

# make_rpm DIR NAME VERSION [SCRIPTLETS [TAGS]]: a package with a library, a set-id program, a
# program with a capability, and two configuration files, one of them noreplace: all carry the
# version. SCRIPTLETS: "%post" and a script, as in a spec file; TAGS: "Requires: x".
make_rpm () {
  local dir=$1 name=$2 version=$3
  SOURCE_DATE_EPOCH=1704067200 rpm_build "$dir" "$name" "$version" "${5:-}
%description
A test.
%install
mkdir -p %{buildroot}/usr/lib/$name %{buildroot}/usr/bin %{buildroot}/etc
head -c 50000 /dev/zero | tr '\\0' '${version:0:1}' >%{buildroot}/usr/lib/$name/data
printf '#!/bin/sh\\necho %s\\n' '$version' >%{buildroot}/usr/bin/$name
echo 'capable $version' >%{buildroot}/usr/bin/$name-cap
echo 'configuration of $version' >%{buildroot}/etc/$name.conf
echo 'site of $version' >%{buildroot}/etc/$name.site
find %{buildroot} -exec touch -d '2024-01-01 00:00:00' {} +
${4:-}
%files
%attr(4755,root,root) /usr/bin/$name
%attr(0755,root,root) %caps(cap_net_raw=ep) /usr/bin/$name-cap
%config(noreplace) /etc/$name.conf
%config /etc/$name.site
/usr/lib/$name"
}

# make_big_rpm DIR NAME VERSION BYTES: one with a payload that does not compress.
make_big_rpm () {
  rpm_build "$1" "$2" "$3" "
%description
A test.
%install
mkdir -p %{buildroot}/usr/lib/$2
head -c $4 /dev/urandom >%{buildroot}/usr/lib/$2/payload
%files
/usr/lib/$2"
}

# make_system_rpm DIR: the package that stands for what the guests have of Debian.
make_system_rpm () {
  rpm_build "$1" base-system 1 "
Provides: /bin/sh
%description
What the system has.
%files"
}

make_rpm_index () {
  createrepo_c --quiet "$1"
}

# put_tree GUEST DIR FROM: DIR of the guest becomes the same as FROM.
put_tree () {
  tar -C "$3" -c . | vguest -q "$1" exec -- sh -c \
    "rm -rf '$2' && mkdir -p '$2' && tar -C '$2' -x --no-same-owner"
}

# set_repository GUEST URL: its only repository, for dnf and zypper.
set_repository () {
  # shellcheck disable=SC2016 # for the guest's shell
  vguest -q "$1" exec -- sh -c '
    printf "[vgrepo]\\nname=test\\nbaseurl=%s\\nenabled=1\\ngpgcheck=0\\n" "$0" |
      tee /etc/yum.repos.d/test.repo >/etc/zypp/repos.d/test.repo' "$2"
}

# publish_rpms GUEST DIR: the packages of DIR are the guest's repository, in a directory of its own.
publish_rpms () {
  make_rpm_index "$2"
  put_tree "$1" /srv/repo "$2"
}

# make_rpm_base: the guest "base" has version 1.0 of vgtest installed, and 2.0 to come in its own
# repository (which is in $BATS_FILE_TMPDIR/repo as well), whose %pre fails where the file
# /etc/fail-here is.
make_rpm_base () {
  local repo=$BATS_FILE_TMPDIR/repo
  make_debian_guests rpm base
  make_system_rpm "$repo"
  make_rpm "$repo" vgtest 1.0
  publish_rpms base "$repo"
  set_repository base file:///srv/repo
  vguest -q base exec -- sh -c 'rpm -i --justdb /srv/repo/base-system-*.rpm &&
    rpm -i /srv/repo/vgtest-1.0-*.rpm' 2>/dev/null
  make_rpm "$repo" vgtest 2.0 '%pre
test ! -e /etc/fail-here'
  publish_rpms base "$repo"
}

# serve_rpms DIR GUEST…: by serve_dir, as these guests' repository.
serve_rpms () {
  local guest
  skip_unless_program python3
  serve_dir "$1"
  for guest in "${@:2}"; do
    # shellcheck disable=SC2154 # serve_dir sets it
    set_repository "$guest" "http://127.0.0.1:$port"
  done
}

# requests PATTERN: how often a file was asked for.
requests () {
  grep -c -- "$1" "$T/access" || true
}

# make_evil GUEST PROGRAM: its dnf or zypper puts another package in place of each vgtest 2.0 that it
# downloads, with the attributes of the true one and its time. Where that is installed there is
# /etc/owned.
make_evil () {
  make_rpm "$T/evil" vgtest 2.0 '%post
touch /etc/owned'
  put_tree "$1" /srv/evil "$T/evil"
  vguest -q "$1" exec -- sh -c 'mv "/usr/bin/$0" /usr/bin/manager && cat >"/usr/bin/$0" &&
    chmod 755 "/usr/bin/$0"' "$2" <<'END'
#!/usr/bin/python3
import os, pathlib, subprocess, sys
status = subprocess.call(["/usr/bin/manager"] + sys.argv[1:])
if {"--downloadonly", "--download-only"} & set(sys.argv):
    evil = next(pathlib.Path("/srv/evil").glob("vgtest-2.0*.rpm")).read_bytes()
    for path in pathlib.Path("/var/cache").rglob("vgtest-2.0*.rpm"):
        sums = [(name, os.getxattr(path, name)) for name in os.listxattr(path)]
        times = path.stat().st_mtime_ns
        path.write_bytes(evil)
        os.utime(path, ns=(times, times))
        for name, value in sums:
            os.setxattr(path, name, value)
sys.exit(status)
END
}

capability () {
  getcap "$(guest_file "$1" "$2")" | cut -d ' ' -f 2
}

# Sets up one root for all tests of a file, with the guest of make_rpm_base. Each test gets clones of
# it.
setup () {
  common_setup
  export VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_rpm
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_rpm_base
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  vguest -q 'web[1-3]' build -m clone -- -s base
}

teardown () {
  end_jobs
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q --running stop --timeout 0 || true
    vguest -q 'web[1-3]' delete --yes || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

# is_intact GUEST: rpm finds its database and all files as they should be, but for changed
# configuration.
is_intact () {
  local found
  found=$(vguest "$1" exec --discard -- sh -c 'rpm --verifydb && rpm -Va --noconfig' 2>&1) &&
    [ -z "$found" ] && return
  echo "$found"
  return 1
}
