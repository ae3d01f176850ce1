"""Write the README's tables of figures from ``benchmarks/results``: ``python -m benchmarks.readme``."""

import json
from pathlib import Path
from string import Formatter
from typing import Any

from benchmarks.result import RESULTS

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def _joint_rows(world: str, pictures: str, speech: str, films: str) -> tuple[tuple[str, str, str], ...]:
    """One backbone against three models, on a world's three sets, over seeds."""

    def field(name: str, form: str) -> str:
        return f"{{{name}_{world}:{form}}}"

    def both(name: str, form: str = ".1f") -> str:
        kinds = (f"joint_{name}", f"single_{name}")
        return " / ".join(f"{field(kind, form)} ± {field(f'{kind}_sd', form)}" for kind in kinds)

    def unfused(kind: str) -> str:
        found = [field(f"{kind}_{name}", ".1f") for name in ("t2i_r1", "i2t_r1", "wer")]
        return "{} / {}; {} %; ".format(*found) + field(f"{kind}_tau", ".2f")

    rows = (
        (f"One backbone for three tasks / three models, equal steps: {pictures}, R@1 text→image", both("t2i_r1")),
        ("… R@1 image→text", both("i2t_r1")),
        (f"… {speech}, word error rate", f"{both('wer')} %"),
        (f"… {films}, τ with people", both("tau", ".2f")),
        (
            "… the joint model whose fusion lets tokens pass as they are: R@1 both ways, word error rate, τ",
            unfused("without_fusion"),
        ),
        ("… the joint model whose heads read zeros in the place of fused tokens, likewise", unfused("zeroed")),
        ("… weights that are trained", f"{field('params_joint', ',.0f')} / {field('params_single', ',.0f')}"),
    )
    return tuple(("joint", label, figure) for label, figure in rows)


ROWS = (
    ("scenes", "Drawn scenes, 200 unseen, R@1 text→image / image→text", "{t2i_r1:.1f} / {i2t_r1:.1f}"),
    ("scenes", "… binding pairs, with fusion / dual encoder alone", "{binding_fused:.1f} / {binding_dual:.1f}"),
    ("scenes", "… binding pairs, bag of words (the control)", "{binding_bag:.1f}"),
    ("flickr8k_mman_scratch", "Flickr8k, CNN + LSTM + MMAN from scratch, R@10", "{t2i_r10:.1f} / {i2t_r10:.1f}"),
    ("flickr8k_pretrained", "Flickr8k, pretrained encoders + fusion, R@1", "{t2i_r1:.1f} / {i2t_r1:.1f}"),
    ("flickr8k_pretrained", "… the same model without re-ranking, R@1", "{t2i_r1_dual:.1f} / {i2t_r1_dual:.1f}"),
    ("commands", "Spoken commands, unheard voices and sentences, word error rate", "{wer:.1f} %"),
    ("commands", "… commands understood exactly", "{command_accuracy:.1f} %"),
    (
        "fsdd",
        "Spoken digits, a speaker never heard, from scratch, with / without synthetic voices, accuracy",
        "{accuracy:.1f} / {accuracy_speakers_alone:.1f} %",
    ),
    ("fsdd", "… Whisper tiny.en as published, which may write any words", "{accuracy_whisper:.1f} %"),
    (
        "librispeech_whisper",
        "LibriSpeech, Whisper tiny.en: as published / frozen encoder + fusion + CTC, word error rate",
        "{wer_zero_shot:.1f} / {wer_frozen_ctc:.1f} %",
    ),
    (
        "librispeech_whisper",
        "… its decoder as published / tuned / with LoRA; one seed, no more than chance",
        "{wer_zero_shot:.2f} / {wer_finetuned:.2f} / {wer_lora:.2f} %",
    ),
    (
        "librispeech_scratch",
        "LibriSpeech, 3.5 hours after an epoch of one speaker, from scratch, word error rate",
        "{wer:.1f} %",
    ),
    ("kathleen", "One speaker, 0.94 hours and synthesis, from scratch, word error rate", "{wer:.1f} %"),
    (
        "transcribe_speed",
        "An hour of speech, Whisper tiny.en, as a multiple of the speed of transformers' pipeline, and of the pipeline "
        "with times",
        "{ratio_vs_pipeline:.2f} / {ratio_vs_pipeline_with_times:.2f}",
    ),
    (
        "transcribe_speed",
        "… word error rate; the pipeline's, which loses text between windows; the pipeline's with times",
        "{wer:.1f}; {wer_pipeline:.1f}; {wer_pipeline_with_times:.1f} %",
    ),
    (
        "transcribe_speed",
        "… memory at 10 / 60 minutes, and the pipeline's at 60",
        "{peak_mb_10min:.0f} / {peak_mb_60min:.0f}, {peak_mb_pipeline:.0f} MB",
    ),
    (
        "speech_bucketing",
        "Speech a second with batches by length, as a multiple of random batches: sentences and telephone prompts "
        "mixed / sentences alone",
        "{ratio:.2f} / {ratio_librispeech:.2f}",
    ),
    (
        "tvsum",
        "TVSum, five folds, three seeds, Kendall's τ / Spearman's ρ with people",
        "{tau:.3f} ± {tau_sd:.3f} / {rho:.3f}",
    ),
    (
        "tvsum",
        "… a scorer of single frames / random / uniform / people with each other, τ",
        "{tau_mlp:.3f} ± {tau_sd_mlp:.3f} / {tau_random:.3f} / {tau_uniform:.3f} / {tau_human:.3f}",
    ),
    (
        "tvsum",
        "… fold 0, on whose training videos alone the config was chosen: model / single frames / random / people, τ",
        "{tau_fold0:.3f} / {tau_fold0_mlp:.3f} / {tau_fold0_random:.3f} / {tau_fold0_human:.3f}",
    ),
    (
        "tvsum_ablation",
        "… smoothed, without title / with title; unsmoothed, in order / shuffled, τ",
        "{tau_no_title:.3f} ± {tau_no_title_sd:.3f} / {tau_title:.3f} ± {tau_title_sd:.3f}; "
        "{tau_unsmoothed:.3f} ± {tau_unsmoothed_sd:.3f} / {tau_shuffled:.3f} ± {tau_shuffled_sd:.3f}",
    ),
    (
        "summe_clips",
        "Two clips of SumMe, learned from TVSum alone, F-score: model / random / uniform / people",
        "{f_score:.2f} ± {f_score_sd:.2f} / {f_random:.2f} / {f_uniform:.2f} / {f_human:.2f}",
    ),
    (
        "films",
        "Drawn films, right title / none / swapped, τ with viewers",
        "{tau:.2f} / {tau_no_title:.2f} / {tau_swapped_title:.2f}",
    ),
    (
        "summarize_speed",
        "Ten minutes of 720p, as a multiple of the speed of OpenCV and the same encoder: scored / also cut and drawn",
        "{ratio_scoring_vs_opencv:.3f} / {ratio_vs_opencv:.3f}",
    ),
    (
        "flickr8k_gpu",
        "Flickr8k, both encoders tuned (batch norms too), bfloat16: pictures a second / share of the peak in a step",
        "{image_text_samples_per_second:.0f} / {image_text_share_of_peak:.1%}",
    ),
    (
        "joint_gpu",
        "Joint model, bfloat16, compiled blocks: weights; samples a second of pictures / recordings / films",
        "{parameters:,.0f}; {image_text_samples_per_second:.0f} / {transcription_samples_per_second:.0f} / "
        "{summary_samples_per_second:.0f}",
    ),
    (
        "joint_gpu",
        "… share of the peak in a step: pictures / recordings / films; time between steps; GPU memory",
        "{image_text_share_of_peak:.1%} / {transcription_share_of_peak:.1%} / {summary_share_of_peak:.1%}; "
        "{waiting_share:.1%}; {peak_memory_gb:.1f} GiB",
    ),
    (
        "fusion_growth",
        "Time of fusion grows with length to the power of: joint attention / bottleneck (`own: false`)",
        "{exponent_joint:.2f} / {exponent_bottleneck:.2f}",
    ),
    *_joint_rows("embedded", "scenes", "commands", "films"),
    *_joint_rows("real", "Flickr8k", "LibriSpeech through Whisper", "TVSum's first fold"),
    (
        "audio_visual",
        "Commands in noise of -5 dB: sound alone / with the mouth / the same model without it, word error rate",
        "{wer_audio:.1f} / {wer_both:.1f} / {wer_both_without_video:.1f} %",
    ),
    (
        "resume",
        "Kills at random moments, two a run / after which the weights ended identical",
        "{kills:.0f} / {identical:.0f}",
    ),
    (
        "two_processes",
        "Two processes against one with two threads, efficiency: image-text / speech / summary",
        "{image_text_efficiency:.0%} / {transcription_efficiency:.0%} / {summary_efficiency:.0%}",
    ),
    ("itm_speed", "Training steps a second, as a multiple of transformers' Trainer", "{steps_vs_transformers:.2f}"),
    ("itm_speed", "What Lightning's loop adds to a step", "{loop_overhead:.1%}"),
)


