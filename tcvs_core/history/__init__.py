"""What happened to the files between two states, and how to bring changes together.

Pure functions over file trees: they know of no repository, no branch and no running desktop.
"""

from tcvs_core.history.apply import StagedMerge, apply, recover, stage
from tcvs_core.history.changes import TreeUnreadable, changes, walk_changes
from tcvs_core.history.merge import plan
from tcvs_core.history.mergeplan import (
    Action,
    Conflict,
    MergeConflicts,
    MergeError,
    MergeHalfDone,
    MergePlan,
    TargetChanged,
)
from tcvs_core.history.paths import BadPattern, Selection
from tcvs_core.history.stream import StreamError
from tcvs_core.history.textdiff import unified

__all__ = [
    "Action",
    "BadPattern",
    "Conflict",
    "MergeConflicts",
    "MergeError",
    "MergeHalfDone",
    "MergePlan",
    "Selection",
    "StagedMerge",
    "StreamError",
    "TargetChanged",
    "TreeUnreadable",
    "apply",
    "changes",
    "plan",
    "recover",
    "stage",
    "unified",
    "walk_changes",
]
