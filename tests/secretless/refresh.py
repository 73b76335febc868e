"""A long step, with credentials that end under it: waits until its SDK has others, and uses them."""

import time

import boto3


def main() -> None:
    session = boto3.Session()
    credentials = session.get_credentials()
    first = now = credentials.get_frozen_credentials()
    until = time.monotonic() + 60
    while now.access_key == first.access_key and time.monotonic() < until:
        time.sleep(0.2)
        now = credentials.get_frozen_credentials()
    print("by", credentials.method)
    print("changed", now.access_key != first.access_key and now.token != first.token)
    print("who", session.client("sts").get_caller_identity()["Arn"])


main()
