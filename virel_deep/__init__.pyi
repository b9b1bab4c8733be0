"""Public names of `virel_deep`, each listed here only; `__init__.py` imports torch on first use of one."""

from .api import TrainingStopped as TrainingStopped
from .api import compare as compare
from .api import evaluate as evaluate
from .api import load_policy as load_policy
from .api import resume as resume
from .api import train as train
from .design.environment import EnvSpec as EnvSpec
from .results.loaded import LoadedPolicy as LoadedPolicy
