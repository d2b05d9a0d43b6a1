"""The pipeline of the checks as a file: the processes of a deep check load it, too. Where it leads is said by
the environment: DATABASE TARGET STATE, as `child` is told."""

from __future__ import annotations

import os

from bench.verify.people import pipeline

people = pipeline(*os.environ["LOCKSTEP_BENCH_PEOPLE"].split(" "))
