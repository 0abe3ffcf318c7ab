# aicc_workers.py - many cases in forked processes, of which some may die.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`run_all(function, cases, jobs, seconds)` calls the function for every case in
processes forked from this one, and gives {case: (state, message)}. The function
returns such a pair; a process that dies or is late gives ("CRASH", ...) or
("HANG", ...) and is replaced. Nothing that holds threads (a device, say) may
have been opened before."""

import multiprocessing
import os
import queue
import signal
import threading


def _serve(function, connection):
    # What libraries print is no part of the report.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    while (case := connection.recv()) is not None:
        connection.send(function(case))


class _Worker:
    def __init__(self, function):
        context = multiprocessing.get_context("fork")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(function, other), daemon=True)
        self.process.start()
        other.close()

    def run(self, case, seconds):
        try:
            self.connection.send(case)
            if not self.connection.poll(seconds):
                self.close()
                return "HANG", f"no end within {seconds} s"
            return self.connection.recv()
        except (BrokenPipeError, ConnectionResetError, EOFError):
            self.process.join()
            status = self.process.exitcode
            return "CRASH", f"the process ended with {signal.Signals(-status).name if status < 0 else f'status {status}'}"

    def close(self):
        self.process.kill()
        self.process.join()


def run_all(function, cases, jobs, seconds):
    work, results, lock = queue.SimpleQueue(), {}, threading.Lock()
    for case in cases:
        work.put(case)

    def loop(worker):
        while True:
            try:
                case = work.get_nowait()
            except queue.Empty:
                break
            answer = worker.run(case, seconds)
            with lock:
                if answer[0] in ("CRASH", "HANG"):
                    worker = _Worker(function)
                results[case] = answer
                if len(results) % 200 == 0:
                    print(f"... {len(results)} of {len(cases)}", flush=True)
        worker.close()

    threads = [threading.Thread(target=loop, args=(_Worker(function),)) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
