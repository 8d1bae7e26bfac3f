"""A forecast in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pamfn.data.rules import counted
from pamfn.phases.memory import network_bytes, rows_at_once, step_bytes
from tuning.forecast.disk import COPIES
from tuning.forecast.durations import Times
from tuning.forecast.halving import Course
from tuning.forecast.outlook import Outlook
from tuning.forecast.pace import Pace
from tuning.forecast.wording import in_time, in_units, rounded, span, table, time_span

KEPT = {"all": "every trial", "finished": "every trial that runs its full budget", "top": "no trial"}
PROCESS = 5 * 10**8  # bytes of a trial's process before it holds any data: Python, torch and Ray

BUSY = 0.8  # of a processor; a process that has less of one waits for others


def branches(outlook: Outlook) -> Iterator[str]:
    """Yields what phase 1 has to make."""
    artefacts, networks, trials = outlook.artefacts, outlook.networks, outlook.trials
    if not artefacts.sets:
        yield "none: trained in one stage"
        return
    each = f"{artefacts.each} artefacts ({len(networks.widths)} modalities x {len(networks.replicas)} networks)"
    if artefacts.sets == 1:
        yield f"{each}, shared by all trials"
    else:
        sets = f"{artefacts.sets} sets, by {_and(artefacts.settings)}"
        yield f"up to {artefacts.sets * artefacts.each:,}: {sets}, of {each}"
        yield f"{trials} random trials need {rounded(artefacts.drawn)} of the sets; those drawn in the end may be fewer"
    epochs = outlook.first.phase1_epochs
    yield f"{artefacts.there:,} of them are in the store; each of the others is trained for {epochs} epochs, once"
    if outlook.study.space.final.top:
        final = len(outlook.finals.replicas) * len(networks.widths)
        yield f"for the final stage {final} more of each configuration, on the whole training split"


def epochs(outlook: Outlook, courses: Sequence[Course]) -> Iterator[str]:
    """Yields how much phase 2 is trained."""
    task, whole = outlook.study.tasks[0].name, outlook.unstopped
    if len(outlook.study.tasks) > 1:
        yield f"in epochs of {task}, the others in proportion, summed over trials:"
    if outlook.study.space.scheduler.type == "none":
        yield f"phase 2 {whole:,}: no trial is stopped"
    else:
        spent = outlook.epochs(courses)
        yield f"phase 2 {span(spent)}; without stopping {whole:,}, {rounded(whole / spent.mean)} times as many"
        yield f"{span(outlook.finished(courses))} of {outlook.trials} trials run their full budget"
        yield (
            f"mean and nine in ten of {len(courses)} imagined studies, configurations and scores at random; a searcher "
            "that learns makes more trials go on"
        )
    if waiting := outlook.waiting(courses):
        yield f"up to {counted(waiting, 'trial')} wait for promotion at once"
    final, (fewest, most) = outlook.study.space.final, outlook.candidates(courses)
    if most:
        configurations = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        ties = f", up to {final.ties} that tie" if final.ties else ""
        yield (
            f"final stage: {configurations} configurations (the best {final.top}{ties}, the first point), full budgets "
            f"of {counted(len(outlook.finals.replicas), 'network')} each"
        )


def times(outlook: Outlook, pace: Pace | str, courses: Sequence[Course]) -> Iterator[str]:
    """Yields how long it takes on this machine."""
    if isinstance(pace, str):
        yield f"not measured: {pace}"
        return
    seconds, costs = outlook.times(pace, courses), [flops / outlook.flops[0] for flops in outlook.flops]
    yield f"measured on this machine ({pace.where}) in {in_time(pace.took)}; a cluster's devices differ"
    if pace.share < BUSY:
        yield f"other work keeps it busy: measuring had {pace.share:.0%} of a processor, and a quiet machine is faster"
    yield _steps(outlook, pace)
    if max(costs) > min(costs):
        between, mean = f"{rounded(min(costs))} to {rounded(max(costs))}", rounded(sum(costs) / len(costs))
        yield f"configurations take {between} times the first one's arithmetic, {mean} on average"
    yield f"a trial that runs its full budget takes about {in_time(seconds.trial)} in phase 2"
    parts = {
        "start of processes": seconds.start,
        "phase 1": seconds.branches,
        f"phase 2, {counted(outlook.concurrent, 'trial')} at once": seconds.trials,
        "final stage": seconds.final,
        "in all": seconds.total,
    }
    yield from table([(name, time_span(part)) for name, part in parts.items() if part.mean])
    yield from _limits(outlook, seconds)


def _steps(outlook: Outlook, pace: Pace) -> str:
    """Returns the measured step in words, and how it stands for those of whole trials."""
    chunk = len(outlook.networks.chunks(outlook.first, outlook.device)[0])
    step = in_time(pace.step(pace.first * pace.together))
    measured = f"a step of phase 2, {counted(pace.together, 'network')} like the first trial's: {step}"
    small = f" in batches of {pace.videos}" if pace.videos < outlook.first.batch_size else ""
    rest = f"; {chunk} train side by side, which is taken to cost in proportion" if chunk > pace.together else ""
    return measured + small + rest


def _limits(outlook: Outlook, seconds: Times) -> Iterator[str]:
    """Yields which budget of time ends the trials before their number does."""
    budget, needed = outlook.study.space.budget, seconds.trials.mean + seconds.branches.mean
    limits = {"time": (budget.time, needed), "device_time": (budget.device_time, needed * outlook.concurrent)}
    for name, (limit, whole) in limits.items():
        if limit is not None and limit < whole:
            yield f"budget.{name} is {in_time(limit)}: the trials end then, at about {limit / whole:.0%} of this"


def disk(outlook: Outlook, courses: Sequence[Course]) -> Iterator[str]:
    """Yields the bytes that it takes, and whether there is room for them."""
    of = outlook.disk(courses)
    trial = of.trial
    size = f"{counted(trial.networks, 'network')} of {trial.kept:,} weights beside the fixed branches"
    yield f"a trial of the largest drawn, {size}: {in_units(trial.running)} on disk while it runs"
    kept = KEPT[outlook.study.space.tracking.checkpoints]
    yield f"MLflow keeps the weights of {kept}, {in_units(trial.weights)} each"
    parts = {
        f"{counted(outlook.concurrent, 'running trial')}": of.running,
        f"{counted(outlook.waiting(courses), 'waiting trial')}": of.waiting,
        "weights in MLflow": of.logged,
        "branches": of.branches,
        f"final networks, {COPIES} copies": of.final,
        "planted data": of.data,
    }
    yield from table([(name, f"up to {in_units(size)}") for name, size in parts.items() if size])
    for place in of.places:
        free = "room unknown" if place.free is None else f"{in_units(place.free)} are free"
        yield f"in all up to {in_units(place.needed)} at {place.folder}, where {free}"
        if not place.fits:
            yield f"WARNING: {in_units(place.needed - (place.free or 0))} too little there"


def fits(outlook: Outlook, *, elsewhere: bool) -> Iterator[str]:
    """Yields what of it this machine can hold."""
    machine, resources = outlook.machine, outlook.study.space.resources
    gpus = f"{counted(len(machine.gpus), 'GPU')} ({machine.gpus[0]})" if machine.gpus else "no GPU"
    yield f"here: {counted(machine.cpus, 'CPU')}, {in_units(machine.free)} of memory free, {gpus}"
    if elsewhere:
        yield "the cluster of --address is not asked: all of this speaks of the machine you are on"
    room = machine.trials_at_once(resources.cpu, resources.gpu)
    who, engines = ("trial", False) if resources.engine == "off" else ("engine", True)
    if not room:
        yield f"WARNING: no {who} fits: it asks for {resources.cpu:g} CPU and {resources.gpu} GPU"
        return
    needed = engine_memory(outlook) if engines else trial_memory(outlook)
    asked = f"{'an' if engines else 'a'} {who} asks for {resources.cpu:g} CPU and {resources.gpu} GPU"
    yield f"{asked}: {counted(room, who)} at once, {outlook.concurrent} are wanted"
    yield f"one takes up to {in_units(needed)} of memory"
    on_gpu = outlook.device.type == "cuda"
    beside = 1 if resources.gpu == "auto" or not on_gpu else max(1, int(1 / resources.gpu))  # of one GPU
    free, at_once = (machine.gpu_free, beside) if on_gpu else (machine.free, outlook.concurrent)
    if needed * at_once > free:
        yield (
            f"WARNING: {counted(at_once, who)} may take {in_units(needed * at_once)}, and "
            f"{in_units(free)} {'of the GPU ' if on_gpu else ''}are free: lower budget.concurrent"
        )


def trial_memory(outlook: Outlook) -> int:
    """Returns the bytes that a trial of the largest configuration may hold: features, networks, and one step."""
    networks, recipe = outlook.networks, outlook.largest
    features = 4 * int(networks.contents.lengths.sum()) * sum(networks.widths.values())
    side_by_side = len(networks.chunks(recipe, outlook.device)[0])
    held = len(networks.replicas) * network_bytes(recipe, networks.widths)
    return PROCESS + features + held + side_by_side * step_bytes(recipe, networks.widths, outlook.device.type)


def engine_memory(outlook: Outlook) -> int:
    """Returns the bytes that an engine may hold: features, the networks of a trial or of all rows, and one step."""
    networks, recipe = outlook.networks, outlook.largest
    features = 4 * int(networks.contents.lengths.sum()) * sum(networks.widths.values())
    rows = rows_at_once(recipe, networks.widths, outlook.device)
    held = max(rows, len(networks.replicas)) * network_bytes(recipe, networks.widths)
    return PROCESS + features + held + rows * step_bytes(recipe, networks.widths, outlook.device.type)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
