#!/bin/sh
# Runs a build step with what a site may have of its own, each a build secret that may be absent: certificate
# authorities (site_ca), logins of a package index (netrc), a mirror of the artifact repository (ivy_settings).
set -eu
secrets=/run/secrets
if [ -s "$secrets/site_ca" ]; then
  export SSL_CERT_FILE="$secrets/site_ca" PIP_CERT="$secrets/site_ca"
fi
if [ -s "$secrets/netrc" ]; then export NETRC="$secrets/netrc"; fi
if [ -s "$secrets/ivy_settings" ]; then export PIPELINE_IVY_SETTINGS="$secrets/ivy_settings"; fi
if [ -n "${PIP_INDEX_URL:-}" ]; then
  export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
else
  unset PIP_INDEX_URL # an empty one is not the default one
fi
exec "$@"
