"""`sealserve demo`: the main job, shown on a real engine, from an article nobody knew to its rollback."""

from sealserve.demo.scenario import run_demo

__all__ = ["run_demo"]
