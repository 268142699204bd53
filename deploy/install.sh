#!/bin/bash
# Sets a host up from a checkout in /opt/linkgauge: user, folders, settings to fill in, systemd unit.
# Run again it changes nothing that is there. Settings and secrets that exist are left alone.
#
#   deploy/install.sh collector [--listen HOST:PORT]
#   deploy/install.sh agent --node NAME --collector URL [--collector URL] [--token FILE] [--ca FILE]
#   deploy/install.sh reflector --listen ADDRESS --allow PREFIX
#
# --root DIR puts everything under DIR and starts nothing, for packages and images.
set -euo pipefail

fail() { echo "install.sh: $*" >&2; exit 2; }
usage() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit "${1:-0}"; }

source_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
prefix=/opt/linkgauge
root= node= token= ca= listen= allow=
collectors=()
[[ $# -gt 0 ]] || usage 2
role="$1"; shift
case "$role" in
    agent|collector|reflector) ;;
    -h|--help) usage ;;
    *) fail "there is no role $role; it is agent, collector or reflector" ;;
esac
while [[ $# -gt 0 ]]; do
    [[ $# -gt 1 ]] || fail "$1 needs a value"
    case "$1" in
        --root) root="$2" ;;
        --node) node="$2" ;;
        --collector) collectors+=("$2") ;;
        --token) token="$2" ;;
        --ca) ca="$2" ;;
        --listen) listen="$2" ;;
        --allow) allow="$2" ;;
        *) fail "there is no option $1; see --help" ;;
    esac
    shift 2
done
if [[ $role == agent && ! -e $root/etc/linkgauge/agent.yaml ]]; then
    [[ -n $node && ${#collectors[@]} -gt 0 ]] || fail "an agent needs --node and --collector"
fi
if [[ $role == reflector && ! -e $root/etc/linkgauge/reflector.env ]]; then
    [[ -n $listen && -n $allow ]] || fail "a reflector needs --listen and --allow"
fi
for file in "$token" "$ca"; do
    [[ -z $file || -r $file ]] || fail "$file cannot be read"
done
live=
[[ -n $root ]] || live=yes
if [[ $live ]]; then
    [[ $EUID -eq 0 ]] || fail "needs root; or give --root DIR"
    [[ $source_dir == "$prefix" ]] || fail "the checkout must be $prefix, this is $source_dir; move it there"
fi

owned() { # mode owner group path: of a folder or file that is there
    if [[ $live ]]; then chown "$2:$3" "$4"; fi
    chmod "$1" "$4"
}
write_new() { # mode group path < text: nothing when it is there
    if [[ -e $3 ]]; then
        echo "kept     $3"
        cat >/dev/null
        return
    fi
    cat >"$3"
    owned "$1" root "$2" "$3"
    echo "written  $3"
}
keep_secret() { # from to: only its owner reads it
    install -m 600 "$1" "$2"
    if [[ $live ]]; then chown linkgauge:linkgauge "$2"; fi
    echo "written  $2"
}

mkdir -p "$root"/etc/{linkgauge,sysusers.d,systemd/system}
install -m 644 "$source_dir/deploy/systemd/linkgauge.sysusers" "$root/etc/sysusers.d/linkgauge.conf"
install -m 644 "$source_dir/deploy/systemd/linkgauge-$role.service" "$root/etc/systemd/system/"
if [[ $live ]]; then
    systemd-sysusers /etc/sysusers.d/linkgauge.conf
    make -s -C "$prefix" .venv/.installed
fi
owned 750 root linkgauge "$root/etc/linkgauge"

case "$role" in
agent)
    write_new 640 linkgauge "$root/etc/linkgauge/agent.yaml" <<END
node: $node
collectors: [$(printf '"%s", ' "${collectors[@]}" | sed 's/, $//')]
token_file: token
$([[ -z $ca ]] || echo "ca_file: ca.pem")
data_dir: /var/lib/linkgauge
END
    [[ -z $token ]] || keep_secret "$token" "$root/etc/linkgauge/token"
    if [[ -n $ca && ! $ca -ef $root/etc/linkgauge/ca.pem ]]; then
        install -m 644 "$ca" "$root/etc/linkgauge/ca.pem"
    fi
    ;;
collector)
    write_new 640 linkgauge "$root/etc/linkgauge/collector.yaml" <<END
inventory: inventory.yaml
tokens: tokens.yaml
data_dir: /var/lib/linkgauge
listen: ${listen:-127.0.0.1:8440}
# tls: {certificate: collector.pem, key: collector.key}
# influxdb: {url: "http://127.0.0.1:8086", user: linkgauge, password_file: influxdb-password}
# webhooks: [{name: on-call, url: "https://pager.example/hook", token_file: pager-token}]
END
    ;;
reflector)
    write_new 640 linkgauge "$root/etc/linkgauge/reflector.env" <<END
REFLECTOR_OPTIONS=--listen $listen --allow $allow
END
    ;;
esac

if [[ $live && -d /run/systemd/system ]]; then
    systemctl daemon-reload
    if [[ $role == collector && ! -e /etc/linkgauge/inventory.yaml ]]; then
        echo "next: write /etc/linkgauge/inventory.yaml, then systemctl enable --now linkgauge-collector"
    elif [[ $role == agent && ! -e /etc/linkgauge/token ]]; then
        echo "next: put the token into /etc/linkgauge/token (mode 600, owner linkgauge), then systemctl enable --now linkgauge-agent"
    else
        systemctl enable --now "linkgauge-$role"
        echo "running: systemctl status linkgauge-$role, journalctl -u linkgauge-$role"
    fi
fi
