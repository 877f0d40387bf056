#!/bin/bash
# make-root.sh SUITE ARCHIVE [PACKAGE...]: the root file system of a slim Debian, from Debian's packages.
# A mirror that lags behind will do: the age of its lists is not checked, their signature is.
# It trusts the certificate authorities this machine trusts, so that apt and pip work inside it behind a
# proxy that the machine's owner installed.
set -euo pipefail
suite=$1 archive=$2
shift 2
packages=$(IFS=,; echo "${*:+,$*}")
extra=$(mktemp -d)
trap 'rm -rf "$extra"' EXIT
mkdir -p "$extra/usr/local/share/ca-certificates" "$extra/etc/apt/apt.conf.d"
cp /usr/local/share/ca-certificates/*.crt "$extra/usr/local/share/ca-certificates/" 2>/dev/null || true
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > "$extra/etc/pip.conf"
cat > "$extra/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache ""; Acquire::Languages "none";
CONF
tar -C "$extra" --owner=0 --group=0 -cf "$extra/extra.tar" etc usr
mmdebstrap --quiet --variant=minbase --include="ca-certificates,netbase,tzdata$packages" \
  --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="tar-in $extra/extra.tar /" \
  --customize-hook='chroot "$1" update-ca-certificates >/dev/null 2>&1' \
  --customize-hook='rm -f "$1"/var/cache/apt/*.bin "$1"/etc/resolv.conf "$1"/etc/hostname' \
  "$suite" "$archive" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
