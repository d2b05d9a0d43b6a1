from tests.pairs.conftest import target_url, world

__all__ = ["target_url", "world"]
