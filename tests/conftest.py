pytest_plugins = ["lockstep.testing.pytest_plugin"]
