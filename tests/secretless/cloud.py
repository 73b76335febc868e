"""What a step or a pipe does at Amazon, with whatever its SDK finds by itself; says who it is there, and reads what it wrote.

The argument, or BUCKET, names a bucket. A refusal is told by its code.
"""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else os.environ["BUCKET"]
    session = boto3.Session()
    print("variables", *sorted(name for name in os.environ if name.startswith("AWS_")))
    try:
        print("by", session.get_credentials().method)
        print("who", session.client("sts").get_caller_identity()["Arn"])
        s3 = session.client("s3", config=Config(s3={"addressing_style": "path"}))
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": session.region_name})
        s3.put_object(Bucket=name, Key="said", Body=f"hello from {name}".encode())
        print("read", s3.get_object(Bucket=name, Key="said")["Body"].read().decode())
    except ClientError as error:
        print("refused", error.response["Error"]["Code"])


main()