def main() -> None:
    """Put the tables between the markers."""
    text = README.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    README.write_text(before + START + tables() + END + after)


def tables() -> str:
    """What stands between the markers."""
    return table() + fusions()


def table() -> str:
    """The figures that have been measured, as Markdown."""
    lines = ["| what | figure | measured on |", "|---|---|---|"]
    for name, label, figure in ROWS:
        path = RESULTS / f"{name}.json"
        result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"metrics": {}}
        needed = _needed(figure)
        if needed <= result["metrics"].keys():
            runs = [result.get("earlier", {}).get(metric, result) for metric in sorted(needed)]
            where = "; ".join(dict.fromkeys(f"{run['machine']}, {run['date']}" for run in runs))
            lines.append(f"| {label} | {figure.format(**result['metrics'])} | {where} |")
    return "\n".join(lines) + "\n"


def _needed(figure: str) -> set[str]:
    """The metrics that a figure is made of; a benchmark may have measured only some."""
    return {name for _, name, _, _ in Formatter().parse(figure) if name}


def fusions() -> str:
    """Every fusion on the same cached features, as Markdown; nothing if that was not measured."""
    path = RESULTS / "flickr8k_fusion_table.json"
    if not path.is_file():
        return ""
    result: dict[str, Any] = json.loads(path.read_text())
    metrics: dict[str, float] = result["metrics"]
    end = "_minutes"
    where = f"{result['machine']}, {result['date']}"
    lines = [
        f"\nFusions in `configs/flickr8k_frozen.yaml`, one seed, text→image / image→text ({where}):\n",
        "| fusion | R@1, re-ranked | R@1, embeddings | trained weights | minutes |",
        "|---|---|---|---|---|",
    ]
    for kind in [name.removesuffix(end) for name in metrics if name.endswith(end)]:
        found = {name.removeprefix(f"{kind}_"): value for name, value in metrics.items() if name.startswith(f"{kind}_")}
        ranked = "{t2i_r1:.1f} / {i2t_r1:.1f} | {dual_t2i_r1:.1f} / {dual_i2t_r1:.1f}".format(**found)
        lines.append(f"| {kind} | {ranked} | {found['parameters'] / 1e6:.2f} M | {found['minutes']:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
