#!/bin/sh
# Makes .venv ready: finds a Python, installs what a bare Debian lacks for it, installs the locked packages.
# Run by the Makefile whenever .venv/.stamp is older than what it depends on; safe to run by hand, and twice at once.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 3; }

# Two commands started together wait for each other instead of breaking each other's environment.
if command -v flock >/dev/null 2>&1; then
    mkdir -p .local
    exec 9>.local/bootstrap.lock
    flock 9
fi

stamp=.venv/.stamp
fresh() {
    [ -x .venv/bin/python ] && [ -e "$stamp" ] || return 1
    for source in pyproject.toml constraints.txt deploy/local/bootstrap.sh; do
        [ -z "$(find "$source" -newer "$stamp")" ] || return 1
    done
}
if fresh; then exit 0; fi

recent_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Runs apt-get when nobody has to be asked for a password; fails otherwise.
packages() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" -eq 0 ]; then as_root=env
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root='sudo -n env'
    else return 1
    fi
    say "Installing $* (apt-get) ..."
    $as_root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || true
    $as_root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; return 1; }
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

python=
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 && recent_enough "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ] && ! command -v python3 >/dev/null 2>&1 && packages python3 && recent_enough python3; then
    python=$(command -v python3)
fi
[ -n "$python" ] || die "Python 3.11 or newer is needed; python3 here is: $(python3 --version 2>&1 || true)." \
    "Install one, then name it: make PYTHON=/path/to/python3.11 ..."

# Debian splits the standard library: without these packages, venv fails half-way and pip trusts no server.
missing=
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
if command -v apt-get >/dev/null 2>&1 && [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then
    missing="$missing ca-certificates"
fi
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # a list of package names
    packages $missing || die "This machine lacks:$(printf ' %s' $missing)." "Type: sudo apt-get update && sudo apt-get install -y $missing"
fi

# Present but dead after an upgrade or a move of the Python that it was made from, or of the clone itself.
if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    "$python" -m venv --clear .venv >"$log" 2>&1 || { cat "$log" >&2; die "Could not make .venv with $python."; }
fi

say "Installing the Python packages of constraints.txt into .venv (takes about a minute) ..."
.venv/bin/python -m pip --disable-pip-version-check install -qq -c constraints.txt -e '.[dev]' </dev/null >&2 ||
    die "pip could not install the packages: see above. Behind a proxy, set HTTPS_PROXY; behind a mirror, PIP_INDEX_URL."
touch "$stamp"
