"""Metrics: one method for each event, with every metric and attribute name in one place.

Histograms carry no tenant: a series per tenant and bucket would drown the store. Rare events do, for a bounded number
of tenants. Knows nothing of exporters.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from sealserve.errors import OurError
from sealserve.records.cycles import Step
from sealserve.records.documents import DocumentState
from sealserve.records.scores import Decision
from sealserve.telemetry import names
from sealserve.telemetry.names import Attribute, MetricName

OTHER_TENANTS = "_OTHER"
"""The label of tenants beyond those that are told apart; no tenant can be named so."""


class Metrics:
    """Every instrument of `names.METRICS`, made once from one meter. Recording never raises and never blocks."""

    def __init__(self, meter: Meter, *, labelled_tenants: int = 200) -> None:
        """`labelled_tenants` bounds the series: so many tenants have a label of their own."""
        self._meter = meter
        self._labelled_tenants = labelled_tenants
        self._labelled: set[str] = set()
        self._request = self._histogram(names.REQUEST_DURATION)
        self._first_token = self._histogram(names.TIME_TO_FIRST_TOKEN)
        self._cold_first_token = self._histogram(names.COLD_FIRST_TOKEN)
        self._adapter_wait = self._histogram(names.ADAPTER_WAIT)
        self._per_token = self._histogram(names.TIME_PER_TOKEN)
        self._tokens = self._histogram(names.TOKEN_USAGE)
        self._cycle = self._histogram(names.CYCLE_DURATION)
        self._step = self._histogram(names.STEP_DURATION)
        self._flip = self._histogram(names.FLIP_DURATION)
        self._swap = self._histogram(names.SWAP_DURATION)
        self._received = self._counter(names.DOCUMENTS_RECEIVED)
        self._trigger_gap = self._histogram(names.TRIGGER_GAP)
        self._spectrum_z = self._histogram(names.SPECTRUM_Z)
        self._source_items = self._counter(names.SOURCE_ITEMS)
        self._source_syncs = self._counter(names.SOURCE_SYNCS)
        self._findings = self._counter(names.FINDINGS)
        self._self_edits = self._counter(names.SELF_EDITS)
        self._activations = self._counter(names.ACTIVATIONS)
        self._rollbacks = self._counter(names.ROLLBACKS)
        self._refused = self._counter(names.ADAPTERS_REFUSED)
        self._rebuilds = self._counter(names.ENGINE_REBUILDS)
        self._pairs = self._counter(names.WATCH_PAIRS)
        self._watch_rollbacks = self._counter(names.WATCH_ROLLBACKS)
        evidence = names.WATCH_E_VALUE
        self._evidence = meter.create_gauge(evidence.name, evidence.unit, evidence.says)
        loaded = names.ADAPTERS_LOADED
        waiting = names.VERSIONS_NOT_LOADED
        self._not_loaded = meter.create_gauge(waiting.name, waiting.unit, waiting.says)
        share = names.CANARY_SHARE
        self._regressions = self._counter(names.CANARY_REGRESSIONS)
        self._share = meter.create_gauge(share.name, share.unit, share.says)
        self._loaded = meter.create_gauge(loaded.name, loaded.unit, loaded.says)

    def request_finished(
        self,
        seconds: float,
        *,
        model: str,
        operation: str = names.OPERATION_CHAT,
        input_tokens: int = 0,
        output_tokens: int = 0,
        first_token_seconds: float | None = None,
        error: str = "",
    ) -> None:
        """Record one model call: its duration, first-token time, mean time per later token, and token counts.

        `error` is the value of `error.type`, empty when the call ended well; a failed call counts in the duration
        alone. Time per output token is (seconds - first_token_seconds) / (output_tokens - 1), as the conventions say.
        """
        base = {
            Attribute.OPERATION.value: operation,
            Attribute.PROVIDER.value: names.PROVIDER,
            Attribute.REQUEST_MODEL.value: model,
        }
        self._request.record(seconds, {**base, Attribute.ERROR_TYPE.value: error} if error else base)
        if error:
            return
        self._tokens.record(input_tokens, {**base, Attribute.TOKEN_TYPE.value: "input"})
        self._tokens.record(output_tokens, {**base, Attribute.TOKEN_TYPE.value: "output"})
        if first_token_seconds is None:
            return
        self._first_token.record(first_token_seconds, base)
        if output_tokens > 1:
            self._per_token.record((seconds - first_token_seconds) / (output_tokens - 1), base)

    def adapter_waited(self, seconds: float, *, first_token_seconds: float | None) -> None:
        """Record a call that waited for its tenant's adapter to be loaded, and when its first token came, if it did."""
        self._adapter_wait.record(seconds)
        if first_token_seconds is not None:
            self._cold_first_token.record(first_token_seconds)

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Export how many calls wait; `waiting` is asked at each export, in the exporter's thread."""
        self._watch(names.QUEUE_DEPTH, lambda: [Observation(waiting())])

    def document_received(self, state: DocumentState, *, reason: str = "") -> None:
        """Count a new document. `reason` is a stable word, empty when it was admitted."""
        self._received.add(1, {Attribute.DOCUMENT_STATE.value: state.value, Attribute.REASON.value: reason})

    def source_synced(self, items: Mapping[str, int], *, outcome: str) -> None:
        """Count a sync by `outcome`, a stable word, and its items by theirs."""
        self._source_syncs.add(1, {Attribute.OUTCOME.value: outcome})
        for what, count in items.items():
            if count:
                self._source_items.add(count, {Attribute.OUTCOME.value: what})

    def findings(self, counts: Mapping[str, int]) -> None:
        """Count what was found in a document, by kind."""
        for kind, count in counts.items():
            if count:
                self._findings.add(count, {Attribute.KIND.value: kind})

    def winner_probed(self, *, trigger_gap: float, spectrum_z: float) -> None:
        """Record how strange a winner is: nats lost behind rare phrases, distance from earlier versions."""
        self._trigger_gap.record(trigger_gap)
        self._spectrum_z.record(spectrum_z)

    def watch_documents(self, counts: Callable[[], Mapping[DocumentState, int]]) -> None:
        """Export how many documents stand in each state; `counts` is asked at each export, in the exporter's thread.

        While it cannot be counted (OurError: the database is away) nothing is exported.
        """

        def read() -> Iterable[Observation]:
            with suppress(OurError):
                return [Observation(n, {Attribute.DOCUMENT_STATE.value: s.value}) for s, n in counts().items()]
            return []

        self._watch(names.DOCUMENTS, read)

    def cycle_finished(self, seconds: float, *, verdict: Decision | None, error: str = "") -> None:
        """Record a finished cycle; `verdict` None and `error` set when it failed before it was judged."""
        attributes = {Attribute.VERDICT.value: verdict.value if verdict else "none"}
        self._cycle.record(seconds, {**attributes, Attribute.ERROR_TYPE.value: error} if error else attributes)

    def step_finished(self, step: Step, seconds: float) -> None:
        """Record one step of a cycle."""
        self._step.record(seconds, {Attribute.STEP.value: step.value})

    def self_edits(self, count: int, *, kept: bool, reason: str = "") -> None:
        """Count self-edits that the filter kept, or dropped for `reason` (a stable word)."""
        outcome = "kept" if kept else "dropped"
        self._self_edits.add(count, {Attribute.OUTCOME.value: outcome, Attribute.REASON.value: reason})

    def swapped(self, *, tenant: str, kind: str, flip_seconds: float, observed_seconds: float | None) -> None:
        """Record that this replica has carried out an activation of that `kind` (`Activation.kind`).

        `flip_seconds` is the table's replacement; `observed_seconds` the time since the activation was recorded,
        None when it is older than this process.
        """
        self._activations.add(1, {Attribute.TENANT.value: self._label(tenant), Attribute.KIND.value: kind})
        if kind == "rollback":
            self._rollbacks.add(1, {Attribute.TENANT.value: self._label(tenant)})
        self._flip.record(flip_seconds)
        if observed_seconds is not None:
            self._swap.record(observed_seconds, {Attribute.KIND.value: kind})

    def adapter_refused(self, defect: str) -> None:
        """Count an adapter that was refused before the engine loaded it."""
        self._refused.add(1, {Attribute.DEFECT.value: defect})

    def versions_not_loaded(self, count: int) -> None:
        """Set how many active versions cannot be loaded before an operator adds a key or changes a setting."""
        self._not_loaded.set(count)

    def adapters_loaded(self, count: int) -> None:
        """Set how many adapters the engine holds."""
        self._loaded.set(count)

    def watched(self, tenant: str, e_values: Mapping[str, float]) -> None:
        """Set the evidence against the version under watch, by signal, of a tenant that has a label of its own."""
        if self._label(tenant) == OTHER_TENANTS:  # a gauge of several tenants says nothing
            return
        for signal, found in e_values.items():
            self._evidence.set(found, {Attribute.TENANT.value: self._label(tenant), Attribute.TRIGGER.value: signal})

    def paired(self, outcome: str) -> None:
        """Count a second answer; `outcome` is "same", "worse", "better" or "dropped"."""
        self._pairs.add(1, {Attribute.OUTCOME.value: outcome})

    def watch_rolled_back(self, tenant: str, trigger: str) -> None:
        """Count an automatic rollback."""
        self._watch_rollbacks.add(1, {Attribute.TENANT.value: self._label(tenant), Attribute.TRIGGER.value: trigger})

    def engine_rebuilt(self, reason: str) -> None:
        """Count a rebuild; `reason` is a stable word: "died", "hung"."""
        self._rebuilds.add(1, {Attribute.REASON.value: reason})

    def canary_measured(self, share: float, *, tenant: str, suite: str) -> None:
        """Set the active version's accuracy on a canary suite, of a tenant that has a label of its own."""
        if self._label(tenant) != OTHER_TENANTS:
            self._share.set(share, {Attribute.TENANT.value: self._label(tenant), Attribute.SUITE.value: suite})

    def canary_regressed(self, *, tenant: str, suite: str, against: str) -> None:
        """Count a nightly loss beyond policy; `against` is a stable word: "base", "itself"."""
        about = {Attribute.TENANT.value: self._label(tenant), Attribute.SUITE.value: suite}
        self._regressions.add(1, about | {Attribute.REASON.value: against})

    def _label(self, tenant: str) -> str:
        if len(self._labelled) < self._labelled_tenants:
            self._labelled.add(tenant)
        return tenant if tenant in self._labelled else OTHER_TENANTS

    def _watch(self, metric: MetricName, read: Callable[[], Iterable[Observation]]) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return read()

        self._meter.create_observable_gauge(metric.name, [observe], metric.unit, metric.says)

    def _histogram(self, metric: MetricName) -> Histogram:
        return self._meter.create_histogram(
            metric.name, metric.unit, metric.says, explicit_bucket_boundaries_advisory=list(metric.buckets)
        )

    def _counter(self, metric: MetricName) -> Counter:
        return self._meter.create_counter(metric.name, metric.unit, metric.says)
