"""How good a video summary is: correlations, F-score, and the rows that every table needs beside a model's.

Figures have these names everywhere. F-scores depend mostly on the shots and the budget: random scores come close to
published models (Otani et al., "Rethinking the Evaluation of Video Summaries", CVPR 2019), so the correlations lead.

=============== ====================================================================================================
``tau``         Kendall's τ-b of the scores with each person, averaged over people
``rho``         Spearman's ρ of the scores with each person, averaged over people
``tau_of_mean`` Kendall's τ-b of the scores with the mean of all people: higher, and not comparable with ``tau``
``rho_of_mean`` Spearman's ρ of the scores with the mean of all people
``f_mean``      F-score of the summary with each person's, averaged over people (TVSum's convention)
``f_max``       F-score of the summary with that of the person who agrees most (SumMe's convention)
=============== ====================================================================================================

All are averaged over videos. A figure that no annotation can give is left out.
"""

from mmtasks.metrics.summary.controls import controls
from mmtasks.metrics.summary.correlations import correlations, kendall, spearman
from mmtasks.metrics.summary.figures import FIGURES, average, figures
from mmtasks.metrics.summary.frame_mlp import per_frame_mlp
from mmtasks.metrics.summary.fscore import f_scores
from mmtasks.metrics.summary.knapsack import knapsack
from mmtasks.metrics.summary.scores import SummaryScores
from mmtasks.metrics.summary.selection import Selection, budget_frames, select

__all__ = [
    "FIGURES",
    "Selection",
    "SummaryScores",
    "average",
    "budget_frames",
    "controls",
    "correlations",
    "f_scores",
    "figures",
    "kendall",
    "knapsack",
    "per_frame_mlp",
    "select",
    "spearman",
]
