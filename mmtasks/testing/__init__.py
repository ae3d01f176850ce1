"""For tests of tasks, also of those that live elsewhere: ``check_task`` proves what all tasks promise."""

from mmtasks.testing.contract import check_task

__all__ = ["check_task"]
