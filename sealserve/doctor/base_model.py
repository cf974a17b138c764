"""The base model: whether it is here, fits into memory, and is fit to learn and to judge."""

from pathlib import Path

from sealserve.doctor.finding import Finding, State
from sealserve.errors import SealserveError
from sealserve.settings.settings import Settings


def check_model(settings: Settings) -> Finding:
    """Check that the base model is here and can be read."""
    from sealserve.base_models.cache import find_model
    from sealserve.engine.base_model import base_shape, model_directory

    model = settings.engine.model
    if model != "nano" and not Path(model).expanduser().is_dir() and find_model(model) is None:
        advice = "it is downloaded at the first start; set a local directory to work offline"
        return Finding(name="model", state=State.WARNS, found=f"{model} is not a local directory", advice=advice)
    try:
        shape = base_shape(model_directory(model))
    except SealserveError as error:
        advice = "reinstall sealserve" if model == "nano" else "set engine.model to a model saved as safetensors"
        return Finding.of("model", False, error.message, advice=advice)
    return Finding.of("model", True, f"{model}: {shape.max_context_tokens} tokens of context, {shape.digest[:12]}")


def check_memory(settings: Settings) -> Finding:
    """Check that engine and trainer fit together; a model that is not here yet is not measured."""
    from sealserve.engine.memory_plan import plan_here

    directory = _local_model(settings)
    if directory is None:
        return Finding.of("memory", True, "not known before the model is on this machine")
    try:
        plan = plan_here(settings, directory)
    except SealserveError as error:
        return Finding.of("memory", False, "cannot be planned", advice=error.message)
    return Finding.of("memory", not plan.fault, plan.shown(), advice=plan.fault)


def check_fitness(settings: Settings) -> Finding:
    """Show the last check of the base model; none is made here, it takes minutes."""
    from sealserve.base_models.fitness import HOW_TO_CHECK, read_fitness, refusal
    from sealserve.engine.base_model import base_shape

    name, directory = "fitness to learn", _local_model(settings)
    if settings.engine.model == "nano":
        return Finding.of(name, True, "the embedded model was measured when it was made: sealserve nano eval")
    if directory is None:
        return Finding.of(name, True, "not known before the model is on this machine")
    digest, is_taught = base_shape(directory).digest, settings.learn.study.editor == "endpoint"
    try:
        fitness = read_fitness(digest)
        reason = refusal(digest, has_teacher=is_taught, is_allowed=settings.learn.allow_unfit_base)
    except SealserveError as error:
        return Finding.of(name, False, error.message, advice=HOW_TO_CHECK, bad=State.WARNS)
    if fitness is None:
        return Finding.of(name, False, "never checked", advice=HOW_TO_CHECK, bad=State.WARNS)
    return Finding.of(name, not reason, fitness.shown(), advice=reason, bad=State.WARNS)


def check_judge(settings: Settings) -> Finding:
    """Show whether the base model may hold documents; it is calibrated by a cycle or by `model check`, not here."""
    from sealserve.base_models.judge_calibration import read_judge, read_judge_limits
    from sealserve.engine.base_model import base_shape

    name, directory = "judge of passages", _local_model(settings)
    if not settings.learn.study.judge:
        return Finding.of(name, True, "off (learn.study.judge)")
    if directory is None:
        return Finding.of(name, True, "not known before the model is on this machine")
    found = read_judge(base_shape(directory).digest)
    shown = found.shown(read_judge_limits()) if found else "not calibrated yet: the first cycle does it"
    return Finding.of(name, True, shown)


def _local_model(settings: Settings) -> Path | None:
    """Return the directory of the base model; None if it is not here, or cannot be read."""
    from sealserve.base_models.cache import find_model
    from sealserve.engine.base_model import base_shape, model_directory

    model = settings.engine.model
    if model != "nano" and not Path(model).expanduser().is_dir() and find_model(model) is None:
        return None
    try:
        directory = model_directory(model)
        base_shape(directory)
    except SealserveError:
        return None
    return directory
