"""Choosing a summary: the shots that are worth most within a budget."""

from mmtasks.metrics.summary.knapsack import knapsack
from mmtasks.metrics.summary.selection import Selection, budget_frames, select

__all__ = [
    "Selection",
    "budget_frames",
    "knapsack",
    "select",
]
