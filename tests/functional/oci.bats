#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images of containers as sources: layouts and archives, whose trees are compared with what umoci
# makes of them; a real registry; and servers that misbehave.

load ../lib/common
load ../lib/guests
load ../lib/sources
load ../lib/oci

setup () {
  common_setup
  skip_unless_root
  skip_unless_program python3 tar jq umoci
  make_small_template "$T/source"
  rm "$T/source/dev/loop"
}

teardown () {
  stop_server
  stop_registry
  common_teardown
}

# What an upgrade and an administrator do to a system.
change_system () {
  rm -r usr/share/doc/base-files etc/apt
  rm usr/bin/wall
  mkdir etc/apt && echo new >etc/apt/sources.list
  rm -r usr/share/locale && echo "a file now" >usr/share/locale
  ln usr/bin/perl usr/bin/perl-too
  ln -f usr/bin/env usr/bin/printenv
  cp usr/bin/id usr/bin/id-cap
  setcap cap_net_raw+ep usr/bin/id-cap
  chmod 0711 var/lib
  chown 5:6 usr/bin/sum
}

change_again () {
  rm usr/share/locale && mkdir usr/share/locale && echo x >usr/share/locale/x
  rm usr/bin/perl
  echo more >>etc/passwd
  rm -r var/log && ln -s lib var/log
}

@test "a Debian with several layers is what umoci unpacks" {
  skip_unless_program setcap docker-registry skopeo htpasswd openssl
  make_debian_archive
  start_registry
  make_image debian tar --xattrs --xattrs-include='*' --acls --numeric-owner -xf "$DEBIAN_ARCHIVE"
  add_layer debian change_system
  add_layer debian change_again
  push debian
  vtemplate -q import debian "docker://$REGISTRY/test/image:debian" --creds anna:se:cret
  [ "$(vtemplate --json info debian | jq -r .architecture)" = "$(uname -m)" ]
  assert_unpacked debian "$(tree_of debian)"
  check_root
  assert_nothing_left
}

@test "layers that no tool makes: opaque directories, links across layers, through symlinks" {
  make_image a cp -a "$T/source/." .
  add_hand_made a opaque links through xattrs
  vtemplate -q import a "oci:$T/layout:a"
  # umoci gives a directory that is there before the marker the time of unpacking.
  assert_unpacked a "$(tree_of a)" >"$T/differences" || true
  [ "$(grep -c '^[<>]' "$T/differences")" = 2 ]
  grep -q "^> b'usr/lib/deep/er' d 755 0:0 0 1700000000\\.0" "$T/differences"
  [ "$(cat "$(tree_of a)/usr/lib/deep/er/new")" = "in an old directory" ]
  [ ! -e "$(tree_of a)/usr/lib/deep/er/big1" ]

  umoci tag --image "$T/layout:a" b
  add_hand_made b types
  vtemplate -q import b "oci:$T/layout:b"
  [ "$(cat "$(tree_of b)/usr/lib/deep")" = "was a directory" ]
  [ "$(cat "$(tree_of b)/usr/share/doc/doc01/inside")" = "was a file" ]
  assert_unpacked b "$(tree_of b)"
  check_root
}

