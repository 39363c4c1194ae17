"""Cards and policies are read strictly, and what a project overrides is believed."""

from pathlib import Path

import pytest

from perfcrew import rooms
from perfcrew.core.errors import UsageError
from perfcrew.crew import cards
from perfcrew.rules import catalog

NAMES = [Path(n).stem for n in rooms.names("agents", pattern="*.md")]


def test_the_crew_is_the_one_of_the_design() -> None:
    assert NAMES == ["caching", "database", "frontend", "inference", "profiler", "reviewer"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_card_is_whole(name: str) -> None:
    card = cards.card(name)
    assert card.name == name
    assert card.question.endswith("?")
    assert len(card.charter) > 200


def test_every_rule_belongs_to_exactly_one_specialist_of_the_review() -> None:
    owners = [rule for name in cards.policy("review").specialists for rule in cards.card(name).rules]
    assert sorted(owners) == sorted(entry.id for entry in catalog.entries())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no front matter at all", "no front matter"),
        ("---\nname: [\n---\nx", "not YAML"),
        ("---\nname: database\n---\nx", "Field required"),
    ],
)
def test_a_wrong_card_says_what_is_wrong_and_where(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / ".perfcrew" / "agents" / "database.md"
    own.parent.mkdir(parents=True)
    own.write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        cards.card("database", tmp_path)
    assert "agents/database.md" in str(error.value)


def test_a_tool_that_is_not_there_is_refused(tmp_path: Path) -> None:
    own = tmp_path / ".perfcrew" / "agents" / "database.md"
    own.parent.mkdir(parents=True)
    own.write_text(rooms.read("agents/database.md").replace("tools: [traces,", "tools: [crystal-ball,"))
    with pytest.raises(UsageError, match="crystal-ball"):
        cards.card("database", tmp_path)


def test_a_policy_that_names_somebody_unknown_is_refused(tmp_path: Path) -> None:
    own = tmp_path / ".perfcrew" / "workflows" / "review.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(rooms.read("workflows/review.yaml").replace("caching", "astrologer"))
    with pytest.raises(UsageError, match=r"agents/astrologer\.md"):
        cards.policy("review", tmp_path)
