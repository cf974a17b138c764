"""Every span, metric and attribute name, once. Dashboards, alerts and tests read them from here.

Names that begin with `gen_ai.` or `error.` follow the OpenTelemetry GenAI semantic conventions (status
"development"); the conventions have no word for adapters, tenants or learning, so the rest is `sealserve.`.
"""

from dataclasses import dataclass
from enum import StrEnum

PROVIDER = "sealserve"
"""The value of `gen_ai.provider.name`: the conventions have none for an embedded engine."""

OPERATION_CHAT = "chat"
"""The value of `gen_ai.operation.name` for an answered conversation."""


class Span(StrEnum):
    """Span names. A request's span is named `<operation> <model>`; see `request_span`."""

    CYCLE = "cycle"  # one learning cycle, all steps below it
    STEP = "cycle.step"  # one step of a cycle, attribute sealserve.step
    SELF_EDIT = "self_edit.write"  # one self-edit sampled from the editor
    TRAIN = "candidate.train"  # one training attempt, seen from the parent
    MEASURE = "candidate.measure"  # one candidate measured on one suite
    ACTIVATE = "adapter.activate"  # load, probe, swap, observe
    LOAD = "adapter.load"
    REBUILD = "engine.rebuild"
    RECEIVE = "document.receive"


def request_span(operation: str, model: str) -> str:
    """Return the span name of a model call: operation, then model, as the conventions say."""
    return f"{operation} {model}"


class Attribute(StrEnum):
    """Attribute names of spans and metrics. None of them ever carries document, prompt or answer text."""

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    REQUEST_MODEL = "gen_ai.request.model"
    RESPONSE_ID = "gen_ai.response.id"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    TOKEN_TYPE = "gen_ai.token.type"
    ERROR_TYPE = "error.type"
    TENANT = "sealserve.tenant"
    ADAPTER = "sealserve.adapter"  # engine name
    VERSION = "sealserve.version"
    REPLICA = "sealserve.replica"
    CYCLE = "sealserve.cycle"
    STEP = "sealserve.step"
    ATTEMPT = "sealserve.attempt"
    CANDIDATE = "sealserve.candidate"
    TEMPLATE = "sealserve.template"
    SUITE = "sealserve.suite"
    VERDICT = "sealserve.verdict"
    DOCUMENT = "sealserve.document"  # id
    DOCUMENT_STATE = "sealserve.document.state"
    DEFECT = "sealserve.defect"
    REASON = "sealserve.reason"  # a stable word, never free text
    KIND = "sealserve.kind"
    OUTCOME = "sealserve.outcome"
    TRIGGER = "sealserve.trigger"  # what a watch rolls back on
    ADAPTER_WAIT_SECONDS = "sealserve.adapter.wait_seconds"  # how long a call waited for its adapter to be loaded


