#!/bin/bash
# Looks for the programs that linkgauge uses beside Python. As root on Debian it installs what is missing;
# as anybody else it says what will be left out. Always ends with 0 where linkgauge can run without.
#
#   deploy/prepare.sh                         all that demo and tests use
#   deploy/prepare.sh agent                   what the agent of a node uses
#   deploy/prepare.sh collector [influxdb]    what a collector uses; with an InfluxDB beside it, as a service
set -euo pipefail

usage() { sed -n '5,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

# command, Debian package, what is left out without it
iperf3="iperf3 iperf3 throughput is not measured"
influxd="influxd influxdb windows are not kept in InfluxDB, only in the archive"
role="$*" # none: everything
case "$role" in
    "") wanted=(
        "$iperf3"
        "$influxd"
        "nft nftables the lab cannot drop packets in its namespaces"
        "ip iproute2 the lab cannot make namespaces and uses loopback addresses"
        "tc iproute2 the lab cannot limit capacity"
        "amtool prometheus-alertmanager nobody checks alertmanager.yml, and tests of Alertmanager are left out"
    ) ;;
    agent) wanted=("$iperf3") ;;
    collector) wanted=() ;;
    "collector influxdb") wanted=("$influxd") ;;
    *) usage ;;
esac
# nft, ip and tc live where an ordinary user's PATH often does not reach.
PATH="$PATH:/usr/sbin:/sbin"

policy=/usr/sbin/policy-rc.d
made_policy=
restore() { [[ -z $made_policy ]] || rm -f "$policy"; }
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian starts a service as soon as its package is installed. That is wanted where somebody asks for an
# InfluxDB; the demo runs an influxd of its own and wants no second one: exit code 101 of policy-rc.d tells
# the package scripts to start nothing. A policy that is already there is the machine's owner's and stays;
# ours is removed at the end, however it comes.
forbid_services() {
    [[ ! -e $policy && ! -L $policy ]] || return 0
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# A package also enables its service for the next start of the machine; undone only where we put it there.
disable() { # the services of the packages named
    local package
    for package in "$@"; do
        [[ $package == influxdb || $package == prometheus-alertmanager ]] || continue
        if command -v systemctl >/dev/null; then
            systemctl disable --quiet "$package.service" >/dev/null 2>&1 || true
        fi
        if [[ -d /run/systemd/system ]]; then
            systemctl stop --quiet "$package.service" >/dev/null 2>&1 || true
        fi
        update-rc.d "$package" disable >/dev/null 2>&1 || true
    done
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

install() {
    echo "installing Debian packages: $*"
    [[ $role == *influxdb ]] || forbid_services
    local code=0
    apt install --no-install-recommends "$@" 2>/dev/null ||
        { apt update && apt install --no-install-recommends "$@"; } || code=$?
    [[ $role == *influxdb ]] || disable "$@"
    return "$code"
}

missing() { # prints the lines of `wanted` whose command is not there
    local line
    for line in "${wanted[@]}"; do
        command -v "${line%% *}" >/dev/null || echo "$line"
    done
}

mapfile -t lacking < <(missing)
if [[ ${#lacking[@]} -gt 0 && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    mapfile -t packages < <(printf '%s\n' "${lacking[@]}" | cut -d' ' -f2 | sort -u)
    install "${packages[@]}" || echo "the packages could not be installed: see the lines above" >&2
    mapfile -t lacking < <(missing)
fi
for line in "${lacking[@]}"; do
    read -r name package loss <<<"$line"
    echo "$name is missing (Debian package $package): $loss"
done
[[ -z $role || ${#lacking[@]} -gt 0 ]] || echo "nothing is missing for: $role"
