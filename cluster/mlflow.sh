#!/usr/bin/env bash
# MLflow behind a password, its runs in a database and its artefacts in a folder or in S3.
#
#     cluster/secrets.sh && cluster/mlflow.sh
#
# Reads its secrets from the files that cluster/secrets.sh makes, and the rest from the environment:
#   PAMFN_SECRETS          the folder of the secrets (~/.pamfn/secrets)
#   PAMFN_MLFLOW_STATE     where a SQLite database and local artefacts lie (~/.pamfn/mlflow)
#   PAMFN_MLFLOW_DATABASE  such as postgresql+psycopg2://mlflow@db/mlflow, without a password (SQLite in that folder)
#   PAMFN_MLFLOW_ARTIFACTS such as s3://mlflow (that folder)
#   PAMFN_MLFLOW_HOST      the address to listen on (127.0.0.1), PAMFN_MLFLOW_PORT the port (5000)
#   PAMFN_MLFLOW_NAMES     the names under which clients may ask, with commas (localhost:*,127.0.0.1:*)
#   PAMFN_BUCKETS          buckets to make if they are not there, with spaces (none)
#   AWS_ENDPOINT_URL       of an S3 server other than Amazon's
set -euo pipefail
umask 077

secrets=${PAMFN_SECRETS:-$HOME/.pamfn/secrets}
state=${PAMFN_MLFLOW_STATE:-$HOME/.pamfn/mlflow}
for name in mlflow_admin_password mlflow_flask_key; do
    if [[ ! -s "$secrets/$name" ]]; then
        echo "mlflow.sh: $secrets/$name is missing or empty; make it with cluster/secrets.sh, or set PAMFN_SECRETS" >&2
        exit 2
    fi
done
mkdir -p "$state"
database=${PAMFN_MLFLOW_DATABASE:-sqlite:///$state/mlflow.db}
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT

# libpq takes a password from a file that nobody else can read, and no command line or environment shows it.
if [[ "$database" == postgres* ]]; then
    escaped=$(sed 's/[\\:]/\\&/g' "$secrets/postgres_password")
    printf '*:*:*:*:%s\n' "$escaped" > "$own/pgpass"
    export PGPASSFILE="$own/pgpass"
fi
if [[ -s "$secrets/s3_credentials" ]]; then
    export AWS_SHARED_CREDENTIALS_FILE="$secrets/s3_credentials"
fi

if [[ -n "${PAMFN_BUCKETS:-}" ]]; then
    python3 - << 'MAKE'
import os

import boto3
from botocore.exceptions import ClientError

server = boto3.client("s3")
for name in os.environ["PAMFN_BUCKETS"].split():
    try:
        server.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise
MAKE
fi

# A password is checked anew at most once a minute and worker: the check takes a quarter of a second, of every request.
cat > "$own/auth.ini" << INI
[mlflow]
default_permission = READ
database_uri = ${database//%/%%}
admin_username = admin
admin_password = $(< "$secrets/mlflow_admin_password")
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
INI
export MLFLOW_AUTH_CONFIG_PATH="$own/auth.ini"
MLFLOW_FLASK_SERVER_SECRET_KEY=$(< "$secrets/mlflow_flask_key")
export MLFLOW_FLASK_SERVER_SECRET_KEY
export MLFLOW_BACKEND_STORE_URI="$database"
if [[ -n "${AWS_ENDPOINT_URL:-}" ]]; then
    export MLFLOW_S3_ENDPOINT_URL="$AWS_ENDPOINT_URL"
fi
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true

mlflow server \
    --app-name basic-auth \
    --host "${PAMFN_MLFLOW_HOST:-127.0.0.1}" \
    --port "${PAMFN_MLFLOW_PORT:-5000}" \
    --workers "${PAMFN_MLFLOW_WORKERS:-2}" \
    --allowed-hosts "${PAMFN_MLFLOW_NAMES:-localhost:*,127.0.0.1:*}" \
    --artifacts-destination "${PAMFN_MLFLOW_ARTIFACTS:-$state/artifacts}" &
server=$!
trap 'kill -TERM "$server" 2> /dev/null' TERM INT
while kill -0 "$server" 2> /dev/null; do
    status=0
    wait "$server" || status=$?
done
exit "$status"
