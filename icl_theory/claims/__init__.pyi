from .engine.cases import Case as Case
from .engine.cases import Workshop as Workshop
from .engine.claim import (
    Assumption as Assumption,
)
from .engine.claim import (
    Claim as Claim,
)
from .engine.claim import (
    Control as Control,
)
from .engine.claim import (
    Evidence as Evidence,
)
from .engine.claim import (
    Verdict as Verdict,
)
from .engine.claim import (
    check as check,
)
from .engine.examine import examine as examine
