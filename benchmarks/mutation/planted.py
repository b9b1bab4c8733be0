"""Plugin of pytest (`-p benchmarks.mutation.planted`) that plants the mutant described in the environment."""

import json
import os

from benchmarks.mutation.isolate import VARIABLE, install
from benchmarks.mutation.mutants import Mutant

install(Mutant(**json.loads(os.environ[VARIABLE])))