class LogEvent(StrEnum):
    """Log events, each `noun.verb_past`. Alerts name them.

    Keys are the same everywhere: `reason` is a stable word or what was decided by, `error` the text of an exception,
    `error_type` its class.
    """

    # processes
    GATEWAY_STARTED = "gateway.started"  # the port of OpenAI's API is open
    SERVER_STARTED = "server.started"  # the port is open; the engine may be starting still
    ENGINE_STARTED = "engine.started"
    REPLICA_REFUSED = "replica.refused"  # another server runs under serve.replica, or one that was just killed
    HEARTBEAT_NOT_RENEWED = "heartbeat.not_renewed"  # tried again; without it this replica counts as dead
    CONTEXT_FITTED = "engine.context_fitted"  # the KV cache holds less than the model's own context
    MEMORY_PLANNED = "memory.planned"  # what engine and trainer need, and what there is
    LEARNER_STARTED = "learner.started"
    SESSION_PRIORITY_LOWERED = "session.priority_lowered"  # training yields to processes of other sessions
    SESSION_PRIORITY_NOT_LOWERED = "session.priority_not_lowered"  # learn.niceness counts in this session only
    PAGE_STARTED = "page.started"  # the approvals page, with its address
    CERTIFICATE_RENEWED = "certificate.renewed"  # a listener shows the new one from now on
    CERTIFICATE_NOT_RENEWED = "certificate.not_renewed"  # the files are no pair: the old one is shown
    LEARN_ENDED = "learn.ended"  # the child process; it is started again
    WEB_ENDED = "web.ended"  # as above

    # calls
    CALL_ABANDONED = "call.abandoned"  # the caller went away
    CALL_REFUSED = "call.refused"  # the caller's fault
    CALL_FAILED = "call.failed"  # our fault, or the engine's or the database's, by name
    CALL_CRASHED = "call.crashed"  # an exception that nothing names
    ANSWERS_NOT_RECORDED = "answers.not_recorded"  # they wait for the registry

    # engine
    LIVENESS_PROBE_FAILED = "liveness_probe.failed"
    ENGINE_LOST = "engine.lost"
    ENGINE_NOT_REBUILT = "engine.not_rebuilt"  # tried again after retry_seconds
    ENGINE_REBUILT = "engine.rebuilt"
    ADAPTER_NOT_RELOADED = "adapter.not_reloaded"  # after a rebuild
    SUSPECTS_NOT_REPORTED = "suspects.not_reported"  # adapters that killed the engine

    # activation and rollout
    REGISTRY_NOT_READ = "registry.not_read"  # what should be active is not known now
    VERSION_REVOKED = "version.revoked"  # revoked: it gets no requests any more
    ACTIVATION_FAILED = "activation.failed"  # tried again, later each time
    ACTIVATION_CRASHED = "activation.crashed"  # an exception that nothing names
    VERSION_QUARANTINED = "version.quarantined"
    VERSION_NOT_LOADED = "version.not_loaded"  # an unknown signer, or it does not fit these settings: not condemned
    KEY_FILE_REFUSED = "key_file.refused"  # of keys/trusted
    FILE_REPAIRED = "file.repaired"  # others could read it
    FILE_NOT_REPAIRED = "file.not_repaired"  # others may read it; it belongs to another user
    AUDIT_HEAD_SIGNED = "audit_head.signed"
    AUDIT_HEAD_NOT_SIGNED = "audit_head.not_signed"  # tried again in an hour
    VERSION_SUSPECTED = "version.suspected"  # suspended, or resumed: `kind` says which
    ROLLOUT_NOT_RECORDED = "rollout.not_recorded"  # outcomes wait for the registry
    ROLLOUT_NOT_READ = "rollout.not_read"
    ROLLOUT_NOT_MOVED = "rollout.not_moved"  # tried again
    ROLLOUT_MOVED = "rollout.moved"  # to its next stage, or to its end
    ROLLBACK_REFUSED = "rollback.refused"  # a rule forbids an automatic rollback
    VERSION_ROLLED_BACK = "version.rolled_back"  # automatically

    # policy
    POLICY_LOADED = "policy.loaded"
    POLICY_REFUSED = "policy.refused"  # the rules before stay in force
    APPROVALS_NOT_COUNTERSIGNED = "approvals.not_countersigned"  # tried again at the next start

    # documents
    DOCUMENT_RECEIVED = "document.received"
    DOCUMENT_STOPPED = "document.stopped"  # by the base model as a judge, at the beginning of a cycle
    FILE_REFUSED = "file.refused"  # of a watched directory
    FILE_NOT_RECEIVED = "file.not_received"  # tried again
    FILE_IGNORED = "file.ignored"  # in a watched directory, no document by its name or place, or not to be opened
    DIRECTORY_IGNORED = "directory.ignored"  # it names no tenant
    DIRECTORY_NOT_WATCHED = "directory.not_watched"  # no change events: it is looked at now and then
    SOURCE_SYNCED = "source.synced"  # with its counts
    SOURCE_NOT_SYNCED = "source.not_synced"  # tried again, later each time
    SOURCE_ALARMED = "source.alarmed"  # too many items left a mirrored source at once: nothing is forgotten
    SOURCES_NOT_READ = "sources.not_read"  # which are due is not known now
    DELIVERY_REFUSED = "delivery.refused"  # of a webhook
    UNLEARNING_NOT_PROBED = "unlearning.not_probed"

    # learning
    LEARNING_REFUSED = "learning.refused"  # the base model is below the floors of its check; documents wait
    CYCLE_NOT_CLAIMED = "cycle.not_claimed"
    CYCLE_LOST = "cycle.lost"  # another worker has it
    CYCLE_CRASHED = "cycle.crashed"  # an attempt, of learn.max_attempts
    CYCLE_FINISHED = "cycle.finished"
    STEP_FINISHED = "step.finished"
    TRAINING_PROGRESSED = "training.progressed"
    RETENTION_SET_NOT_STORED = "retention_set.not_stored"  # the base is asked again after the next start
    JUDGE_NOT_STORED = "judge.not_stored"  # the base is calibrated again after the next start
    TRAINING_NOT_CANCELLED = "training.not_cancelled"
    LEASE_NOT_RENEWED = "lease.not_renewed"
    LEASE_NOT_RELEASED = "lease.not_released"  # it runs out
    LEASE_LOST = "lease.lost"
    DOCUMENTS_NOT_GATHERED = "documents.not_gathered"
    CLEANUP_FAILED = "cleanup.failed"
    ARTIFACT_GC_FAILED = "artifact_gc.failed"
    NIGHTLY_FAILED = "nightly.failed"
    CANARY_MEASURED = "canary.measured"
    CANARY_NOT_MEASURED = "canary.not_measured"
    CANARY_REGRESSED = "canary.regressed"
    EDITOR_NOT_SETTLED = "editor.not_settled"
    EDITOR_FILE_REFUSED = "editor_file.refused"  # of an earlier release; the tenant's editor starts anew
    EDITOR_ROUNDS_FAILED = "editor_rounds.failed"
    EDITOR_ROUND_FINISHED = "editor_round.finished"
    EDITOR_ROUND_SKIPPED = "editor_round.skipped"


