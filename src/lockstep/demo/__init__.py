"""The demo: the main job on embedded parts, as a story with figures.

`app` is somebody's product, `models` and `pipeline` are what its engineers would write, `traffic` is its
customers, `main` tells the story.
"""
