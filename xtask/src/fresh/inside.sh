# Runs in a mount and process namespace of its own, as its first process: when it ends, everything that
# it mounted and started ends with it. Nothing is left to be removed.
set -euo pipefail
root=$1 source=$2 mirror=$3
shift 3

say() { printf '==> %s\n' "$1"; }

# In memory: it vanishes with the namespace, also after a kill.
mount -t tmpfs -o mode=755,size=90% fresh "$root"

say 'a bare Debian 12'
if ! debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root/debootstrap.log" 2>&1; then
    tail -n 20 "$root/debootstrap.log" >&2
    exit 1
fi

# The machine's own configuration of package sources.
cp -a /etc/apt/. "$root/etc/apt/"
cp -a /usr/share/keyrings/. "$root/usr/share/keyrings/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -f "$certificates" ]; then
    cp -L "$certificates" "$root/etc/machine-certificates.crt"
    export SSL_CERT_FILE=/etc/machine-certificates.crt
    export CURL_CA_BUNDLE=$SSL_CERT_FILE CARGO_HTTP_CAINFO=$SSL_CERT_FILE
    export GIT_SSL_CAINFO=$SSL_CERT_FILE PIP_CERT=$SSL_CERT_FILE
fi

# The Rust toolchain: to be used, not to be changed.
cargo_home=${CARGO_HOME:-$HOME/.cargo} rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
mkdir -p "$root/srv/.cargo/bin" "$root/srv/.rustup"
mount --bind -o ro "$cargo_home/bin" "$root/srv/.cargo/bin"
[ ! -d "$rustup_home" ] || mount --bind -o ro "$rustup_home" "$root/srv/.rustup"
[ ! -f "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$root/srv/.cargo/"

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"

git clone --quiet --bare "$source" "$root/srv/leasehold.git"
git clone --quiet "$root/srv/leasehold.git" "$root/srv/leasehold"

# Of the environment, only how packages are reached.
environment=(HOME=/srv PATH=/srv/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
environment+=(LANG=C.UTF-8 "TERM=${TERM:-dumb}")
while IFS= read -r name; do
    case $name in
    http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | CARGO_HTTP_* | CARGO_REGISTRIES_* | \
        CURL_CA_BUNDLE | GIT_SSL_CAINFO | SSL_CERT_FILE | PIP_CERT | PIP_INDEX_URL | RUSTUP_AUTO_INSTALL | \
        RUSTUP_DIST_SERVER | RUSTUP_UPDATE_ROOT)
        environment+=("$name=${!name}") ;;
    esac
done < <(compgen -e)

say "$*"
# Not chroot: the kernel lets no process in one make a user namespace, as engines have (unshare(2)).
mkdir "$root/machine"
cd "$root"
pivot_root . machine
umount --lazy /machine
cd /
/usr/bin/env -i "${environment[@]}" /bin/bash -c 'cd /srv/leasehold && exec "$@"' fresh "$@"
