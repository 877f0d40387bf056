"""Tests, by the kind of thing that they test."""

import os
import sys

# Compiling aws_cdk takes longer than synthesizing: byte code is kept, also by the processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
