"""The model card: what a study's winner is, what it scores, how to ask it, and what it must not be taken for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pamfn.data.features import Contents
from pamfn.data.rules import counted
from pamfn.phases.saved import SavedNetworks
from tuning.selection.words import number, reference_words, verdict, with_interval
from tuning.study import Study
from tuning.tracking.names import short
from tuning.winners.markdown import code, plain, table
from tuning.winners.names import registered_name

LONGEST = 4800  # characters of a description; MLflow's databases hold 5000


@dataclass(frozen=True, eq=False)
class Winner:
    """What a card is about.

    Args:
        study: The study.
        results: What ``final.json`` holds.
        row: The configuration's row in it.
        networks: The trained networks.
        contents: What is known of the data.
        figures: Names of the figures' files, and what each shows.
    """

    study: Study
    results: Mapping[str, Any]
    row: Mapping[str, Any]
    networks: SavedNetworks
    contents: Contents
    figures: Mapping[str, str]

    @property
    def actions(self) -> list[str]:
        """The classes that it scores."""
        return list(dict.fromkeys(task.action for task in self.study.tasks))


def model_card(winner: Winner) -> str:
    """Returns the card, in Markdown; no word of the data is taken for markup."""
    parts = [_head(winner), _test(winner), _protocol(winner), _settings(winner), _asking(winner), _limits(winner)]
    return "\n\n".join([*parts, *_figures(winner)]) + "\n"


def described(card: str) -> str:
    """Returns a card as the description of a registered version: without figures, and no longer than those may be."""
    text = card.partition("\n\n## Figures")[0] + "\n\nFigures and this card as a file are among the model's artifacts."
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(chr(10), 1)[0]}\n\n(cut: see the file)"


def _head(winner: Winner) -> str:
    study, recipe, schema = winner.study, winner.networks.recipe, winner.contents.schema
    seconds = schema.seconds_per_segment
    streams = [
        f"{code(name)}: {width} numbers a segment"
        + (f", extracted by {plain(schema.extractors[name])}" if schema.extractors.get(name) else "")
        for name, width in winner.networks.widths.items()
    ]
    scores = [f"{plain(task.name)}: 0 to {schema.scores[task.score]:g}" for task in study.tasks]
    rows = [
        ["Model", f"{code(recipe.model)}: {plain(recipe.of.summary)}"],
        ["Study", f"{plain(study.name)}, trial {plain(winner.row['trial_id'])}, rank {winner.row['rank']}"],
        ["Networks", f"{winner.results['seeds']} a class (seed {study.seed}), whose mean is the score"],
        ["Scores", "; ".join(scores)],
        ["Features", "; ".join(streams) + ("" if seconds is None else f"; a segment is {seconds:g} s")],
        ["Data", f"{plain(study.data.rstrip('/').rsplit('/', 1)[-1])}, digest {code(study.digest)}"],
    ]
    title = f"# Scores of {', '.join(map(plain, winner.actions))}"
    task = "the segments of a video that are highlights" if recipe.task == "highlights" else "how well it was done"
    return f"{title}\n\nSays of a video, given as pre-extracted features, {task}.\n\n{table(['', ''], rows)}"


def _test(winner: Winner) -> str:
    results, row, metric = winner.results, winner.row, winner.study.metric
    fusion = row["models"]["fusion"]
    shown = [("average", fusion["average"]), *fusion["classes"].items()]
    lines = [
        [plain(name), f"{number(of):.3f}", f"{of['low']:.3f} to {of['high']:.3f}"]
        for name, of in (shown[1:] if len(shown) == 2 else shown)
    ]
    opening = f"opening {results['opening']['number']} of this data's test split"
    text = (
        f"## Measured on the test split\n\n{metric.words[0].upper()}{metric.words[1:]} of each network with the "
        f"annotators, averaged over {counted(results['seeds'], 'seed')}, with the 95% interval over videos "
        f"({opening}).\n\n{table(['class', 'score', '95% interval'], lines)}"
    )
    if row["rank"] == 1:
        said = verdict(results)
        return f"{text}\n\n{said[0].upper()}{said[1:]}."
    if row["difference"]:
        gap = with_interval(row["difference"]["average"])
        return f"{text}\n\nThe average is {gap} from {reference_words(results)}, over videos and seeds."
    return text


def _protocol(winner: Winner) -> str:
    space, selection = winner.study.space, winner.results["selection"]
    evaluation = space.evaluation
    groups = f", grouped by {plain(evaluation.group)}" if evaluation.group else ""
    train, test = (len([s for s in winner.contents.splits if s == split]) for split in ("train", "test"))
    return (
        f"## Protocol\n\nChosen among {counted(selection['trials'], 'trial')} ({selection['finished']} ran their full "
        f"budget) by the mean over {counted(evaluation.folds, 'fold')} cut inside the training split{groups} and "
        f"{counted(evaluation.seeds, 'seed')}, at the last epoch: {winner.row['objective']:.3f}. Then trained on the "
        f"whole training split over {counted(winner.results['seeds'], 'seed')}, and scored at the last epoch on the "
        f"test split, which chose nothing. The data have {counted(train, 'training video')} and "
        f"{counted(test, 'test video')} of all classes."
    )


def _settings(winner: Winner) -> str:
    rows = [[code(name), code(short(value))] for name, value in sorted(winner.row["config"].items())]
    searched = table(["searched setting", "value"], rows) if rows else "Nothing was searched."
    return f"## Settings\n\n{searched}\n\nAll settings are in `networks/networks.json`."


def _asking(winner: Winner) -> str:
    name, streams = registered_name(winner.actions[0]), ", ".join(map(code, winner.networks.widths))
    return (
        f"## How to ask\n\n`mlflow models serve --env-manager local -m models:/{name}@champion -p 5001`, and post "
        "`dataframe_records` to `/invocations`. A record is a clip: "
        f"{streams} (each a list of segments, each a list of numbers; clips may differ in length), and `action`, "
        "one of the classes above, which may be left out if there is one. Or `data`, a folder of shards below the "
        "one the server was started in, and `video_id`. The answer has `score` in the annotators' unit and what each "
        "network said, with its decisions and attention where it has them."
    )


def _limits(winner: Winner) -> str:
    return (
        "## Limits and licence\n\n"
        "It scores what it was trained on: these classes, features of these extractors at this segment length, filmed "
        "and annotated as its data were; of anything else it says a number all the same. The interval is over test "
        "videos of the same source. It repeats what the annotators preferred, biases included, and is no judge: no "
        "decision about a person should rest on it alone.\n\n"
        "The code is under the MIT licence. The weights are derived from the data named above, whose terms this "
        "project does not know: see that they allow what you do with them."
    )


def _figures(winner: Winner) -> Iterator[str]:
    if winner.figures:
        shown = [f"![{what}](figures/{name})\n\n{what}" for name, what in winner.figures.items()]
        yield "## Figures\n\nOf the class's test videos with the lowest, the middle and the highest score.\n\n" + (
            "\n\n".join(shown)
        )
