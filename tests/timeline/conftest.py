from tests.accidents.conftest import product
from tests.pairs.conftest import target_url, world

__all__ = ["product", "target_url", "world"]
