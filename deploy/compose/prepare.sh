#!/bin/bash
# Makes what compose.yaml needs beside itself: secrets, a certificate for HOST, Grafana's files. What is there stays.
#   sudo ./prepare.sh HOST        name or address at which agents reach the collector
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[[ $# -eq 1 && $1 != -* ]] || { echo "usage: prepare.sh HOST (name or address at which agents reach the collector)" >&2; exit 2; }
host="$1"
collector_uid="${LINKGAUGE_UID:-10001}" # of the user in the image
umask 077

mkdir -p secrets config/tls grafana/provisioning/{datasources,dashboards,alerting} grafana/dashboards
for name in influxdb-password influxdb-token grafana-password; do
    [[ -s secrets/$name ]] || openssl rand -hex 24 | tr -d '\n' >"secrets/$name"
done
# The folder is closed to others; in it the files are open, because each container reads them as another user.
chmod 700 secrets
chmod 644 secrets/*

if [[ ! -s config/tls/collector.pem ]]; then
    kind=DNS
    [[ ! $host =~ ^[0-9.]+$ && ! $host =~ : ]] || kind=IP
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=linkgauge CA" \
        -keyout config/tls/ca.key -out config/tls/ca.pem 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$host" \
        -keyout config/tls/collector.key -out config/tls/collector.csr 2>/dev/null
    openssl x509 -req -days 825 -in config/tls/collector.csr -CA config/tls/ca.pem -CAkey config/tls/ca.key \
        -CAcreateserial -out config/tls/collector.pem \
        -extfile <(printf 'subjectAltName=%s:%s\n' "$kind" "$host") 2>/dev/null
    rm config/tls/collector.csr
fi
top=../..
rendered="$top/alerts/rendered"
[[ -e config/inventory.yaml ]] || cp config/inventory.example.yaml config/inventory.yaml
[[ -e config/alertmanager.yml ]] || cp "$rendered/alertmanager.yml" config/alertmanager.yml
install -m 600 secrets/influxdb-token config/influxdb-token
chmod 755 config config/tls
chmod 644 config/*.yaml config/*.yml config/tls/ca.pem config/tls/collector.pem
if [[ $EUID -eq 0 ]]; then
    chown "$collector_uid" config/influxdb-token config/tls/collector.key
else
    echo "not root: give config/influxdb-token and config/tls/collector.key to user $collector_uid (chown)" >&2
fi

sed -e 's#http://127.0.0.1:8086#http://influxdb:8086#' \
    -e 's#\$LINKGAUGE_INFLUX_TOKEN#$__file{/run/secrets/influxdb_token}#' \
    "$top/dashboards/rendered/datasources-2.yaml" >grafana/provisioning/datasources/linkgauge.yaml
cp "$top/dashboards/rendered/dashboards.yaml" grafana/provisioning/dashboards/linkgauge.yaml
cp "$top"/dashboards/rendered/en/*.json grafana/dashboards/
cp "$rendered/linkgauge-rules.yaml" grafana/provisioning/alerting/linkgauge-rules.yaml
cp contact-points.yaml grafana/provisioning/alerting/linkgauge-contacts.yaml
chmod -R u=rwX,go=rX grafana
echo "ready; next: edit config/inventory.yaml, issue tokens (docs/install.md), docker compose up --build --detach"
