#!/usr/bin/env bash
# Makes the secrets that the clusters here mount, each in a file of its own that only you can read; keeps those there are.
#
#     cluster/secrets.sh [FOLDER]        FOLDER is ~/.pamfn/secrets unless given
#
# Nothing is printed but names. To change a secret, delete its file, run this again, and start again what uses it.
set -euo pipefail
umask 077

folder=${1:-${PAMFN_SECRETS:-$HOME/.pamfn/secrets}}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes what comes in on the standard input, unless the file is there already.
keep() {
    if [[ -e "$folder/$1" ]]; then
        cat > /dev/null
        echo "$1: kept"
    else
        cat > "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "$1: made"
    fi
}

random | keep ray_token               # who may submit jobs to Ray, which is to run any code on the cluster
random | keep mlflow_flask_key        # signs the forms of MLflow's own pages
random | keep mlflow_admin_password   # MLflow's user `admin`
random | keep postgres_password       # the database behind MLflow
random | keep s3_secret_key           # the objects: data, studies, MLflow's artefacts

# The same secrets in the forms in which their readers want them, written anew each time.
form() { cat > "$folder/$1.new" && mv "$folder/$1.new" "$folder/$1"; }

printf '[mlflow]\nmlflow_tracking_username = admin\nmlflow_tracking_password = %s\n' \
    "$(< "$folder/mlflow_admin_password")" | form mlflow_credentials # as ~/.mlflow/credentials
printf '[default]\naws_access_key_id = pamfn\naws_secret_access_key = %s\n' \
    "$(< "$folder/s3_secret_key")" | form s3_credentials # as AWS_SHARED_CREDENTIALS_FILE
printf '{"identities": [{"name": "pamfn", "credentials": [{"accessKey": "pamfn", "secretKey": "%s"}], "actions": ["Admin"]}]}\n' \
    "$(< "$folder/s3_secret_key")" | form s3_identities.json # as SeaweedFS's -s3.config
echo "$folder: mlflow_credentials, s3_credentials and s3_identities.json agree with them"
