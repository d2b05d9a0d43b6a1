"""The engine: one file a stage, in the order in which a hint travels them, a batch at a time.

    sources/capture → hints/take, expand → deriving/derive → writing/decide, apply, settle

`holds/` is what stops a mapping; `consumers/loop.py` takes one mapping through the stages, in its thread.
Each folder imports only those before it. `service.py` is one `run`, `build.py` one build beside the live one.
"""
