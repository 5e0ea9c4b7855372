"""Many cases at once, each in a process of its own, so that all cores work and no case can disturb another."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from simulator.evaluation.judging import Case, Settings, judge
from simulator.evaluation.scoring import Score


class WorkerError(Exception):
    """A process that judged died."""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def judge_all(
    cases: Sequence[Case], settings: Settings, workers: int, done: Callable[[Case, Score], None]
) -> list[Score]:
    """The scores in the order of the cases, whatever the number of workers; `done` hears of each when it is there.

    More workers than cores are not started. What a case raises ends all others.

    Raises
    ------
    RecordingError
        A recording cannot be judged.
    WorkerError
        A process died, as by lack of memory.
    """
    workers = min(workers, cores(), len(cases))
    if workers <= 1:
        scores = []
        for case in cases:
            scores.append(judge(case, settings))
            done(case, scores[-1])
        return scores
    # Spawned, because a fork would copy the threads' locks of a terminal that shows progress.
    context = multiprocessing.get_context("spawn")
    found: dict[Case, Score] = {}
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        futures = {pool.submit(judge, case, settings): case for case in cases}
        try:
            for future in as_completed(futures):
                case = futures[future]
                found[case] = future.result()
                done(case, found[case])
        except BrokenProcessPool as error:
            raise WorkerError("a process died, perhaps for lack of memory: give --workers 1") from error
        except BaseException:  # an interrupt too: what nobody waits for any more ends
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return [found[case] for case in cases]


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