@test "an archive; layers of zstd, and plain ones" {
  skip_unless_program skopeo
  make_image a cp -a "$T/source/." .
  add_layer a rm usr/share/doc/doc03
  skopeo --insecure-policy copy --quiet "oci:$T/layout:a" "oci-archive:$T/a.tar"
  gzip -k "$T/a.tar"
  skopeo --insecure-policy copy --quiet --dest-compress-format zstd "oci:$T/layout:a" \
    "oci:$T/zstd:z"
  skopeo --insecure-policy copy --quiet --dest-decompress "oci:$T/layout:a" "dir:$T/plain"
  grep -q 'tar+zstd' "$T"/zstd/blobs/sha256/*
  vtemplate -q import a "oci-archive:$T/a.tar"
  vtemplate -q import gz "oci-archive:$T/a.tar.gz"
  vtemplate -q import zstd "oci:$T/zstd"
  assert_unpacked a "$(tree_of a)"
  tree_list "$(tree_of zstd)" | diff - "$T/tree.list"
  tree_list "$(tree_of gz)" | diff - "$T/tree.list"
  run vtemplate update a
  assert_status 4
  umoci tag --image "$T/layout:a" b
  add_layer b rm usr/share/doc/doc04
  skopeo --insecure-policy copy --quiet "oci:$T/layout:b" "oci-archive:$T/b.tar"
  mv "$T/b.tar" "$T/a.tar"
  vtemplate update a
  [ ! -e "$VGUEST_ROOT/templates/a/2/tree/usr/share/doc/doc04" ]
  assert_nothing_left
}

# An index with the image a for two machines, in front of what else is in the layout.
make_index () {
  local other
  umoci tag --image "$T/layout:a" other
  umoci config --image "$T/layout:other" --architecture "$1"
  add_layer other sh -c "echo $1 >etc/machine"
  other=$(digest_of other)
  jq -c --arg other "$other" --arg arch "$1" --arg here "$(digest_of a)" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
      (.manifests[] | select (.digest == $other)
        | del (.annotations) | .platform = {os: "linux", architecture: $arch}),
      (.manifests[] | select (.digest == $here) | del (.annotations)
        | .platform = {os: "linux", architecture: "'"$2"'"})]}' \
    "$T/layout/index.json" >"$T/index"
  INDEX=sha256:$(sha256sum <"$T/index" | cut -d ' ' -f 1)
  cp "$T/index" "$(blob "$INDEX")"
  jq -c --arg digest "$INDEX" --argjson size "$(stat -c %s "$T/index")" '.manifests +=
    [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $digest, size: $size,
      annotations: {"org.opencontainers.image.ref.name": "both"}}]' \
    "$T/layout/index.json" >"$T/index.new"
  mv "$T/index.new" "$T/layout/index.json"
}

@test "an index for several machines: this host's, or the one that is named" {
  local here there=s390x
  make_image a cp -a "$T/source/." .
  here=$(umoci stat --image "$T/layout:a" --json >/dev/null && dpkg --print-architecture)
  [ "$here" != s390x ] || there=ppc64le
  make_index "$there" "$here"
  vtemplate -q import here "oci:$T/layout:both"
  [ ! -e "$(tree_of here)/etc/machine" ]
  vtemplate -q import there "oci:$T/layout:both" --platform "linux/$there"
  [ "$(cat "$(tree_of there)/etc/machine")" = "$there" ]
  run vtemplate import absent "oci:$T/layout:both" --platform linux/arm/v7
  assert_status 1
  assert_contains "$output" "there is no image for linux/arm; there are: linux/$there, linux/$here"
  run vtemplate import absent "oci:$T/layout:other"
  assert_status 1
  assert_contains "$output" "it is for linux/$there, and linux/$here is wanted"
  run vtemplate import absent "oci:$T/layout"
  assert_status 1
  assert_contains "$output" "there are several images: name one of"
  run vtemplate import absent "oci:$T/layout:nothing"
  assert_status 1
  assert_contains "$output" 'there is no image called "nothing"'
}

@test "what the image's config says becomes the guests' defaults" {
  make_image a cp -a "$T/source/." .
  umoci config --image "$T/layout:a" --config.user 1000:1000 --config.workingdir /home/user/ \
    --config.entrypoint /usr/bin/tool --config.cmd one --config.cmd "two words" \
    --config.env GREETING=hello --config.env "not-a-name=1" --config.stopsignal SIGQUIT
  vtemplate -q import a "oci:$T/layout:a"
  vguest -q a build -m clone -- -s a
  [ "$(jq -c .command "$VGUEST_ROOT/guests/a/config.json")" = '["/usr/bin/tool","one","two words"]' ]
  [ "$(vguest a get user)" = 1000:1000 ]
  [ "$(vguest a get working_dir)" = /home/user ]
  [ "$(vguest a get stop_signal)" = SIGQUIT ]
  [ "$(vguest a get environment.GREETING)" = hello ]
  refute jq -e '.environment["not-a-name"]' "$VGUEST_ROOT/guests/a/config.json"

  # Definitions go over them, and one with an init has no use for a command.
  mkdir -p "$T/definitions"
  export VGUEST_TEMPLATES=$T/definitions
  echo '{"source": {"type": "oci", "image": "oci:'"$T"'/layout:a"}, "guest": {"init": "systemd",
    "environment": {"A": "b"}}}' >"$T/definitions/init.json"
  vtemplate -q build init
  [ "$(vtemplate --json info init | jq -c .guest)" = '{"environment":{"A":"b"},"init":"systemd"}' ]
  echo '{"source": {"type": "oci", "image": "oci:'"$T"'/layout:a", "config": false}}' \
    >"$T/definitions/bare.json"
  vtemplate -q build bare
  [ "$(vtemplate --json info bare | jq -c .guest)" = null ]
}

@test "guests of an image, unpacked for them alone" {
  skip_unless_overlay
  make_image a cp -a "$T/source/." .
  vguest -q a,b build -m oci -- -s "oci:$T/layout:a"
  same_inode "$VGUEST_ROOT"/guests/{a,b}/tree/usr/lib/lib01.so
  [ -z "$(ls -A "$VGUEST_ROOT/templates")" ]
  run vguest c build -m oci -- -s "$T/layout"
  assert_status 2
  check_root
  assert_nothing_left
}

@test "a layout that is damaged is refused, and nothing of it left" {
  local digest
  make_image a cp -a "$T/source/." .
  digest=$(jq -r '.layers[0].digest' "$(blob "$(digest_of a)")")
  cp "$(blob "$digest")" "$T/whole"
  refuse () {
    run vtemplate import a "oci:$T/layout:a"
    assert_status 1
    assert_contains "$output" "$1"
    assert_no_trace
  }

  # One byte in the middle.
  printf '\377' | dd of="$(blob "$digest")" bs=1 seek=300 conv=notrunc status=none
  refuse "layer 1 of 1: its digest is sha256:"
  assert_contains "$output" "expected is $digest"

  head -c 1000 "$T/whole" >"$(blob "$digest")"
  refuse "it has 1000 bytes, expected are $(stat -c %s "$T/whole")"

  rm "$(blob "$digest")"
  refuse "open $digest of the layout: No such file"

  # A symlink to the right contents is none of the layout's files.
  ln -s "$T/whole" "$(blob "$digest")"
  refuse "open $digest of the layout"

  rm "$(blob "$digest")"
  cp "$T/whole" "$(blob "$digest")"
  printf ' ' >>"$(blob "$(digest_of a)")"
  refuse "expected is $(digest_of a)"

  # A config that says other contents.
  make_image b cp -a "$T/source/." .
  local config manifest
  config=$(jq -r .config.digest "$(blob "$(digest_of b)")")
  jq -c '.rootfs.diff_ids[0] = "sha256:'"$(printf '0%.0s' {1..64})"'"' "$(blob "$config")" \
    >"$T/config"
  cp "$T/config" "$(blob "sha256:$(sha256sum <"$T/config" | cut -d ' ' -f 1)")"
  jq -c --arg digest "sha256:$(sha256sum <"$T/config" | cut -d ' ' -f 1)" \
    --argjson size "$(stat -c %s "$T/config")" \
    '.config.digest = $digest | .config.size = $size' "$(blob "$(digest_of b)")" >"$T/manifest"
  manifest=sha256:$(sha256sum <"$T/manifest" | cut -d ' ' -f 1)
  cp "$T/manifest" "$(blob "$manifest")"
  jq -c --arg digest "$manifest" --argjson size "$(stat -c %s "$T/manifest")" '.manifests =
    [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
      annotations: {"org.opencontainers.image.ref.name": "a"}}]' \
    "$T/layout/index.json" >"$T/index.new"
  mv "$T/index.new" "$T/layout/index.json"
  refuse "the digest of its contents (diff_id) is sha256:"
}

@test "hostile layers write nothing outside, and none is larger than is allowed" {
  local kind
  make_image a cp -a "$T/source/." .
  rm -f /tmp/vguest-escaped
  for kind in evil-up evil-hard evil-whiteout; do
    umoci tag --image "$T/layout:a" "$kind"
    add_hand_made "$kind" "$kind"
    run vtemplate import "$kind" "oci:$T/layout:$kind"
    assert_status 1
    assert_contains "$output" "layer 2 of 2"
    assert_no_trace
  done
  # Symlinks are followed inside the tree.
  umoci tag --image "$T/layout:a" link
  add_hand_made link evil-link
  vtemplate -q import link "oci:$T/layout:link"
  [ "$(cat "$(tree_of link)/tmp/vguest-escaped")" = out ]
  [ ! -e /tmp/vguest-escaped ]

  umoci tag --image "$T/layout:a" storm
  add_hand_made storm evil-storm
  timeout -k 1 20 vtemplate -q import storm "oci:$T/layout:storm"
  [ "$(find "$(tree_of storm)/storm" -type f | wc -l)" = 6000 ]

  run vtemplate import bomb "oci:$T/layout:a" --max-unpacked 100K
  assert_status 1
  assert_contains "$output" "refused: unpacked it is larger than is allowed"
  run vtemplate import bomb "oci:$T/layout:a" --max-size 100
  assert_status 1
  assert_contains "$output" "and at most 100 are allowed"
  assert_nothing_left
}

@test "a registry with TLS and a password; pulled twice, the second time fetches nothing" {
  local digest before
  skip_unless_program docker-registry skopeo htpasswd openssl
  start_registry
  make_image a cp -a "$T/source/." .
  add_layer a rm usr/share/doc/doc03
  add_hand_made a links
  push a

  # Without a password, with a wrong one, and without our CA.
  run vtemplate import a "docker://$REGISTRY/test/image:a"
  assert_status 1
  assert_contains "$output" "wants a user and password, and none are known"
  run vtemplate import a "docker://$REGISTRY/test/image:a" --creds anna:wrong
  assert_status 1
  assert_contains "$output" "does not accept the user and password"
  refute grep -F wrong <<<"$output"
  CURL_CA_BUNDLE='' run vtemplate import a "docker://$REGISTRY/test/image:a" --creds anna:se:cret
  assert_status 1
  assert_contains "$output" "certificate"
  assert_no_trace

  vtemplate -q import a "docker://$REGISTRY/test/image:a" --creds anna:se:cret
  refute grep -rF se:cret "$VGUEST_ROOT/templates/a/1/template.json"
  [ "$(gets)" = 5 ] # manifest, config, three layers
  assert_unpacked a "$(tree_of a)"

  # By the digest, the tag, and auth.json; each layer once.
  digest=$(vtemplate --json info a | jq -r .version.digest)
  mkdir -p "$HOME/.config/containers"
  skopeo login --cert-dir "$T/certs" --authfile "$HOME/.config/containers/auth.json" \
    -u anna -p se:cret "$REGISTRY" >/dev/null
  vtemplate -q import again "docker://$REGISTRY/test/image:a"
  vtemplate -q import pinned "docker://$REGISTRY/test/image@$digest"
  [ "$(gets)" = 5 ]
  tree_list "$(tree_of pinned)" | diff - "$T/tree.list"
  vtemplate info pinned | grep -q "^verified: *image: digest $digest"

  # What is wrong in the cache is fetched once more.
  before=$(find "$VGUEST_ROOT/cache/images" -type f -size +2k | head -n 1)
  printf 'x' | dd of="$before" bs=1 seek=20 conv=notrunc status=none
  vtemplate -q import third "docker://$REGISTRY/test/image:a"
  [ "$(gets)" = 6 ]

  # Something newer, of which only what is new is fetched.
  run vtemplate update again
  assert_status 4
  run vtemplate update pinned
  assert_status 4
  add_layer a sh -c 'echo newer >etc/newer'
  push a
  run vtemplate update --check again
  assert_status 0
  assert_contains "$output" "sha256:"
  vtemplate -q update again
  [ "$(gets)" = 9 ] # manifest, config, one layer
  [ "$(cat "$VGUEST_ROOT/templates/again/2/tree/etc/newer")" = newer ]
  run vtemplate update pinned
  assert_status 4

  # The cache goes when it is told to, and is made again.
  vtemplate gc
  vtemplate gc --images -n | grep -q "files of images, .* would be removed"
  vtemplate -q import fourth "docker://$REGISTRY/test/image:a"
  [ "$(gets)" = 9 ]
  vtemplate gc --images
  [ -z "$(find "$VGUEST_ROOT/cache/images" -name 'sha256-*')" ]
  mkdir -p "$T/definitions"
  echo '{"source": {"type": "oci", "image": "docker://'"$REGISTRY"'/test/image:a"}}' \
    >"$T/definitions/fifth.json"
  VGUEST_TEMPLATES=$T/definitions vtemplate -q build fifth
  [ "$(gets)" = 15 ] # manifest, config, four layers

  run vtemplate import absent "docker://$REGISTRY/test/image:none"
  assert_status 1
  assert_contains "$output" 404
  run vtemplate import absent "docker://$REGISTRY/test/Image"
  assert_status 2
  assert_nothing_left
  check_root
}

@test "an index, layers of zstd and Docker's documents in a registry" {
  local here there=s390x
  skip_unless_program docker-registry skopeo htpasswd openssl
  start_registry
  here=$(dpkg --print-architecture)
  [ "$here" != s390x ] || there=ppc64le
  make_image a cp -a "$T/source/." .
  make_index "$there" "$here"
  push both --all
  push a --format v2s2
  skopeo --insecure-policy copy --quiet --dest-compress-format zstd "oci:$T/layout:a" \
    "oci:$T/zstd:z"
  skopeo --insecure-policy copy --quiet --preserve-digests --dest-cert-dir "$T/certs" \
    --dest-creds anna:se:cret "oci:$T/zstd:z" "docker://$REGISTRY/test/image:zstd"
  mkdir -p "$HOME/.config/containers"
  skopeo login --cert-dir "$T/certs" --authfile "$HOME/.config/containers/auth.json" \
    -u anna -p se:cret "$REGISTRY" >/dev/null

  vtemplate -q import here "docker://$REGISTRY/test/image:both"
  assert_unpacked a "$(tree_of here)"
  vtemplate -q import there "docker://$REGISTRY/test/image:both" --platform "$there"
  [ "$(cat "$(tree_of there)/etc/machine")" = "$there" ]
  [ "$(vtemplate --json info here | jq -r .version.digest)" = "$INDEX" ]
  [ "$(vtemplate --json info here | jq -r .version.manifest)" = "$(digest_of a)" ]
  vtemplate -q import docker "docker://$REGISTRY/test/image:a"
  grep -rqF vnd.docker.distribution.manifest.v2 "$VGUEST_ROOT/cache/images"
  tree_list "$(tree_of docker)" | diff - "$T/tree.list"
  vtemplate -q import zstd "docker://$REGISTRY/test/image:zstd"
  grep -rqF tar+zstd "$VGUEST_ROOT/cache/images"
  tree_list "$(tree_of zstd)" | diff - "$T/tree.list"

  # Another machine's image is no news for this one.
  jq -c '.annotations.built = "anew"' "$T/index" >"$T/index.2"
  cat "$T/index.2" >"$T/index"
  INDEX=sha256:$(sha256sum <"$T/index" | cut -d ' ' -f 1)
  cp "$T/index" "$(blob "$INDEX")"
  jq -c --arg digest "$INDEX" --argjson size "$(stat -c %s "$T/index")" '(.manifests[]
    | select (.annotations["org.opencontainers.image.ref.name"] == "both"))
    |= (.digest = $digest | .size = $size)' "$T/layout/index.json" >"$T/index.new"
  mv "$T/index.new" "$T/layout/index.json"
  push both --all --preserve-digests
  run vtemplate update here
  assert_status 4
  [ ! -e "$VGUEST_ROOT/templates/here/2" ]
  check_root
}

# refuse TEXT [OPTION…]: the image is refused with that text, and nothing left.
refuse () {
  local text=$1
  shift
  run vtemplate import a "$IMAGE" "$@"
  assert_status 1
  assert_contains "$output" "$text"
  assert_no_trace
}

@test "a registry that gives other bytes, or fewer" {
  local layer other
  make_image a cp -a "$T/source/." .
  layer=$(jq -r '.layers[0].digest' "$(blob "$(digest_of a)")")
  serve_image a
  other=$T/www/v2/repo/blobs/$layer.other

  # Of the same length, and shorter.
  tr '\0' '\1' <"$(blob "$layer")" >"$other"
  rule "blobs/$layer" other=0
  refuse "expected"
  assert_contains "$output" "${layer#sha256:}"
  head -c 1000 "$(blob "$layer")" >"$other"
  refuse "1000"
  [ -z "$(find "$VGUEST_ROOT/cache/images" -name "*${layer#sha256:}*")" ]

  rule "manifests/*" "digest=sha256:$(printf '0%.0s' {1..64})"
  refuse "sha256:0000"
  rule "manifests/latest" endless
  refuse "more than"
  : >"$T/www/.rules"
  vtemplate -q import a "$IMAGE"
}

@test "a registry that breaks off, fails, or is slow" {
  local layer size
  make_image a cp -a "$T/source/." .
  head -c 300000 /dev/urandom >"$T/source/big"
  make_image b cp -a "$T/source/." .
  layer=$(jq -r '.layers[0].digest' "$(blob "$(digest_of b)")")
  size=$(stat -c %s "$(blob "$layer")")
  serve_image b

  # Continued where it broke, twice.
  rule "blobs/$layer" cut=100000,2
  vtemplate -q import cut "$IMAGE"
  [ "$(requests "GET /v2/repo/blobs/$layer Range=bytes=100000-")" = 1 ]
  [ "$(requests "GET /v2/repo/blobs/$layer")" = 3 ]
  rm -r "$VGUEST_ROOT/cache/images"

  rule "blobs/*" fail=503,1
  vtemplate -q import fail "$IMAGE"
  rm -r "$VGUEST_ROOT/cache/images"
  rule "manifests/*" drop=1
  vtemplate -q import drop "$IMAGE"
  rm -r "$VGUEST_ROOT/cache/images"
  rule "blobs/$layer" slow=60000
  vtemplate -q import slow "$IMAGE"
  rm -r "$VGUEST_ROOT/cache/images"

  # A part that an interrupted run has left is continued by the next.
  rule "blobs/$layer" stall=200000
  vtemplate -q import stall "$IMAGE" &
  for _ in {1..100}; do
    [ "$(find "$VGUEST_ROOT/cache/images" -name '*.part' -size +190k 2>/dev/null)" ] && break
    sleep 0.1
  done
  kill -TERM $!
  wait $! || true
  : >"$T/www/.rules"
  vtemplate -q import stall "$IMAGE"
  [ "$(requests "GET /v2/repo/blobs/$layer Range=bytes=1")" = 1 ]
  [ "$size" -gt 300000 ]

  # No digest of the tag is told: the manifest is got each time, the rest is not.
  local query
  for query in nodigest nohead; do
    rule "manifests/latest" "$query"
    : >"$T/www.log"
    vtemplate -q import "$query" "$IMAGE"
    [ "$(requests "GET /v2/repo/blobs")" = 0 ]
    [ "$(requests "GET /v2/repo/manifests/latest")" = 1 ]
  done
  assert_nothing_left
}

@test "a token that runs out while layers come; layers that are the same" {
  local i
  make_image a cp -a "$T/source/." .
  for i in 1 2 3 4 5 6; do
    add_layer a sh -c "echo $i >etc/layer$i"
  done
  add_hand_made a xattrs
  add_hand_made a xattrs
  serve_image a
  echo '{"token": "abc"}' >"$T/www/token"
  rule "*" "bearer=abc&realm=$HTTPS/token&uses=4"
  vtemplate -q import a "$IMAGE"
  assert_unpacked a "$(tree_of a)"
  [ "$(requests "GET /token")" -le 6 ]
  vtemplate -q delete -y a
  rm -r "$VGUEST_ROOT/cache/images"

  # One that never lasts.
  : >"$T/www.log"
  rule "blobs/*" "bearer=abc&realm=$HTTPS/token&uses=0"
  refuse "there is no such image"
  [ "$(requests "GET /token")" -le 2 ]
}

@test "tokens, 401 without end, and redirects: nobody else gets the password" {
  local layer basic
  make_image a cp -a "$T/source/." .
  layer=$(jq -r '.layers[0].digest' "$(blob "$(digest_of a)")")
  serve_image a
  basic=$(printf anna:secret | base64)
  echo '{"token": "abc"}' >"$T/www/token"

  rule "*" "bearer=abc&realm=$HTTPS/token"
  vtemplate -q import token "$IMAGE" --creds anna:secret
  [ "$(requests "GET /token?service=x&scope=repository:repo:pull Authorization=Basic $basic")" = 1 ]
  [ "$(grep "/v2/" "$T/www.log" | grep -c "Authorization=Basic")" = 0 ]
  vtemplate -q delete -y token
  rm -r "$VGUEST_ROOT/cache/images"

  # One that nobody accepts; one of a server without TLS.
  : >"$T/www.log"
  rule "*" "bearer=other&realm=$HTTPS/token"
  refuse "there is no such image, or anna may not read it" --creds anna:secret
  [ "$(requests /v2/)" -le 3 ]
  rule "*" "bearer=abc&realm=$HTTP/token"
  refuse "which is not https" --creds anna:secret
  [ "$(requests "http GET /token")" = 0 ]
  rule "*" "auth=anna:other"
  refuse "does not accept the user and password" --creds anna:secret

  # Another host: it gets no password, and its 401 is no question to us.
  mkdir -p "$T/www/elsewhere"
  cp "$(blob "$layer")" "$T/www/elsewhere/layer"
  : >"$T/www.log"
  printf '/v2/repo/blobs/%s redirect=%s\n/v2/* auth=anna:secret\n' "$layer" \
    "${HTTPS/127.0.0.1/localhost}/elsewhere/layer" >"$T/www/.rules"
  vtemplate -q import elsewhere "$IMAGE" --creds anna:secret
  [ "$(requests "GET /elsewhere/layer")" = 1 ]
  [ "$(grep "/elsewhere" "$T/www.log" | grep -c Authorization)" = 0 ]
  [ "$(grep "/v2/repo/blobs/$layer" "$T/www.log" | grep -c "Authorization=Basic $basic")" = 1 ]
  vtemplate -q delete -y elsewhere
  rm -r "$VGUEST_ROOT/cache/images"
  : >"$T/www.log"
  echo '/elsewhere/* auth=anna:secret' >>"$T/www/.rules"
  refuse 401 --creds anna:secret
  [ "$(requests "GET /elsewhere/layer")" = 1 ]

  # From TLS to none, and round and round.
  rule "blobs/*" "redirect=$HTTP/elsewhere/layer"
  refuse http
  rule "blobs/*" loop
  refuse redirect
}
