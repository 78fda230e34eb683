from .display import show as show
from .exercises import check as check
from .exercises import check_claim as check_claim
from .exercises import question as question
from .files import Lesson as Lesson
from .files import lessons as lessons
from .files import write_lesson as write_lesson
from .files import write_page as write_page
