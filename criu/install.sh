#!/bin/sh
# Install the programs that tcvs runs but Debian 12 and 13 do not have (or not new enough) into a
# private prefix: CRIU >= 4.2 and wayvnc from Debian sid with every library they need, noVNC's static
# files, and the prlimit shim.  Nothing of it is on the system's search paths: the programs are run
# through the prefix's own dynamic loader, see tcvs_core/live/tools.py.
#
#   criu/install.sh PREFIX
#
# Needs root, mmdebstrap, apt, dpkg, gcc and debian-archive-keyring.  Quick when the prefix is up to
# date.  Everything is made in a directory beside the prefix and renamed at the end, so that an
# interrupted run leaves nothing half-made in its place.

set -eu

prefix=${1:?usage: install.sh PREFIX}
here=$(cd "$(dirname "$0")" && pwd)
packages=criu,wayvnc
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
stamp=$(cat "$here/install.sh" "$here/shim.c" | sha256sum | cut -d' ' -f1)

if [ "$(cat "$prefix/.stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

parent=$(dirname "$prefix")
mkdir -p "$parent"
work=$(mktemp -d "$parent/.tools.XXXXXX")
old=
# Only ever removes the two directories that this run made or renamed itself.
cleanup() {
    rm -rf --one-file-system "$work"
    if [ -n "$old" ]; then rm -rf --one-file-system "$old"; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The host's own mirror, asked for sid; nothing when the host's sources are not Debian's, which
# makes mmdebstrap use its default.
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' \
    2>/dev/null | awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')

# A mirror that is behind may serve a sid index whose date has run out.  It is still signed, and that
# is still checked; so try as usual first, and then without the date.
#
# noVNC is static files, but its package depends on much that is not wanted: the hook takes that one
# package with the same apt set-up and unpacks it without its dependencies.
cat >"$work/novnc-hook" <<'HOOK'
#!/bin/sh
set -eu
mkdir "$1/novnc-deb"
cd "$1/novnc-deb"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download novnc
dpkg-deb --fsys-tarfile novnc_*.deb | tar -x -C .. ./usr/share/novnc
HOOK
chmod 755 "$work" "$work/novnc-hook"
export NOVNC_HOOK="$work/novnc-hook"

extract() {
    mkdir -p "$work/root"
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
        mmdebstrap --mode=root --variant=extract --keyring="$keyring" \
        --include="$packages" --extract-hook='"$NOVNC_HOOK" "$1"' "$@" sid "$work/root" ${mirror:+"deb $mirror sid main"}
}

echo "tools: installing $packages from Debian sid into $prefix"
if ! extract 2>"$work/log"; then
    rm -rf --one-file-system "$work/root"
    if ! extract --aptopt='Acquire::Check-Valid-Until "false"' 2>"$work/log"; then
        cat "$work/log" >&2
        echo "tools: could not install $packages from Debian sid; is the mirror reachable?" >&2
        exit 1
    fi
fi

# The documentation, the package lists and everything else that no program needs.
for path in usr/share/doc usr/share/man usr/share/locale usr/share/info var/cache var/lib/apt dev novnc-deb; do
    rm -rf --one-file-system "$work/root/${path:?}"
done
mkdir -p "$work/root/lib-tcvs"
gcc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
    -o "$work/root/lib-tcvs/tcvs-prlimit.so" "$here/shim.c"

loader=$work/root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
"$loader" --library-path "$work/root/usr/lib/x86_64-linux-gnu" "$work/root/usr/sbin/criu" --version |
    head -n 1
test -f "$work/root/usr/share/novnc/core/rfb.js"

echo "$stamp" >"$work/root/.stamp"
chmod 755 "$work/root"
if [ -e "$prefix" ]; then
    old=$parent/.tools.old.$$
    mv "$prefix" "$old"
fi
mv "$work/root" "$prefix"
echo "tools: ready"
