"""What a pipeline's builds decide and write: `python -m delivery`.

Runs on the standard library and boto3, which the build image has.
"""
