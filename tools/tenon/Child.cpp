// Hands signals on to a child process.
#include "Child.h"
#include "llvm/ADT/STLExtras.h"

static volatile pid_t child = 0;
static volatile std::sig_atomic_t caught = 0;

static void handOn(int signal) {
  caught = signal;
  if (child > 0)
    kill(child, signal);
}

ChildSignals::ChildSignals() {
  struct sigaction action = {};
  action.sa_handler = handOn;
  action.sa_flags = SA_RESTART;
  for (auto [signal, old] : llvm::zip(signals, before))
    sigaction(signal, &action, &old);
}

ChildSignals::~ChildSignals() {
  child = 0;
  for (auto [signal, old] : llvm::zip(signals, before))
    sigaction(signal, &old, nullptr);
}

void ChildSignals::handTo(pid_t started) {
  child = started;
  if (caught && child > 0)
    kill(child, caught);
}

void ChildSignals::release() {
  for (auto [signal, old] : llvm::zip(signals, before))
    sigaction(signal, &old, nullptr);
  if (caught)
    raise(caught);
}

int caughtSignal() { return caught; }
