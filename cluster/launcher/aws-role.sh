#!/usr/bin/env bash
# Makes the roles of aws.yaml's machines: all may read and write one bucket, and the head may start and end machines.
#
#     cluster/launcher/aws-role.sh BUCKET
#     cluster/launcher/aws-role.sh --delete
set -euo pipefail

if (($# != 1)); then
    echo "aws-role.sh: give the bucket of the studies, or --delete" >&2
    exit 2
fi
machines=arn:aws:iam::aws:policy/AmazonEC2FullAccess
if [[ "$1" == --delete ]]; then
    aws iam detach-role-policy --role-name pamfn-ray-head --policy-arn "$machines"
    aws iam delete-role-policy --role-name pamfn-ray-head --policy-name workers
    for name in pamfn-ray-head pamfn-ray-worker; do
        aws iam remove-role-from-instance-profile --instance-profile-name "$name" --role-name "$name"
        aws iam delete-instance-profile --instance-profile-name "$name"
        aws iam delete-role-policy --role-name "$name" --policy-name bucket
        aws iam delete-role --role-name "$name"
    done
    exit
fi
trust='{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
bucket='{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::'"$1"'"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
     "Resource": "arn:aws:s3:::'"$1"'/*"}]}'
workers='{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/pamfn-ray-worker"}]}'
for name in pamfn-ray-head pamfn-ray-worker; do
    aws iam create-role --role-name "$name" --assume-role-policy-document "$trust"
    aws iam put-role-policy --role-name "$name" --policy-name bucket --policy-document "$bucket"
    aws iam create-instance-profile --instance-profile-name "$name"
    aws iam add-role-to-instance-profile --instance-profile-name "$name" --role-name "$name"
done
aws iam attach-role-policy --role-name pamfn-ray-head --policy-arn "$machines"
aws iam put-role-policy --role-name pamfn-ray-head --policy-name workers --policy-document "$workers"
