"""The one table from method to what its caller needs: a role, and to see the tenant that the request names."""

from collections.abc import Mapping
from dataclasses import dataclass

from sealserve.records.principals import Role

PACKAGE = "sealserve.v1"

NONE = ""
"""The request names no tenant: anybody with the role may call, and the service shows what the caller sees."""

EVERY = "*"
"""The answer is about all tenants: principals bound to some may not call."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a caller needs: a role, and to see the tenant that the request names in `field` (or NONE, or EVERY)."""

    role: Role
    field: str


METHODS: Mapping[str, Need] = {
    "InferenceService/Generate": Need(Role.VIEWER, "parent"),
    "InferenceService/StreamGenerate": Need(Role.VIEWER, "parent"),
    "InferenceService/CountTokens": Need(Role.VIEWER, "parent"),
    "InferenceService/ListModels": Need(Role.VIEWER, "parent"),
    "InferenceService/GetServerInfo": Need(Role.VIEWER, NONE),
    "DocumentService/AddDocument": Need(Role.OPERATOR, "parent"),
    "DocumentService/StreamDocuments": Need(Role.OPERATOR, "document.parent"),
    "DocumentService/GetDocument": Need(Role.VIEWER, "name"),
    "DocumentService/ListDocuments": Need(Role.VIEWER, "parent"),
    "DocumentService/ReleaseDocument": Need(Role.APPROVER, "name"),
    "DocumentService/ForgetDocument": Need(Role.TENANT_ADMIN, "name"),
    "SourceService/CreateSource": Need(Role.TENANT_ADMIN, "parent"),
    "SourceService/GetSource": Need(Role.VIEWER, "name"),
    "SourceService/ListSources": Need(Role.VIEWER, "parent"),
    "SourceService/TestSource": Need(Role.OPERATOR, "name"),
    "SourceService/SyncSource": Need(Role.OPERATOR, "name"),
    "SourceService/DeleteSource": Need(Role.TENANT_ADMIN, "name"),
    "SourceService/ListSourceItems": Need(Role.VIEWER, "parent"),
    "CycleService/StartCycle": Need(Role.OPERATOR, "parent"),
    "CycleService/GetCycle": Need(Role.VIEWER, "name"),
    "CycleService/ListCycles": Need(Role.VIEWER, "parent"),
    "CycleService/WatchCycle": Need(Role.VIEWER, "name"),
    "CycleService/ListSelfEdits": Need(Role.VIEWER, "parent"),
    "AdapterService/ListAdapters": Need(Role.VIEWER, "parent"),
    "AdapterService/GetAdapter": Need(Role.VIEWER, "name"),
    "AdapterService/PromoteAdapter": Need(Role.OPERATOR, "name"),
    "AdapterService/RollbackAdapter": Need(Role.OPERATOR, "parent"),
    "AdapterService/GetTraffic": Need(Role.VIEWER, "parent"),
    "AdapterService/SetTraffic": Need(Role.OPERATOR, "parent"),
    "AdapterService/ListActivations": Need(Role.VIEWER, "parent"),
    "AdapterService/WatchAdapters": Need(Role.VIEWER, "parent"),
    "WatchService/GetWatch": Need(Role.VIEWER, "name"),
    "WatchService/ListWatches": Need(Role.VIEWER, "parent"),
    "ApprovalService/ListApprovals": Need(Role.VIEWER, "parent"),
    "ApprovalService/GetApproval": Need(Role.VIEWER, "name"),
    "ApprovalService/ApproveAdapter": Need(Role.APPROVER, "name"),
    "ApprovalService/RejectAdapter": Need(Role.APPROVER, "name"),
    "FeedbackService/CreateFeedback": Need(Role.VIEWER, "parent"),
    "FeedbackService/ListFeedback": Need(Role.VIEWER, "parent"),
    "FeedbackService/SummarizeFeedback": Need(Role.VIEWER, "parent"),
    "EvaluationService/AddEvaluationSet": Need(Role.OPERATOR, "parent"),
    "EvaluationService/GetEvaluationSet": Need(Role.VIEWER, "name"),
    "EvaluationService/ListEvaluationSets": Need(Role.VIEWER, "parent"),
    "CanaryService/PutCanarySuite": Need(Role.OPERATOR, "parent"),
    "CanaryService/GetCanarySuite": Need(Role.VIEWER, "name"),
    "CanaryService/ListCanarySuites": Need(Role.VIEWER, "parent"),
    "CanaryService/RetireCanarySuite": Need(Role.OPERATOR, "name"),
    "CanaryService/ListCanaryResults": Need(Role.VIEWER, "parent"),
    "TenantService/CreateTenant": Need(Role.ADMIN, NONE),
    "TenantService/GetTenant": Need(Role.VIEWER, "name"),
    "TenantService/ListTenants": Need(Role.VIEWER, NONE),
    "AuditService/ListAuditRows": Need(Role.VIEWER, "parent"),
    "AuditService/VerifyAudit": Need(Role.VIEWER, EVERY),
    "TokenService/CreateToken": Need(Role.TENANT_ADMIN, NONE),
    "TokenService/ListTokens": Need(Role.TENANT_ADMIN, NONE),
    "TokenService/RevokeToken": Need(Role.TENANT_ADMIN, NONE),
    "EngineService/Generate": Need(Role.ENGINE, NONE),
    "EngineService/Score": Need(Role.ENGINE, NONE),
    "EngineService/CountTokens": Need(Role.ENGINE, NONE),
    "EngineService/LoadAdapter": Need(Role.ENGINE, NONE),
    "EngineService/UnloadAdapter": Need(Role.ENGINE, NONE),
    "EngineService/GetEngineInfo": Need(Role.ENGINE, NONE),
}
"""Every method of the package. One that is not here is refused; health and reflection are not of the package."""

OVER_HTTP: Mapping[str, Need] = {"Metrics/Read": Need(Role.VIEWER, EVERY)}
"""What HTTP has besides."""