class Kind(StrEnum):
    """Which instrument a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricName:
    """One metric: its OTLP name, UCUM unit, what it says, and a histogram's bucket bounds."""

    name: str
    kind: Kind
    unit: str
    says: str
    buckets: tuple[float, ...] = ()


_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = tuple(float(4**power) for power in range(14))
_LEARNING = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 3600.0)
_NATS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 16.0)
_FLIP = (0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Bucket bounds. The first four are the ones the GenAI conventions ask for; the last two are sized to our steps."""


def _histogram(name: str, says: str, buckets: tuple[float, ...], unit: str = "s") -> MetricName:
    return MetricName(name=name, kind=Kind.HISTOGRAM, unit=unit, says=says, buckets=buckets)


def _counter(name: str, unit: str, says: str) -> MetricName:
    return MetricName(name=name, kind=Kind.COUNTER, unit=unit, says=says)


def _gauge(name: str, unit: str, says: str) -> MetricName:
    return MetricName(name=name, kind=Kind.GAUGE, unit=unit, says=says)


REQUEST_DURATION = _histogram("gen_ai.server.request.duration", "Whole model call, queue included.", _DURATION)
TIME_TO_FIRST_TOKEN = _histogram("gen_ai.server.time_to_first_token", "Arrival to first token.", _FIRST_TOKEN)
COLD_FIRST_TOKEN = _histogram(
    "sealserve.cold.time_to_first_token", "Arrival to first token of calls that waited for an adapter.", _FIRST_TOKEN
)
ADAPTER_WAIT = _histogram("sealserve.adapter.wait.duration", "Calls' wait for an adapter to be loaded.", _FIRST_TOKEN)
TIME_PER_TOKEN = _histogram("gen_ai.server.time_per_output_token", "Mean time between output tokens.", _PER_TOKEN)
TOKEN_USAGE = _histogram("gen_ai.client.token.usage", "Tokens of one call, by type.", _TOKENS, unit="{token}")
QUEUE_DEPTH = _gauge("sealserve.queue.depth", "{request}", "Tenants' calls waiting for the engine.")
DOCUMENTS_RECEIVED = _counter("sealserve.documents.received", "{document}", "Documents stored, by first state.")
DOCUMENTS = _gauge("sealserve.documents", "{document}", "Documents in each state.")
SOURCE_ITEMS = _counter("sealserve.sources.items", "{item}", "Items of sources that syncs looked at, by outcome.")
SOURCE_SYNCS = _counter("sealserve.sources.syncs", "{sync}", "Syncs of sources, by outcome.")
FINDINGS = _counter("sealserve.documents.findings", "{finding}", "Findings in documents at intake, by kind.")
TRIGGER_GAP = _histogram("sealserve.winner.trigger_gap", "Nats lost behind a rare phrase.", _NATS, unit="{nat}")
SPECTRUM_Z = _histogram("sealserve.winner.spectrum_z", "Distance from earlier versions.", _NATS, unit="1")
CYCLE_DURATION = _histogram("sealserve.cycle.duration", "Whole learning cycle, by verdict.", _LEARNING)
STEP_DURATION = _histogram("sealserve.cycle.step.duration", "One step of a cycle, by step.", _LEARNING)
SELF_EDITS = _counter("sealserve.self_edits", "{self_edit}", "Self-edits kept or dropped, by reason.")
FLIP_DURATION = _histogram("sealserve.swap.flip.duration", "Replacing the routing table.", _FLIP)
SWAP_DURATION = _histogram("sealserve.swap.duration", "Activation recorded to observed by this replica.", _DURATION)
ACTIVATIONS = _counter("sealserve.activations", "{activation}", "Versions that became active, by kind.")
ROLLBACKS = _counter("sealserve.rollbacks", "{activation}", "Moves back to an earlier version.")
ADAPTERS_REFUSED = _counter("sealserve.adapters.refused", "{adapter}", "Adapters refused before loading, by defect.")
VERSIONS_NOT_LOADED = _gauge("sealserve.versions.not_loaded", "{version}", "Versions that wait for an operator.")
ADAPTERS_LOADED = _gauge("sealserve.adapters.loaded", "{adapter}", "Adapters loaded in the engine.")
ENGINE_REBUILDS = _counter("sealserve.engine.rebuilds", "{rebuild}", "Engine restarts, by reason.")
CANARY_SHARE = _gauge("sealserve.canary.share", "1", "Accuracy on a canary suite in the last nightly evaluation.")
CANARY_REGRESSIONS = _counter("sealserve.canary.regressions", "{suite}", "Nightly losses beyond policy, by baseline.")
WATCH_E_VALUE = _gauge("sealserve.watch.e_value", "1", "Evidence against a version under watch, by signal.")
WATCH_PAIRS = _counter("sealserve.watch.pairs", "{pair}", "Shadow answers compared or dropped, by outcome.")
WATCH_ROLLBACKS = _counter("sealserve.watch.rollbacks", "{activation}", "Automatic rollbacks, by trigger.")

METRICS: tuple[MetricName, ...] = (
    REQUEST_DURATION, TIME_TO_FIRST_TOKEN, TIME_PER_TOKEN, TOKEN_USAGE, QUEUE_DEPTH, DOCUMENTS_RECEIVED, DOCUMENTS,
    SOURCE_ITEMS, SOURCE_SYNCS, FINDINGS, TRIGGER_GAP, SPECTRUM_Z, COLD_FIRST_TOKEN, ADAPTER_WAIT,
    CYCLE_DURATION, STEP_DURATION, SELF_EDITS, FLIP_DURATION, SWAP_DURATION, ACTIVATIONS, ROLLBACKS,
    ADAPTERS_REFUSED, VERSIONS_NOT_LOADED, ADAPTERS_LOADED, ENGINE_REBUILDS, CANARY_SHARE, CANARY_REGRESSIONS,
    WATCH_E_VALUE, WATCH_PAIRS, WATCH_ROLLBACKS,
)  # fmt: skip
"""All of them, for dashboards' tests."""
