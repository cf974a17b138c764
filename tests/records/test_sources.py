"""What somebody may say about a source."""

from dataclasses import replace

import pytest

from sealserve.errors import InvalidArgument
from sealserve.records.sources import NewSource, SourceKind

SITE = NewSource(name="site", kind=SourceKind.SITEMAP, location="https://docs.example.com/sitemap.xml")
HOOK = NewSource(name="cms", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_ACME_SHOP__CMS")


@pytest.mark.parametrize(
    "good",
    [
        SITE,
        HOOK,
        replace(SITE, mirror=True, interval_seconds=60.0, include=("docs/*",), secret_variable="SOURCE_ACME_SHOP__A_1"),
        NewSource(name="a", kind=SourceKind.GIT, location="wiki", branch="main"),
        NewSource(name="a", kind=SourceKind.OBJECTS, location="s3://bucket/docs/"),
    ],
)
def test_a_sound_source_is_accepted(good: NewSource) -> None:
    good.require_sound("acme-shop")
    assert good.name


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (replace(SITE, name=""), "source_id"),
        (replace(SITE, name="Site"), "source_id"),
        (replace(SITE, name="a" * 41), "source_id"),
        (replace(SITE, location=""), "location"),
        (replace(SITE, location="ftp://docs.example.com"), "location"),
        (replace(SITE, location="https://ann:secret@docs.example.com/x"), "location"),
        (replace(SITE, location="https://docs.example.com/\nx"), "location"),
        (replace(SITE, location="https://docs.example.com/" + "x" * 3000), "location"),
        (replace(SITE, kind=SourceKind.OBJECTS), "location"),
        (replace(SITE, kind=SourceKind.DIRECTORY, location=""), "location"),
        (replace(HOOK, location="https://docs.example.com"), "location"),
        (replace(SITE, interval_seconds=1.0), "interval_seconds"),
        (replace(SITE, interval_seconds=float("nan")), "interval_seconds"),
        (replace(SITE, interval_seconds=1e12), "interval_seconds"),
        (replace(SITE, kind=SourceKind.FEED, mirror=True), "mirror"),
        (replace(SITE, include=("*",) * 33), "include"),
        (replace(HOOK, secret_variable=""), "secret_variable"),
    ],
)
def test_a_source_that_cannot_work_is_refused_by_field(bad: NewSource, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        bad.require_sound("acme-shop")
    assert refused.value.field == field


@pytest.mark.parametrize(
    "variable",
    [
        "PATH", "SEALSERVE_TOKEN", "AWS_SECRET_ACCESS_KEY", "SOURCE_ACME__KEY", "SOURCE_GLOBEX__KEY",
        "SOURCE_ACME_SHOP__", "SOURCE_ACME_SHOP__A__B", "SOURCE_ACME_SHOP__a", "SOURCE_ACME_SHOP___A",
    ],
)  # fmt: skip
def test_a_secret_outside_of_the_tenants_own_names_is_refused(variable: str) -> None:
    with pytest.raises(InvalidArgument, match="SOURCE_ACME_SHOP__NAME"):
        replace(SITE, secret_variable=variable).require_sound("acme-shop")
